//! The promise of "once", tried on generated bad days: states × faults × crashes, in seconds, without a network.
//!
//! ProBonus is a book in memory that does, or does not do, what it is asked, and says so, or does not. A crash is the end of a process'
//! whole runtime in the middle of whatever it was doing. Whatever happened: in the end every order is booked once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use guest_cabinet::clock::{Clock, Deadline};
use guest_cabinet::entropy::Entropy;
use guest_cabinet::keys::Secrets;
use guest_cabinet::model::{
    Account, AccountGroup, AccountId, Check, CheckId, Money, OutsideCheck, Phone, Transaction, TransactionId,
    TransactionKind,
};
use guest_cabinet::partner::{
    Caller, CheckOrder, Ledger, Order, Partner, PartnerError, RefillOrder, State, Tools, Whose,
};
use guest_cabinet::probonus::{Effect, History, UpstreamError};
use guest_cabinet::store::Store;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use crate::support::friday_noon;

/// How a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Done and said so.
    Done,
    /// Done, and nobody hears of it.
    DoneUnheard,
    /// Not done, and nobody knows.
    LostUnheard,
    /// Certainly not done.
    TurnedAway,
    /// Certainly not done, and to be asked for again two seconds later.
    Later,
    /// Done, and turned away as if it were not.
    DoneTurnedAway,
    /// Done, then silence: the process dies while it waits.
    DoneThenDeath,
    /// Not done, then silence: the process dies while it waits.
    DeathBefore,
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A partner pushes one of the orders.
    Push(usize),
    /// The process dies and another starts.
    Crash,
    /// Time passes, and settling looks.
    Settle(u64),
}

#[derive(Default)]
struct Book {
    entries: Vec<(Transaction, Option<Check>)>,
    /// What was booked, by what tells orders apart.
    booked: Vec<String>,
    fates: VecDeque<Fate>,
    /// Whether the next search by phone never ends.
    silent_search: bool,
    /// Whether the history cannot be read.
    unreadable: bool,
    /// Shows neither GUIDs, numbers nor comments.
    shy: bool,
}

/// ProBonus as a book in memory.
struct Memory {
    book: Mutex<Book>,
    clock: Clock,
}

impl Memory {
    fn fate(&self) -> Fate {
        self.book
            .lock()
            .expect("nobody panics")
            .fates
            .pop_front()
            .unwrap_or(Fate::Done)
    }

    fn write(&self, amount: Money, comment: Option<&str>, guid: Option<&str>) {
        let mut book = self.book.lock().expect("nobody panics");
        book.booked.extend(guid.or(comment).map(str::to_owned));
        let number = book.entries.len() + 1;
        let shown = !book.shy;
        let id = CheckId::parse(&number.to_string()).expect("an id");
        let check = guid.map(|guid| Check {
            id: id.clone(),
            number: shown.then(|| format!("B-{number}")),
            restaurant: None,
            opened_at: None,
            closed_at: None,
            items: Vec::new(),
            total: None,
            discount: None,
            bonus_spent: None,
            bonus_accrued: Some(amount),
            money_spent: None,
            account_id: None,
            check_guid: shown.then(|| guid.to_owned()),
        });
        let entry = Transaction {
            id: TransactionId::parse(&number.to_string()).expect("an id"),
            occurred_at: self.clock.now(),
            kind: TransactionKind::Refill,
            amount,
            balance_after: None,
            check_id: check.as_ref().map(|_| id),
            restaurant: None,
            comment: comment.filter(|_| shown).map(str::to_owned),
        };
        book.entries.push((entry, check));
    }

    async fn suffer(&self, write: impl FnOnce()) -> Result<(), UpstreamError> {
        let failed = |retry_after, effect| Err(UpstreamError::Unavailable { retry_after, effect });
        let unheard = failed(None, Effect::Unknown);
        match self.fate() {
            Fate::Done => {
                write();
                Ok(())
            }
            Fate::DoneUnheard => {
                write();
                unheard
            }
            Fate::LostUnheard => unheard,
            Fate::TurnedAway => Err(UpstreamError::Overloaded),
            Fate::Later => failed(Some(Duration::from_secs(2)), Effect::None),
            Fate::DoneTurnedAway => {
                write();
                failed(Some(Duration::from_secs(1)), Effect::Unknown)
            }
            Fate::DoneThenDeath => {
                write();
                std::future::pending().await
            }
            Fate::DeathBefore => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Ledger for Memory {
    async fn find_by_phone(&self, _: &Phone, _: Deadline) -> Result<Option<Account>, UpstreamError> {
        let silent = std::mem::take(&mut self.book.lock().expect("nobody panics").silent_search);
        if silent {
            return std::future::pending().await;
        }
        Ok(Some(whose_account()))
    }

    async fn register_check(&self, check: &OutsideCheck, _: Deadline) -> Result<(), UpstreamError> {
        let guid = check.check_guid.to_string();
        self.suffer(|| self.write(check.bonus_accrued, None, Some(&guid))).await
    }

    async fn refill(&self, _: &AccountId, sum: Money, comment: &str, _: Deadline) -> Result<(), UpstreamError> {
        self.suffer(|| self.write(sum, Some(comment), None)).await
    }

    async fn transactions(&self, _: &AccountId, _: History, _: Deadline) -> Result<Vec<Transaction>, UpstreamError> {
        let book = self.book.lock().expect("nobody panics");
        if book.unreadable {
            return Err(UpstreamError::Invalid);
        }
        Ok(book.entries.iter().map(|(entry, _)| entry.clone()).collect())
    }

    async fn pending(&self, _: &AccountId, _: Deadline) -> Result<Vec<Money>, UpstreamError> {
        Ok(Vec::new())
    }

    async fn check(&self, id: &CheckId, _: Deadline) -> Result<Option<Check>, UpstreamError> {
        let book = self.book.lock().expect("nobody panics");
        Ok(book
            .entries
            .iter()
            .find_map(|(_, check)| check.clone().filter(|check| check.id == *id)))
    }

    async fn account_groups(&self, _: Deadline) -> Result<Vec<AccountGroup>, UpstreamError> {
        Ok(Vec::new())
    }
}

fn whose_account() -> Account {
    Account {
        id: AccountId::parse("5").expect("an id"),
        group: None,
        first_name: None,
        last_name: None,
        middle_name: None,
        birthday: None,
        gender: None,
        email: None,
        balance: None,
        blocked: false,
        turnover: None,
        level: None,
        coupons: Vec::new(),
        identifiers: Vec::new(),
    }
}

/// The orders that partners push: two checks of the same sums and two refills of the same sum, the hardest to tell apart.
fn order(number: usize) -> Order {
    let whose = Whose::Account(AccountId::parse("5").expect("an id"));
    let sum = |kopecks| Money::from_minor(kopecks).expect("a sum");
    if number < 2 {
        return Order::Check(CheckOrder {
            check_guid: uuid::Uuid::from_u128(0x4000_8000_0000_0000_0001 + number as u128),
            whose,
            restaurant_code: 1,
            unit_code: 1,
            external_number: format!("D-{number}"),
            bonus_spent: Money::ZERO,
            discount: Money::ZERO,
            bonus_accrued: sum(500),
            money_spent: sum(10_000),
            content: None,
        });
    }
    Order::Refill(RefillOrder {
        key: format!("key {number}"),
        key_quoted: None,
        whose,
        amount: sum(700),
        comment: None,
    })
}

const SECRET: &str = "a master secret for tests of enough bytes";

/// A room over the store at `url`.
async fn room(url: &str, ledger: &Arc<Memory>, (secret, previous): (&str, Option<&str>)) -> Arc<Partner> {
    let store = Arc::new(Store::open(&url.to_owned().into()).await.expect("the store opens"));
    let entropy = Entropy::system();
    let secrets = Secrets::derive(&secret.into(), previous.map(Into::into).as_ref());
    let loaded = store.load_keys(secrets, ledger.clock.now_us(), &entropy).await;
    let (keys, _) = loaded.expect("the store keeps the ledger key");
    let tools = Tools {
        ledger: ledger.clone(),
        store,
        keys: Arc::new(keys),
        clock: ledger.clock.clone(),
        entropy,
    };
    let late_effect = Duration::from_secs(5);
    Partner::start([].into(), late_effect, (TimeZone::UTC, Time::midnight()), tools)
        .await
        .expect("the room opens")
}

fn memory(fates: Vec<Fate>, shy: bool) -> Arc<Memory> {
    let book = Book {
        fates: fates.into(),
        shy,
        ..Book::default()
    };
    Arc::new(Memory {
        book: Mutex::new(book),
        clock: Clock::manual(friday_noon()),
    })
}

fn caller() -> Caller {
    Caller {
        name: "delivery".into(),
    }
}

/// One life of a process: its own runtime, that a crash ends.
struct Life {
    runtime: tokio::runtime::Runtime,
    room: Arc<Partner>,
}

impl Life {
    fn begin(url: &str, ledger: &Arc<Memory>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let room = runtime.block_on(room(url, ledger, (SECRET, None)));
        Self { runtime, room }
    }

    /// Time passes, and settling looks. When it hangs, the process dies and another starts.
    fn settle(self, url: &str, ledger: &Arc<Memory>, seconds: u64) -> Self {
        ledger.clock.advance(Duration::from_secs(seconds));
        let room = self.room.clone();
        let settled = self
            .runtime
            .block_on(async { tokio::time::timeout(Duration::from_millis(60), room.settle_due()).await });
        drop(room);
        if settled.is_err() {
            self.again(url, ledger)
        } else {
            self
        }
    }

    fn step(self, url: &str, ledger: &Arc<Memory>, step: Step) -> Self {
        match step {
            Step::Push(number) if self.push(number).is_some() => self,
            Step::Push(_) | Step::Crash => self.again(url, ledger),
            Step::Settle(seconds) => self.settle(url, ledger, seconds),
        }
    }

    fn again(self, url: &str, ledger: &Arc<Memory>) -> Self {
        self.end();
        Self::begin(url, ledger)
    }

    /// Pushes an order; `true` when the partner was told that it is registered. `None`: no answer ever, the process has to die.
    fn push(&self, number: usize) -> Option<bool> {
        let caller = caller();
        let work = self
            .room
            .operate(&caller, order(number), Deadline::within(Duration::ZERO));
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(Duration::from_millis(60), work).await });
        match answer.ok()? {
            Ok(operation) => Some(operation.state == State::Registered),
            Err(PartnerError::InProgress | PartnerError::Overloaded | PartnerError::Unavailable { .. }) => Some(false),
            Err(error) => panic!("{error}"),
        }
    }

    fn end(self) {
        drop(self.room);
        self.runtime.shutdown_background();
    }
}

fn steps() -> impl Strategy<Value = (Vec<Step>, Vec<Fate>)> {
    let step = prop_oneof![
        5 => (0_usize..4).prop_map(Step::Push),
        1 => Just(Step::Crash),
        2 => (1_u64..20).prop_map(Step::Settle),
    ];
    let fate = prop_oneof![
        Just(Fate::Done),
        Just(Fate::DoneUnheard),
        Just(Fate::LostUnheard),
        Just(Fate::TurnedAway),
        Just(Fate::Later),
        Just(Fate::DoneTurnedAway),
        Just(Fate::DoneThenDeath),
        Just(Fate::DeathBefore),
    ];
    (prop::collection::vec(step, 1..14), prop::collection::vec(fate, 0..7))
}

fn store() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}/state.db", folder.path().display());
    (folder, url)
}

impl Memory {
    /// What was booked; each once.
    fn booked_once(&self) -> Vec<String> {
        let mut booked = self.book.lock().expect("nobody panics").booked.clone();
        booked.sort();
        let all = booked.len();
        booked.dedup();
        assert_eq!(booked.len(), all, "something was booked twice");
        booked
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_every_order_is_booked_once((steps, fates) in steps()) {
        let (_folder, url) = store();
        let ledger = memory(fates, false);
        let mut life = Life::begin(&url, &ledger);
        for step in steps {
            life = life.step(&url, &ledger, step);
        }
        // The bad days are over: partners push until they hear that it is done.
        ledger.book.lock().expect("nobody panics").fates.clear();
        for number in 0..4 {
            let mut done = false;
            for _ in 0..40 {
                done = life.push(number) == Some(true);
                if done { break; }
                life = life.settle(&url, &ledger, 7);
            }
            prop_assert!(done, "order {number} is never done");
        }
        prop_assert_eq!(ledger.booked_once().len(), 4);
        life.end();
    }

    #[test]
    fn of_a_probonus_that_shows_nothing_no_order_is_booked_twice((steps, fates) in steps()) {
        let (_folder, url) = store();
        let ledger = memory(fates, true);
        let mut life = Life::begin(&url, &ledger);
        for step in steps {
            life = life.step(&url, &ledger, step);
        }
        for number in 0..4 {
            let _ = life.push(number);
            life = life.settle(&url, &ledger, 30);
        }
        ledger.booked_once();
        life.end();
    }
}

#[tokio::test]
async fn who_stood_still_while_another_took_over_sends_nothing_more() {
    let (_folder, url) = store();
    let ledger = memory(vec![Fate::Later], false);
    let second = room(&url, &ledger, (SECRET, None)).await;
    let first = room(&url, &ledger, (SECRET, None)).await;
    let slow = tokio::spawn(async move {
        let far = Deadline::within(Duration::from_secs(20));
        first.operate(&caller(), order(0), far).await
    });
    while !ledger.book.lock().expect("nobody panics").fates.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Longer than its lease and than it takes to prove that it is absent, while it waits to send it again.
    ledger.clock.advance(Duration::from_secs(7));
    while ledger.booked_once().is_empty() {
        second.settle_due().await;
    }
    let answer = slow.await.expect("the task ends");
    assert!(matches!(answer, Err(PartnerError::InProgress)), "{answer:?}");
    assert_eq!(ledger.booked_once().len(), 1);
}

#[tokio::test]
async fn a_rotation_of_the_secret_makes_no_old_order_a_new_one() {
    let (_folder, url) = store();
    let ledger = memory(vec![Fate::Done, Fate::Done, Fate::DoneUnheard], false);
    let far = || Deadline::within(Duration::from_secs(10));
    ledger.book.lock().expect("nobody panics").unreadable = true;
    let old = room(&url, &ledger, (SECRET, None)).await;
    for number in [0, 2, 3] {
        let done = old.operate(&caller(), order(number), far()).await.expect("an outcome");
        assert_eq!(done.state == State::Registered, number != 3);
    }
    old.stop().await;
    let (newer, newest) = (
        "a newer secret for tests of enough bytes",
        "the newest secret for tests of enough bytes",
    );
    ledger.book.lock().expect("nobody panics").unreadable = false;
    let rotated = room(&url, &ledger, (newer, Some(SECRET))).await;
    for number in [0, 2, 3] {
        let again = loop {
            ledger.clock.advance(Duration::from_secs(10));
            rotated.settle_due().await;
            let again = rotated
                .operate(&caller(), order(number), far())
                .await
                .expect("an outcome");
            if again.state == State::Registered {
                break again;
            }
        };
        assert!(again.replayed, "{again:?}");
    }
    rotated.stop().await;
    // The first secret is gone, and its orders are known all the same.
    let late = room(&url, &ledger, (newest, Some(newer))).await;
    for number in [0, 2, 3] {
        let again = late.operate(&caller(), order(number), far()).await.expect("an outcome");
        assert!(again.replayed && again.state == State::Registered, "{again:?}");
    }
    late.stop().await;
    // Under a secret that was never told of the others nobody can tell whether it is the same order, but it is never a new one.
    let lost = room(&url, &ledger, ("a secret that opens nothing, of enough bytes", None)).await;
    for number in [0, 2, 3] {
        let refused = lost.operate(&caller(), order(number), far()).await;
        assert!(matches!(
            refused,
            Err(PartnerError::CheckConflict | PartnerError::IdempotencyMismatch)
        ));
    }
    assert_eq!(ledger.booked_once().len(), 3);
}

#[tokio::test]
async fn what_was_left_untouched_is_carried_out_though_nobody_asks_again() {
    let (_folder, url) = store();
    let ledger = memory(Vec::new(), false);
    let Order::Check(check) = order(0) else {
        panic!("a check");
    };
    let by_phone = Order::Check(CheckOrder {
        whose: Whose::Phone(Phone::from_e164("+79160000001").expect("a phone")),
        ..check
    });
    // Its owner dies while it asks whose phone that is.
    ledger.book.lock().expect("nobody panics").silent_search = true;
    let first = room(&url, &ledger, (SECRET, None)).await;
    let caller = caller();
    let asked = first.operate(&caller, by_phone, Deadline::within(Duration::from_secs(10)));
    assert!(tokio::time::timeout(Duration::from_millis(300), asked).await.is_err());
    assert!(ledger.booked_once().is_empty());
    let second = room(&url, &ledger, (SECRET, None)).await;
    while ledger.booked_once().is_empty() {
        second.settle_due().await;
    }
    second.stop().await;
    assert_eq!(ledger.booked_once().len(), 1);
}
