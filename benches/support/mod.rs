//! What the measurements stand on: a ProBonus that knows everybody, and a cabinet's room over it.
#![allow(dead_code, reason = "each measurement uses its own part")]

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use guest_cabinet::cabinet::{Cabinet, CabinetConfig, CallTimes, Wish};
use guest_cabinet::clock::{Clock, Deadline};
use guest_cabinet::config::{Config, read_sources};
use guest_cabinet::entropy::Entropy;
use guest_cabinet::keys::Keys;
use guest_cabinet::model::{AccountBinding, AccountId, Guest, GuestKey, OpenSession, Phone, SessionId};
use guest_cabinet::probonus::ProBonus;
use guest_cabinet::store::{Store, account_subject};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use secrecy::ExposeSecret;

const SECRET: &str = "a master secret for benches of enough bytes";

fn bench_keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| Keys::derive(&SECRET.into(), None, Entropy::system()))
}

/// What it says of each guest besides the id.
const ACCOUNT: &str = r#","firstName":"Анна","lastName":"Смирнова","birthday":"1990-04-12","gender":"female","email":"anna@example.ru","balance":125000,"turnover":1500000,"level":{"name":"Гость","bonusPercent":5}}"#;
const BALANCE: &str = r#"{"balance":125000,"details":[{"sum":30000,"burnDate":"2026-12-24"}]}"#;
const HISTORY: &str = r#"[{"id":7,"date":"2026-11-12T20:15:00","type":"accrual","sum":12500,"checkId":81,"restName":"На Покровке"},{"id":6,"date":"2026-11-02T19:02:00","type":"spend","sum":-30000,"checkId":74,"restName":"На Покровке"}]"#;

/// A ProBonus that knows everybody and counts its calls.
pub struct Everybody {
    pub url: String,
    calls: Arc<AtomicU64>,
}

impl Everybody {
    pub async fn start() -> Self {
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", socket.local_addr().expect("an address"));
        let calls = Arc::new(AtomicU64::new(0));
        let counted = calls.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                let counted = counted.clone();
                let service = service_fn(move |request: Request<Incoming>| {
                    counted.fetch_add(1, Ordering::Relaxed);
                    let response = Response::builder().header("content-type", "application/json");
                    let response = response.body(Full::new(Bytes::from(told(request.uri()))));
                    async move { Ok::<_, Infallible>(response.expect("a response")) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, calls }
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}

fn told(asked: &hyper::Uri) -> String {
    match asked.path() {
        // Everybody has an account of their own, by the number.
        path if path.ends_with("find_by_phone") => {
            let number = asked.query().unwrap_or_default().trim_start_matches("phone=");
            format!("{{\"id\":{number}{ACCOUNT}")
        }
        path if path.ends_with("transactions") => HISTORY.to_owned(),
        _ => BALANCE.to_owned(),
    }
}

/// A configuration over `probonus` with `more` settings.
pub fn config(probonus: &Everybody, more: &str) -> Config {
    let mut sources = read_sources(None, std::iter::empty());
    let settings = format!(
        "secret = \"{SECRET}\"\n[probonus]\nurl = \"{}\"\ntoken = \"t\"\nmax_concurrency = 256\n\
         [delivery]\ngateways = [\"webhook\"]\n[delivery.webhook]\nurl = \"http://127.0.0.1:9/\"\nsecret = \"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\"\n{more}",
        probonus.url
    );
    sources.tree = settings.parse().expect("the settings are TOML");
    Config::read(sources, false).expect("the settings are right")
}

/// A cabinet's room over `store`.
pub fn room(config: &Config, store: Arc<Store>, clock: &Clock) -> Arc<Cabinet> {
    let entropy = Entropy::system();
    let keys = Arc::new(Keys::derive(&config.secret, None, entropy.clone()));
    assert_eq!(config.secret.expose_secret(), SECRET, "guests are keyed by it");
    let probonus = ProBonus::new(&config.probonus, config.time_zone.clone(), clock.clone(), entropy);
    let room = CabinetConfig {
        looks_per_second: 32,
        cache: config.cache,
        program: config.program.clone(),
        group: config.probonus.account_group_id.clone(),
        time_zone: config.time_zone.clone(),
        day_start: config.business_day_start,
        fetch_time: Duration::from_secs(10),
        sign_up_call: CallTimes {
            timeout: config.probonus.timeout,
            late_effect: config.probonus.late_effect,
        },
    };
    let probonus = Arc::new(probonus.expect("a client"));
    Cabinet::start(room, probonus, store, keys, clock.clone(), Entropy::system())
}

/// A store in a file of `folder`: what is kept there does not count as memory.
pub async fn store(folder: &tempfile::TempDir) -> Arc<Store> {
    let url = format!("sqlite://{}/state.db", folder.path().display());
    Arc::new(Store::open(&url.into()).await.expect("a store"))
}

/// One of many guests.
pub fn guest(number: u64) -> Guest {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    let phone = format!("7916{number:07}");
    // Everybody's account has the number as its id, and their session was opened under it.
    let account = AccountId::parse(&phone).expect("an id");
    let account = AccountBinding::Account(account_subject(bench_keys(), &account));
    let session = OpenSession::new(SessionId(uuid::Uuid::from_u128(number.into())), account);
    let phone = Phone::from_e164(&format!("+{phone}")).expect("a phone");
    Guest::new(GuestKey(key), phone).with_session(session)
}

pub fn wish() -> Wish {
    Wish {
        renew: false,
        deadline: Deadline::within(Duration::from_secs(10)),
    }
}

/// The number given on the command line.
pub fn number() -> Option<u64> {
    std::env::args().find_map(|argument| argument.parse().ok())
}
