//! How much memory a cached guest costs beyond what they are shown: fills the cabinet with guests from a stand-in that knows everybody.
//! `cargo bench --bench memory -- 1000000`

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use guest_cabinet::cabinet::{Cabinet, CabinetConfig, Wish};
use guest_cabinet::clock::{Clock, Deadline};
use guest_cabinet::config::{Config, read_sources};
use guest_cabinet::entropy::Entropy;
use guest_cabinet::keys::Keys;
use guest_cabinet::model::{Guest, GuestKey, Phone};
use guest_cabinet::probonus::ProBonus;
use guest_cabinet::store::Store;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// What it says of each guest besides the id.
const ACCOUNT: &str = r#","firstName":"Анна","lastName":"Смирнова","birthday":"1990-04-12","gender":"female","email":"anna@example.ru","balance":125000,"turnover":1500000,"level":{"name":"Гость","bonusPercent":5}}"#;
const BALANCE: &str = r#"{"balance":125000,"details":[{"sum":30000,"burnDate":"2026-12-24"}]}"#;

/// The process' resident memory, in bytes.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4096
}

async fn everybody() -> String {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", socket.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            let service = service_fn(|request: Request<Incoming>| async move {
                let body = if request.uri().path().ends_with("find_by_phone") {
                    // Everybody has an account of their own, by the number.
                    let number = request.uri().query().unwrap_or_default();
                    format!("{{\"id\":{}{ACCOUNT}", number.trim_start_matches("phone="))
                } else {
                    BALANCE.to_owned()
                };
                let response = Response::builder().header("content-type", "application/json");
                Ok::<_, Infallible>(response.body(Full::new(Bytes::from(body))).expect("a response"))
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    url
}

#[tokio::main]
async fn main() {
    let wanted = std::env::args().find_map(|argument| argument.parse::<u64>().ok());
    let Some(count) = wanted else {
        println!("say how many guests: cargo bench --bench memory -- 1000000");
        return;
    };
    let mut sources = read_sources(None, std::iter::empty());
    let settings = format!(
        "secret = \"a master secret for benches of enough bytes\"\n[probonus]\nurl = \"{}\"\ntoken = \"t\"\nmax_concurrency = 256\n\
         [delivery]\ngateways = [\"webhook\"]\n[delivery.webhook]\nurl = \"http://127.0.0.1:9/\"\nsecret = \"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\"\n\
         [cache]\ncapacity = {}\nprofile_fresh_ms = 86400000\nbalance_fresh_ms = 86400000\n",
        everybody().await,
        count * 2
    );
    sources.tree = settings.parse().expect("the settings are TOML");
    let config = Config::read(sources, false).expect("the settings are right");
    let (clock, entropy) = (Clock::system(), Entropy::system());
    let keys = Arc::new(Keys::derive(&config.secret, None, entropy.clone()));
    // In a file: what is kept there must not count as memory.
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}/state.db", folder.path().display());
    let store = Arc::new(Store::open(&url.into()).await.expect("a store"));
    let probonus = ProBonus::new(&config.probonus, config.time_zone.clone(), clock.clone(), entropy).expect("a client");
    let room = CabinetConfig {
        cache: config.cache,
        program: config.program.clone(),
        group: config.probonus.account_group_id.clone(),
        time_zone: config.time_zone.clone(),
        day_start: config.business_day_start,
        fetch_time: Duration::from_secs(10),
    };
    let cabinet = Cabinet::start(room, Arc::new(probonus), store, keys, clock);
    let wish = || Wish {
        renew: false,
        deadline: Deadline::within(Duration::from_secs(10)),
    };
    let fill = async |number: u64| {
        let phone = Phone::from_e164(&format!("+7916{number:07}")).expect("a phone");
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
        let guest = Guest {
            key: GuestKey(key),
            phone,
        };
        let profile = cabinet
            .profile(&guest, wish())
            .await
            .map_or(0, |shown| shown.ready.body().len());
        let balance = cabinet
            .balance(&guest, wish())
            .await
            .map_or(0, |shown| shown.ready.body().len());
        (profile + balance) as u64
    };
    // Whatever is made once has been made.
    let _ = futures_util::stream::iter(0..2000)
        .map(fill)
        .buffer_unordered(64)
        .count()
        .await;
    let before = resident();
    let shown: u64 = futures_util::stream::iter(2000..2000 + count)
        .map(fill)
        .buffer_unordered(64)
        .fold(0, async |sum, bytes| sum + bytes)
        .await;
    let grown = resident().saturating_sub(before);
    println!(
        "{count} guests with profile and balance: {} MB; {} bytes a guest, of which {} are the answers' own",
        grown / 1_000_000,
        grown / count,
        shown / count
    );
}
