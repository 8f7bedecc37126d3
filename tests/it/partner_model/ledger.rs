//! ProBonus as a book in memory that does, or does not do, or does later, what it is asked, and says so, or does not, or lies.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use guest_cabinet::clock::{Clock, Deadline};
use guest_cabinet::model::{
    Account, AccountGroup, AccountId, Check, CheckId, Money, OutsideCheck, Phone, Transaction, TransactionId,
    TransactionKind,
};
use guest_cabinet::partner::Ledger;
use guest_cabinet::probonus::{Effect, History, UpstreamError};
use jiff::SignedDuration;

/// How a write goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Done and said so.
    Done,
    /// Done, and nobody hears of it.
    DoneUnheard,
    /// Not done, and nobody knows.
    LostUnheard,
    /// Nobody hears of it, and it is done so many seconds later.
    LateUnheard(u64),
    /// It never left.
    NotSent,
    /// It never left, and is to be tried again two seconds later.
    Later,
    /// Done, and turned away as if it were not.
    DoneTurnedAway,
    /// Turned away, to be asked for again a second later, and done so many seconds later all the same.
    LateTurnedAway(u64),
    /// Not done, and said so.
    Refused,
    /// Done, and said that it was not.
    DoneRefused,
    /// Done, then silence: the process dies while it waits.
    DoneThenDeath,
    /// Done so many seconds after the process died while it waited.
    DeathThenDone(u64),
    /// Not done, then silence: the process dies while it waits.
    DeathBefore,
}

/// What ProBonus is like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// Shows neither GUIDs, numbers nor comments.
    pub shy: bool,
    /// Its history shows a movement so many seconds after it was booked.
    pub lag_s: u64,
    /// It dates movements so many hours too late.
    pub ahead_h: i64,
}

/// A movement, from when on it exists.
struct Entry {
    movement: Transaction,
    check: Option<Check>,
    booked_at_us: i64,
}

#[derive(Default)]
pub struct Book {
    entries: Vec<Entry>,
    /// What was booked of the orders, by what tells them apart.
    booked: Vec<String>,
    pub fates: VecDeque<Fate>,
    /// Whether the next search by phone never ends.
    pub silent_search: bool,
    /// Whether the history cannot be read.
    pub unreadable: bool,
}

/// ProBonus.
pub struct Memory {
    book: Mutex<Book>,
    pub clock: Clock,
    manner: Manner,
}

impl Memory {
    pub fn new(clock: Clock, manner: Manner, fates: Vec<Fate>) -> Arc<Self> {
        let book = Book {
            fates: fates.into(),
            ..Book::default()
        };
        Arc::new(Self {
            book: Mutex::new(book),
            clock,
            manner,
        })
    }

    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("nobody panics")
    }

    /// What was booked of the orders; each once.
    pub fn booked_once(&self) -> Vec<String> {
        let mut booked = self.book().booked.clone();
        booked.sort();
        let all = booked.len();
        booked.dedup();
        assert_eq!(booked.len(), all, "something was booked twice");
        booked
    }

    /// The guest buys something at the till.
    pub fn purchase(&self) {
        self.enter(money(11), TransactionKind::Accrual, None, None, 0);
    }

    fn enter(&self, amount: Money, kind: TransactionKind, comment: Option<&str>, guid: Option<&str>, later_s: u64) {
        let mut book = self.book();
        let number = book.entries.len() + 1;
        let shown = !self.manner.shy;
        let id = CheckId::parse(&number.to_string()).expect("an id");
        let booked_at = self.clock.now() + Duration::from_secs(later_s);
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
        let movement = Transaction {
            id: TransactionId::parse(&number.to_string()).expect("an id"),
            occurred_at: booked_at + SignedDuration::from_hours(self.manner.ahead_h),
            kind,
            amount,
            balance_after: None,
            check_id: check.as_ref().map(|_| id),
            restaurant: None,
            comment: comment.filter(|_| shown).map(str::to_owned),
        };
        book.entries.push(Entry {
            movement,
            check,
            booked_at_us: booked_at.as_microsecond(),
        });
    }

    /// An order takes effect so many seconds from now.
    fn book_order(&self, amount: Money, comment: Option<&str>, guid: Option<&str>, later_s: u64) {
        let kind = match guid {
            Some(_) => TransactionKind::Accrual,
            None => TransactionKind::Refill,
        };
        let name = guid.or(comment).expect("an order has a name").to_owned();
        self.book().booked.push(name);
        self.enter(amount, kind, comment, guid, later_s);
    }

    async fn suffer(&self, book: impl Fn(u64)) -> Result<(), UpstreamError> {
        let failed = |retry_after, effect| Err(UpstreamError::Unavailable { retry_after, effect });
        let unheard = failed(None, Effect::Unknown);
        let turned_away = failed(Some(Duration::from_secs(1)), Effect::Unknown);
        let refused = Err(UpstreamError::Refused { status: 400 });
        let fate = self.book().fates.pop_front().unwrap_or(Fate::Done);
        match fate {
            Fate::Done | Fate::DoneUnheard | Fate::DoneTurnedAway | Fate::DoneRefused | Fate::DoneThenDeath => book(0),
            Fate::LateUnheard(seconds) | Fate::LateTurnedAway(seconds) | Fate::DeathThenDone(seconds) => book(seconds),
            Fate::LostUnheard | Fate::NotSent | Fate::Later | Fate::Refused | Fate::DeathBefore => {}
        }
        match fate {
            Fate::Done => Ok(()),
            Fate::DoneUnheard | Fate::LostUnheard | Fate::LateUnheard(_) => unheard,
            Fate::NotSent => Err(UpstreamError::Overloaded),
            Fate::Later => failed(Some(Duration::from_secs(2)), Effect::None),
            Fate::DoneTurnedAway | Fate::LateTurnedAway(_) => turned_away,
            Fate::Refused | Fate::DoneRefused => refused,
            Fate::DoneThenDeath | Fate::DeathThenDone(_) | Fate::DeathBefore => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Ledger for Memory {
    async fn find_by_phone(&self, _: &Phone, _: Deadline) -> Result<Option<Account>, UpstreamError> {
        let silent = std::mem::take(&mut self.book().silent_search);
        if silent {
            return std::future::pending().await;
        }
        Ok(Some(whose_account()))
    }

    async fn register_check(&self, _: &AccountId, check: &OutsideCheck, _: Deadline) -> Result<(), UpstreamError> {
        let guid = check.check_guid.to_string();
        let book = |later_s| self.book_order(check.bonus_accrued, None, Some(&guid), later_s);
        self.suffer(book).await
    }

    async fn refill(&self, _: &AccountId, sum: Money, comment: &str, _: Deadline) -> Result<(), UpstreamError> {
        self.suffer(|later_s| self.book_order(sum, Some(comment), None, later_s))
            .await
    }

    async fn transactions(&self, _: &AccountId, _: History, _: Deadline) -> Result<Vec<Transaction>, UpstreamError> {
        let book = self.book();
        if book.unreadable {
            return Err(UpstreamError::Invalid);
        }
        let seen_until_us = (self.clock.now() - Duration::from_secs(self.manner.lag_s)).as_microsecond();
        let seen = book.entries.iter().filter(|entry| entry.booked_at_us <= seen_until_us);
        Ok(seen.map(|entry| entry.movement.clone()).collect())
    }

    async fn pending(&self, _: &AccountId, _: Deadline) -> Result<Vec<Money>, UpstreamError> {
        Ok(Vec::new())
    }

    async fn check(&self, id: &CheckId, _: Deadline) -> Result<Option<Check>, UpstreamError> {
        let book = self.book();
        let mut checks = book.entries.iter().filter_map(|entry| entry.check.clone());
        Ok(checks.find(|check| check.id == *id))
    }

    async fn account_groups(&self, _: Deadline) -> Result<Vec<AccountGroup>, UpstreamError> {
        Ok(Vec::new())
    }
}

pub fn money(kopecks: i64) -> Money {
    Money::from_minor(kopecks).expect("a sum")
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
