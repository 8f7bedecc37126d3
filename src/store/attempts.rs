//! The steps of a partner's operation in its owner's hands, each on disk before the next thing happens.

use super::engine::{Store, StoreError, on_pool};
use super::operations::OperationRow;
use crate::model::UnknownReason;

/// What an operation takes of one of its partner's sums of the day.
#[derive(Clone, Copy, Debug)]
pub struct DaySum {
    /// Which sum it is.
    pub what: &'static str,
    /// Names partner, sum and day.
    pub key: [u8; 32],
    /// How much, in kopecks.
    pub sum: i64,
    /// At most so much in all.
    pub most: i64,
}

/// Whether a call may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It may.
    Yes,
    /// Somebody else owns the operation by now, or it is decided.
    NotOurs,
    /// The partner's sum of the day does not allow it.
    DayUsedUp,
}

/// What goes on disk before a call leaves.
#[derive(Clone, Copy, Debug)]
pub struct Sending<'a> {
    /// The order with the account that it is about, sealed.
    pub sealed: &'a [u8],
    /// What makes two orders alike; none of orders that are never alike.
    pub likeness: Option<&'a [u8]>,
    /// Until when the owner is believed to live.
    pub lease_until_us: i64,
    /// Now.
    pub now_us: i64,
}

/// When an operation that nobody works on is looked at again, and what is known of it by then.
#[derive(Clone, Copy, Debug)]
pub struct Release {
    /// When it is due.
    pub due_at_us: i64,
    /// Now.
    pub now_us: i64,
    /// How far ProBonus' history lagged, when that was seen.
    pub history_lag_us: Option<i64>,
    /// What its proof lacks.
    pub reason: Option<UnknownReason>,
}

/// A day's sum is kept a little longer than the day.
const TWO_DAYS_US: i64 = 2 * 86_400_000_000;

const TAKE_SUM: &str = "INSERT INTO limits (key, started_at_us, ends_at_us, count) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (key) DO UPDATE SET count = limits.count + $4 WHERE limits.count + $4 <= $5";

impl Store {
    /// A call leaves now: on disk before its first byte, together with what it takes of the partner's sums of the day, when it has not
    /// taken that before.
    ///
    /// # Errors
    /// When the store cannot be asked: then the call must not leave.
    pub async fn operation_sent(
        &self,
        row: &OperationRow,
        sending: Sending<'_>,
        sums: &[DaySum],
    ) -> Result<Sent, StoreError> {
        on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            let ours = sqlx::query(
                "UPDATE operations SET attempts = attempts + 1, state = 'sent', sealed = $3, likeness = $4, lease_until_us = $5, \
                 sent_at_us = $6, changed_at_us = $6, history_lag_us = -1, reason = NULL \
                 WHERE key_tag = $1 AND owner = $2 AND state IN ('pending', 'unknown') AND lease_until_us > 0",
            )
            .bind(&row.key_tag)
            .bind(&row.owner)
            .bind(sending.sealed)
            .bind(sending.likeness)
            .bind(sending.lease_until_us)
            .bind(sending.now_us)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            if ours == 0 {
                transaction.rollback().await?;
                return Ok(Sent::NotOurs);
            }
            for day in sums {
                let noted = sqlx::query(
                    "INSERT INTO operation_sums (key_tag, what, day_key, sum) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
                )
                .bind(&row.key_tag)
                .bind(day.what)
                .bind(&day.key[..])
                .bind(day.sum)
                .execute(&mut *transaction)
                .await?
                .rows_affected();
                if noted == 0 {
                    continue;
                }
                let taken = sqlx::query(TAKE_SUM)
                    .bind(&day.key[..])
                    .bind(sending.now_us)
                    .bind(sending.now_us.saturating_add(TWO_DAYS_US))
                    .bind(day.sum)
                    .bind(day.most)
                    .execute(&mut *transaction)
                    .await?
                    .rows_affected();
                if day.sum > day.most || taken == 0 {
                    transaction.rollback().await?;
                    return Ok(Sent::DayUsedUp);
                }
            }
            transaction.commit().await?;
            Ok(Sent::Yes)
        })
    }

    /// Of the call that was recorded certainly nothing left: the operation is what it was before, and still its owner's.
    ///
    /// # Errors
    /// When the store cannot be asked: the operation stays as sent.
    pub async fn operation_undone(&self, before: &OperationRow, now_us: i64) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(
                "UPDATE operations SET state = $3, attempts = attempts - 1, sent_at_us = $4, changed_at_us = $5, \
                 history_lag_us = $6, reason = $7 WHERE key_tag = $1 AND owner = $2 AND state = 'sent'",
            )
            .bind(&before.key_tag)
            .bind(&before.owner)
            .bind(before.state.word())
            .bind(before.sent_at_us)
            .bind(now_us)
            .bind(before.history_lag_us.unwrap_or(-1))
            .bind(before.reason.map(UnknownReason::word))
            .execute(pool)
            .await?;
        });
        Ok(())
    }

    /// The operation's owner is alive; `false` when it is not the owner any more and must not send.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn operation_alive(&self, row: &OperationRow, lease_until_us: i64) -> Result<bool, StoreError> {
        Ok(on_pool!(self, |pool| {
            sqlx::query(
                "UPDATE operations SET lease_until_us = $3 WHERE key_tag = $1 AND owner = $2 AND lease_until_us > 0 \
                 AND state IN ('pending', 'sent', 'unknown')",
            )
            .bind(&row.key_tag)
            .bind(&row.owner)
            .bind(lease_until_us)
            .execute(pool)
            .await?
            .rows_affected()
                > 0
        }))
    }

    /// The owner lets go: whoever finds the operation due goes on. What was sent is unknown now, and may have been under way until now.
    ///
    /// # Errors
    /// When the store cannot be asked: the lease runs out instead.
    pub async fn release_operation(&self, row: &OperationRow, release: Release) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(
                "UPDATE operations SET settle_at_us = $3, lease_until_us = 0, history_lag_us = $5, reason = $6, \
                 sent_at_us = CASE WHEN state = 'sent' THEN $4 ELSE sent_at_us END, \
                 changed_at_us = CASE WHEN state = 'sent' THEN $4 ELSE changed_at_us END, \
                 state = CASE WHEN state = 'sent' THEN 'unknown' ELSE state END \
                 WHERE key_tag = $1 AND owner = $2 AND state IN ('pending', 'sent', 'unknown')",
            )
            .bind(&row.key_tag)
            .bind(&row.owner)
            .bind(release.due_at_us)
            .bind(release.now_us)
            .bind(release.history_lag_us.unwrap_or(-1))
            .bind(release.reason.map(UnknownReason::word))
            .execute(pool)
            .await?;
        });
        Ok(())
    }

    /// Nothing is known to have been sent, and yet ProBonus may have the order: it becomes unknown, as of now, and an attempt that was lost
    /// is counted.
    ///
    /// # Errors
    /// When the store cannot be asked: the operation stays pending.
    pub async fn operation_doubted(
        &self,
        row: &OperationRow,
        sealed: &[u8],
        release: Release,
    ) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(
                "UPDATE operations SET state = 'unknown', attempts = attempts + 1, sealed = $3, settle_at_us = $4, lease_until_us = 0, sent_at_us = $5, \
                 changed_at_us = $5, reason = $6 WHERE key_tag = $1 AND owner = $2 AND state = 'pending'",
            )
            .bind(&row.key_tag)
            .bind(&row.owner)
            .bind(sealed)
            .bind(release.due_at_us)
            .bind(release.now_us)
            .bind(release.reason.map(UnknownReason::word))
            .execute(pool)
            .await?;
        });
        Ok(())
    }
}
