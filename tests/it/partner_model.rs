//! The promise of "once", tried on generated bad days: states × faults × crashes, in seconds, without a network.
//!
//! ProBonus is a book in memory that does, or does not do, what it is asked, and says so, or does not. A crash is the end of a process'
//! whole runtime in the middle of whatever it was doing. Whatever happened: in the end every order is booked once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use guest_cabinet::clock::{Clock, Deadline};
use guest_cabinet::config::SettlingConfig;
use guest_cabinet::entropy::Entropy;
use guest_cabinet::keys::Keys;
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
    fates: VecDeque<Fate>,
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
        let number = book.entries.len() + 1;
        let id = CheckId::parse(&number.to_string()).expect("an id");
        let check = guid.map(|guid| Check {
            id: id.clone(),
            number: Some(format!("D-{number}")),
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
            check_guid: Some(guid.to_owned()),
        });
        let entry = Transaction {
            id: TransactionId::parse(&number.to_string()).expect("an id"),
            occurred_at: self.clock.now(),
            kind: TransactionKind::Refill,
            amount,
            balance_after: None,
            check_id: check.as_ref().map(|_| id),
            restaurant: None,
            comment: comment.map(str::to_owned),
        };
        book.entries.push((entry, check));
    }

    async fn suffer(&self, write: impl FnOnce()) -> Result<(), UpstreamError> {
        let unheard = Err(UpstreamError::Unavailable {
            retry_after: None,
            effect: Effect::Unknown,
        });
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
        Ok(None)
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
        whose,
        amount: sum(700),
        comment: None,
    })
}

/// One life of a process: its own runtime, that a crash ends.
struct Life {
    runtime: tokio::runtime::Runtime,
    room: Arc<Partner>,
}

impl Life {
    fn begin(url: &str, ledger: &Arc<Memory>, clock: &Clock) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let room = runtime.block_on(async {
            let store = Arc::new(Store::open(&url.to_owned().into()).await.expect("the store opens"));
            let entropy = Entropy::system();
            let keys = Keys::derive(
                &"a master secret for tests of enough bytes".into(),
                None,
                entropy.clone(),
            );
            let tools = Tools {
                ledger: ledger.clone(),
                store,
                keys: Arc::new(keys),
                clock: clock.clone(),
                entropy,
            };
            let settling = SettlingConfig {
                wait: Duration::from_secs(5),
            };
            Partner::start([].into(), settling, (TimeZone::UTC, Time::midnight()), tools)
                .await
                .expect("the room opens")
        });
        Self { runtime, room }
    }

    /// Pushes an order; `true` when the partner was told that it is registered. `None`: no answer ever, the process has to die.
    fn push(&self, number: usize) -> Option<bool> {
        let caller = Caller {
            name: "delivery".into(),
        };
        let work = self
            .room
            .operate(&caller, order(number), Deadline::within(Duration::ZERO));
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(Duration::from_millis(60), work).await });
        match answer.ok()? {
            Ok(operation) => Some(operation.state == State::Registered),
            Err(PartnerError::InProgress | PartnerError::Overloaded) => Some(false),
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
        Just(Fate::DoneThenDeath),
        Just(Fate::DeathBefore),
    ];
    (prop::collection::vec(step, 1..14), prop::collection::vec(fate, 0..7))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_every_order_is_booked_once((steps, fates) in steps()) {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}/state.db", folder.path().display());
        let clock = Clock::manual(friday_noon());
        let ledger = Arc::new(Memory { book: Mutex::default(), clock: clock.clone() });
        ledger.book.lock().expect("nobody panics").fates = fates.into();
        let mut life = Life::begin(&url, &ledger, &clock);
        let again = |life: Life| { life.end(); Life::begin(&url, &ledger, &clock) };
        let settle = |life: Life, seconds: u64| {
            clock.advance(Duration::from_secs(seconds));
            let room = life.room.clone();
            let settled = life.runtime.block_on(async { tokio::time::timeout(Duration::from_millis(60), room.settle_due()).await });
            drop(room);
            if settled.is_err() { again(life) } else { life }
        };
        for step in steps {
            life = match step {
                Step::Push(number) => if life.push(number).is_none() { again(life) } else { life },
                Step::Crash => again(life),
                Step::Settle(seconds) => settle(life, seconds),
            };
        }
        // The bad days are over: partners push until they hear that it is done.
        ledger.book.lock().expect("nobody panics").fates.clear();
        for number in 0..4 {
            let mut done = false;
            for _ in 0..40 {
                done = life.push(number) == Some(true);
                if done { break; }
                life = settle(life, 7);
            }
            prop_assert!(done, "order {number} is never done");
        }
        let book = ledger.book.lock().expect("nobody panics");
        for number in 0..2_u128 {
            let guid = uuid::Uuid::from_u128(0x4000_8000_0000_0000_0001 + number).to_string();
            let times = book.entries.iter().filter(|(_, check)| check.as_ref().is_some_and(|check| check.check_guid.as_deref() == Some(&guid))).count();
            prop_assert_eq!(times, 1, "check {}", number);
        }
        let refills = book.entries.iter().filter(|(_, check)| check.is_none()).count();
        prop_assert_eq!(refills, 2);
        drop(book);
        life.end();
    }
}
