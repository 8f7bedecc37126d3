//! Generations: a write moves the generation of its subjects in its own transaction, and what was read under an older one is outdated.
//!
//! The store counts writes. The generation of a subject is the number of its last write; the generation an answer was read under is the
//! count when it was asked for. So an answer can be told to be of before a write without any clock, and without knowing when it was asked
//! for which subjects it would turn out to be about.

use super::engine::{Store, StoreError, on_pool};
use super::hints::Hint;
use crate::keys::{Keys, Purpose, Tag};
use crate::model::{AccountId, GuestKey};

/// A number of the store's count of writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(pub i64);

/// What a write is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A guest.
    Guest(GuestKey),
    /// An account, by its keyed hash.
    Account(Tag),
}

impl Subject {
    pub(super) fn key(&self) -> &[u8] {
        match self {
            Self::Guest(guest) => &guest.0,
            Self::Account(account) => account,
        }
    }

    pub(super) fn hint(&self, number: Generation) -> Hint {
        match self {
            Self::Guest(guest) => Hint::GuestWritten(*guest, number),
            Self::Account(account) => Hint::AccountWritten(*account, number),
        }
    }
}

/// The keyed hash that an account's id is kept by.
#[must_use]
pub fn account_subject(keys: &Keys, account: &AccountId) -> Tag {
    keys.mac(Purpose::Subject, &[b"account", account.as_str().as_bytes()])
}

pub(super) const COUNT: &str = "UPDATE writes SET number = number + 1 RETURNING number";

pub(super) const MOVE: &str = "INSERT INTO generations (subject, number, moved_at_us) VALUES ($1, $2, $3) \
     ON CONFLICT (subject) DO UPDATE SET number = excluded.number, moved_at_us = excluded.moved_at_us";

/// What is kept of a subject from before. The count's row is taken first, so that writes come one after the other and never wait crosswise.
pub(super) const DROP_COPIES: &str = "DELETE FROM views WHERE guest = $1 OR account = $1";

/// Moves the generations of `$subjects` inside a transaction and leaves the hints of it; gives the hints and the number.
macro_rules! move_generations {
    ($store:expr, $transaction:ident, $subjects:expr, $now_us:expr) => {{
        let (number,): (i64,) = sqlx::query_as($crate::store::generations::COUNT)
            .fetch_one(&mut *$transaction)
            .await?;
        let number = $crate::store::generations::Generation(number);
        let mut hints = Vec::new();
        for subject in $subjects {
            sqlx::query($crate::store::generations::MOVE)
                .bind(subject.key())
                .bind(number.0)
                .bind($now_us)
                .execute(&mut *$transaction)
                .await?;
            sqlx::query($crate::store::generations::DROP_COPIES)
                .bind(subject.key())
                .execute(&mut *$transaction)
                .await?;
            let hint = subject.hint(number);
            $crate::store::hints::leave_hint!($store, $transaction, hint);
            hints.push(hint);
        }
        (number, hints)
    }};
}
pub(super) use move_generations;

impl Store {
    /// A write happened to these subjects: their generations move, what is kept of them goes, and everybody hears of it.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn move_generations(&self, subjects: &[Subject], now_us: i64) -> Result<Generation, StoreError> {
        let echo = self.expect_echo();
        let (number, hints) = on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            let moved = move_generations!(self, transaction, subjects, now_us);
            transaction.commit().await?;
            moved
        });
        echo.committed(&hints).await;
        Ok(number)
    }

    /// Removes at most `most` generations that were moved before `before_us`; says how many.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn prune_generations(&self, before_us: i64, most: i64) -> Result<u64, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "DELETE FROM generations WHERE moved_at_us <= $1 AND subject IN \
             (SELECT subject FROM generations WHERE moved_at_us <= $1 LIMIT $2{})",
            self.skip_locked()
        ));
        Ok(on_pool!(self, |pool| {
            sqlx::query(sql)
                .bind(before_us)
                .bind(most)
                .execute(pool)
                .await?
                .rows_affected()
        }))
    }
}
