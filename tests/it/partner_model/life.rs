//! Lives of the program over one state: each its own runtime, that a crash ends in the middle of whatever it was doing; between two of
//! them the state may be brought back from a copy, its secret rotated, its rows be those of the version before.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use guest_cabinet::clock::Deadline;
use guest_cabinet::entropy::Entropy;
use guest_cabinet::keys::{Keys, Purpose, Secrets};
use guest_cabinet::model::{AccountId, OperationState, OutsideCheck, Refill};
use guest_cabinet::partner::{Caller, Partner, PartnerError, RefillKey, Rules, Submission, Tools, Whose};
use guest_cabinet::store::Store;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use sqlx::{Connection, Row, SqliteConnection};

use super::ledger::{Memory, money};

/// The longest time of a late effect.
pub const LATE_EFFECT: Duration = Duration::from_secs(90);

/// A call that never ends is given up after this long, and the process dies.
const ENDLESS: Duration = Duration::from_millis(60);

pub const SECRETS: [&str; 2] = [
    "a master secret for tests of enough bytes",
    "a newer secret for tests of enough bytes",
];

/// How many different orders there are.
pub const ORDERS: usize = 4;

fn guid(number: usize) -> uuid::Uuid {
    uuid::Uuid::from_u128(0x4000_8000_0000_0000_0001 + number as u128)
}

pub fn check_order(number: usize, whose: Whose) -> Submission {
    let check = OutsideCheck {
        check_guid: guid(number),
        restaurant_code: 1,
        unit_code: 1,
        external_number: format!("D-{number}"),
        bonus_spent: money(0),
        discount: money(0),
        bonus_accrued: money(500),
        money_spent: money(10_000),
        content: None,
    };
    Submission::of_check(whose, check)
}

/// The orders that partners push: two checks and two refills of the same sum, the hardest to tell apart; the last one names the first.
pub fn order(number: usize) -> Submission {
    let whose = Whose::Account(AccountId::parse("5").expect("an id"));
    if number < 2 {
        return check_order(number, whose);
    }
    let refill = Refill {
        amount: money(500),
        comment: (number == 3).then(|| format!("к заказу {}", guid(0))),
    };
    let key = RefillKey {
        key: format!("key {number}"),
        quoted: None,
    };
    Submission::of_refill(whose, refill, key)
}

/// Whether what was booked is this order.
pub fn is_of_order(number: usize, booked: &str) -> bool {
    match number {
        2 => booked.starts_with("#gc-"),
        3 => booked.starts_with("к заказу"),
        _ => booked == guid(number).to_string(),
    }
}

/// An order as the version before wrote it down to tell it from others.
fn order_as_before(number: usize) -> String {
    if number < 2 {
        return format!(
            "{{\"account\":\"5\",\"phone\":null,\"what\":{{\"Check\":{{\"guid\":\"{}\",\"restaurant\":1,\"unit\":1,\"number\":\"D-{number}\",\
             \"spent\":0,\"discount\":0,\"accrued\":500,\"money\":10000,\"content\":null}}}}}}",
            guid(number)
        );
    }
    let comment = match number {
        3 => format!("\"к заказу {}\"", guid(0)),
        _ => "null".to_owned(),
    };
    format!("{{\"account\":\"5\",\"phone\":null,\"what\":{{\"Refill\":{{\"amount\":500,\"comment\":{comment}}}}}}}")
}

pub fn caller() -> Caller {
    Caller {
        name: "delivery".into(),
    }
}

/// Where the state stands, and the copy of it.
pub struct State {
    folder: tempfile::TempDir,
    lives: usize,
    copy: Option<PathBuf>,
    /// Whether the secret was rotated.
    pub rotated: bool,
}

impl State {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("0")).expect("a folder");
        Self {
            folder,
            lives: 0,
            copy: None,
            rotated: false,
        }
    }

    fn place(&self) -> PathBuf {
        self.folder.path().join(self.lives.to_string())
    }

    pub fn url(&self) -> String {
        url_of(&self.place().join("state.db"))
    }

    pub fn secrets(&self) -> (&'static str, Option<&'static str>) {
        if self.rotated {
            (SECRETS[1], Some(SECRETS[0]))
        } else {
            (SECRETS[0], None)
        }
    }

    /// A copy is made while the program runs.
    async fn back_up(&mut self) {
        let copy = self.folder.path().join("copy.db");
        let _ = std::fs::remove_file(&copy);
        let mut connection = self.connect().await;
        let sql = format!("VACUUM INTO '{}'", copy.display());
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .expect("a copy");
        self.copy = Some(copy);
    }

    async fn connect(&self) -> SqliteConnection {
        SqliteConnection::connect(&self.url()).await.expect("the state opens")
    }

    /// The copy takes the place of the state; what stands beside the state stays. In a folder of its own: what a dying process still
    /// writes goes nowhere.
    fn bring_back(&mut self) {
        let Some(copy) = &self.copy else { return };
        let before = self.place();
        self.lives += 1;
        let place = self.place();
        std::fs::create_dir(&place).expect("a folder");
        std::fs::copy(copy, place.join("state.db")).expect("brought back");
        let beside = "claims-of-state.db";
        std::fs::copy(before.join(beside), place.join(beside)).expect("it is there");
    }

    /// The rows become what the version before would have written.
    async fn become_older(&self, keys: &Keys) {
        let mut connection = self.connect().await;
        let rows = sqlx::query("SELECT key_tag, id FROM operations")
            .fetch_all(&mut connection)
            .await
            .expect("rows");
        for row in rows {
            let (key_tag, id): (Vec<u8>, String) = (row.get(0), row.get(1));
            let number = (0..2).find(|number| guid(*number).to_string() == id);
            let number = number.or_else(|| (2..ORDERS).find(|number| key_tag == refill_tag(*number)));
            let plain = order_as_before(number.expect("one of ours"));
            let tag = keys.mac(Purpose::Operation, &[b"order", b"delivery", plain.as_bytes()]);
            sqlx::query(
                "UPDATE operations SET fingerprint = $2, likeness = NULL, history_lag_us = -1, reason = NULL WHERE key_tag = $1",
            )
            .bind(key_tag)
            .bind(&tag[..])
            .execute(&mut connection)
            .await
            .expect("rewritten");
        }
    }
}

fn refill_tag(number: usize) -> Vec<u8> {
    let key = format!("key {number}");
    let mut text = Vec::new();
    for part in [&b"refill"[..], b"delivery", key.as_bytes()] {
        text.extend_from_slice(&(part.len() as u64).to_be_bytes());
        text.extend_from_slice(part);
    }
    guest_cabinet::keys::sha256(&text).to_vec()
}

fn url_of(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

/// Partners' orders over the store at `url`.
pub async fn start(
    url: &str,
    ledger: &Arc<Memory>,
    (secret, previous): (&str, Option<&str>),
) -> (Arc<Partner>, Arc<Keys>) {
    let store = Arc::new(Store::open(&url.to_owned().into()).await.expect("the store opens"));
    let entropy = Entropy::system();
    let secrets = Secrets::derive(&secret.into(), previous.map(Into::into).as_ref());
    let loaded = store.load_keys(secrets, ledger.clock.now_us(), &entropy).await;
    let keys = Arc::new(loaded.expect("the store keeps the ledger key").0);
    let tools = Tools {
        ledger: ledger.clone(),
        store,
        keys: keys.clone(),
        clock: ledger.clock.clone(),
        entropy,
    };
    let rules = Rules {
        partners: [].into(),
        late_effect: LATE_EFFECT,
        zone: TimeZone::UTC,
        day_start: Time::midnight(),
    };
    (Partner::start(rules, tools).await.expect("it starts"), keys)
}

/// What a partner was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Registered,
    Rejected,
    /// To come again.
    Nothing,
}

/// One life of the program.
pub struct Life {
    pub state: State,
    ledger: Arc<Memory>,
    runtime: tokio::runtime::Runtime,
    partner: Arc<Partner>,
    keys: Arc<Keys>,
}

impl Life {
    pub fn begin(state: State, ledger: &Arc<Memory>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let (partner, keys) = runtime.block_on(start(&state.url(), ledger, state.secrets()));
        Self {
            state,
            ledger: ledger.clone(),
            runtime,
            partner,
            keys,
        }
    }

    /// It dies, whatever it was doing.
    pub fn end(self) -> State {
        drop(self.partner);
        self.runtime.shutdown_background();
        self.state
    }

    /// It dies, and another begins over what `between` leaves of the state.
    pub fn again(self, between: impl FnOnce(&mut State, &Keys)) -> Self {
        let (ledger, keys) = (self.ledger.clone(), self.keys.clone());
        let mut state = self.end();
        between(&mut state, &keys);
        Self::begin(state, &ledger)
    }

    pub fn back_up(&mut self) {
        self.runtime.block_on(self.state.back_up());
    }

    /// Whoever brings a state back takes his time.
    pub fn bring_back(self) -> Self {
        self.ledger.clock.advance(Duration::from_mins(10));
        self.again(|state, _| state.bring_back())
    }

    pub fn become_older(self) -> Self {
        self.runtime.block_on(self.state.become_older(&self.keys));
        self.again(|_, _| ())
    }

    /// Time passes, and settling looks. When it hangs, the process dies and another begins.
    pub fn settle(self, seconds: u64) -> Self {
        self.ledger.clock.advance(Duration::from_secs(seconds));
        let partner = self.partner.clone();
        let settled = self
            .runtime
            .block_on(async { tokio::time::timeout(ENDLESS, partner.run_once()).await });
        drop(partner);
        if settled.is_err() {
            return self.again(|_, _| ());
        }
        self
    }

    /// Pushes an order. `None`: no answer ever, the process has to die.
    pub fn push(&self, number: usize) -> Option<Told> {
        let caller = caller();
        let work = self
            .partner
            .submit(&caller, order(number), Deadline::within(Duration::ZERO));
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(ENDLESS, work).await });
        match answer.ok()? {
            Ok(operation) if operation.state == OperationState::Registered => Some(Told::Registered),
            Err(PartnerError::Rejected { .. }) => Some(Told::Rejected),
            Ok(_)
            | Err(
                PartnerError::InProgress
                | PartnerError::Overloaded
                | PartnerError::Unavailable { .. }
                | PartnerError::UpstreamInvalid,
            ) => Some(Told::Nothing),
            Err(error) => panic!("order {number}: {error}"),
        }
    }
}
