//! The steps of a partner's operation in its owner's hands, each on disk before the next thing happens.

use super::engine::{Store, StoreError, on_pool};
use super::generations::{Subject, move_generations};
use super::operations::OperationRow;

/// What an operation takes of a partner's sum of the day.
#[derive(Clone, Copy, Debug)]
pub struct DaySum {
    /// Names partner and day.
    pub key: [u8; 32],
    /// How much.
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

/// A day's sum is kept a little longer than the day.
const TWO_DAYS_US: i64 = 2 * 86_400_000_000;

const TAKE_SUM: &str = "INSERT INTO limits (key, started_at_us, ends_at_us, count) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (key) DO UPDATE SET count = limits.count + $4 WHERE limits.count + $4 <= $5";

const RETURN_SUM: &str = "UPDATE limits SET count = count - $2 WHERE key = $1 AND count >= $2";

impl Store {
    /// A call leaves now: on disk before its first byte, together with what it takes of the partner's sum of the day.
    ///
    /// # Errors
    /// When the store cannot be asked: then the call must not leave.
    pub async fn operation_sent(
        &self,
        row: &OperationRow,
        sealed: &[u8],
        lease_until_us: i64,
        now_us: i64,
        day: Option<&DaySum>,
    ) -> Result<Sent, StoreError> {
        on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            let ours = sqlx::query(
                "UPDATE operations SET attempts = attempts + CASE WHEN state = 'sent' THEN 0 ELSE 1 END, state = 'sent', \
                 sealed = $3, lease_until_us = $4, sent_at_us = $5, changed_at_us = $5 \
                 WHERE key_tag = $1 AND owner = $2 AND state IN ('pending', 'sent', 'unknown') AND lease_until_us > 0",
            )
            .bind(&row.key_tag)
            .bind(&row.owner)
            .bind(sealed)
            .bind(lease_until_us)
            .bind(now_us)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            if ours == 0 {
                transaction.rollback().await?;
                return Ok(Sent::NotOurs);
            }
            if let Some(day) = day {
                let taken = sqlx::query(TAKE_SUM)
                    .bind(&day.key[..])
                    .bind(now_us)
                    .bind(now_us.saturating_add(TWO_DAYS_US))
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

    /// ProBonus has it: whoever saw that, and whoever owns the operation by now, nothing more is sent, and what was read of `subjects`
    /// before is outdated. `false` when it is decided already.
    ///
    /// # Errors
    /// When the store cannot be asked: the operation stays as it was and is settled later.
    pub async fn operation_registered(
        &self,
        row: &OperationRow,
        subjects: &[Subject],
        now_us: i64,
    ) -> Result<bool, StoreError> {
        let echo = self.expect_echo();
        let (news, hints) = on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            let decided = sqlx::query(
                "UPDATE operations SET state = 'registered', settle_at_us = 0, lease_until_us = 0, changed_at_us = $2 \
                 WHERE key_tag = $1 AND state IN ('sent', 'unknown')",
            )
            .bind(&row.key_tag)
            .bind(now_us)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            let hints = if decided > 0 {
                move_generations!(self, transaction, subjects, now_us).1
            } else {
                Vec::new()
            };
            transaction.commit().await?;
            (decided > 0, hints)
        });
        echo.committed(&hints).await;
        Ok(news)
    }

    /// ProBonus refused it for good, says the owner; its sum goes back to the day.
    ///
    /// # Errors
    /// When the store cannot be asked: the operation stays as it was and is settled later.
    pub async fn operation_rejected(
        &self,
        row: &OperationRow,
        now_us: i64,
        day: Option<&DaySum>,
    ) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            let ours = sqlx::query(
                "UPDATE operations SET state = 'rejected', settle_at_us = 0, lease_until_us = 0, changed_at_us = $3 \
                 WHERE key_tag = $1 AND owner = $2 AND state = 'sent'",
            )
            .bind(&row.key_tag)
            .bind(&row.owner)
            .bind(now_us)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            if let Some(day) = day.filter(|_| ours > 0) {
                sqlx::query(RETURN_SUM)
                    .bind(&day.key[..])
                    .bind(day.sum)
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await?;
        });
        Ok(())
    }

    /// The owner lets go: whoever finds the operation due goes on. What was sent is unknown now, and may have been under way until now;
    /// an attempt that certainly did nothing is `undone` and does not count.
    ///
    /// # Errors
    /// When the store cannot be asked: the lease runs out instead.
    pub async fn release_operation(
        &self,
        row: &OperationRow,
        undone: bool,
        due_at_us: i64,
        now_us: i64,
    ) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(
                "UPDATE operations SET settle_at_us = $3, lease_until_us = 0, \
                 sent_at_us = CASE WHEN state = 'sent' THEN $4 ELSE sent_at_us END, \
                 changed_at_us = CASE WHEN state = 'sent' THEN $4 ELSE changed_at_us END, \
                 attempts = attempts - CASE WHEN state = 'sent' THEN $5 ELSE 0 END, \
                 state = CASE WHEN state = 'sent' THEN 'unknown' ELSE state END \
                 WHERE key_tag = $1 AND owner = $2 AND state IN ('pending', 'sent', 'unknown')",
            )
            .bind(&row.key_tag)
            .bind(&row.owner)
            .bind(due_at_us)
            .bind(now_us)
            .bind(i64::from(undone))
            .execute(pool)
            .await?;
        });
        Ok(())
    }

    /// Forgets an operation of which certainly nothing was done, and gives back what it took of the day: it may be asked for again.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn forget_operation(&self, row: &OperationRow, day: Option<&DaySum>) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            let ours = sqlx::query(
                "DELETE FROM operations WHERE key_tag = $1 AND owner = $2 AND state IN ('pending', 'sent')",
            )
            .bind(&row.key_tag)
            .bind(&row.owner)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            if let Some(day) = day.filter(|_| ours > 0) {
                sqlx::query(RETURN_SUM)
                    .bind(&day.key[..])
                    .bind(day.sum)
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await?;
        });
        Ok(())
    }
}
