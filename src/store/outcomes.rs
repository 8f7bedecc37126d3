//! How partners' operations end: each once, and what an operation took of its partner's day goes back once when it ends without effect.

use super::engine::{Store, StoreError, on_pool};
use super::generations::{Subject, move_generations};
use super::operations::OperationRow;

/// What of ProBonus' history shows an operation.
#[derive(Clone, Copy, Debug)]
pub struct Settled<'a> {
    /// The keyed hash of the account's id.
    pub account: &'a [u8],
    /// The check's or the movement's id, with what it is in front.
    pub movement: &'a str,
}

/// What became of registering an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registering {
    /// It is registered now.
    Done,
    /// It was decided before.
    Decided,
    /// What shows it settled another operation: nothing was changed.
    ClaimedElsewhere,
}

/// Claims what shows an operation, unless another has; says whose it is.
const CLAIM_MOVEMENT: &str = "INSERT INTO settled_movements (account, movement, key_tag) VALUES ($1, $2, $3) \
     ON CONFLICT (account, movement) DO UPDATE SET key_tag = settled_movements.key_tag RETURNING key_tag";

/// Gives back what an operation took of its partner's days. In the transaction of the statement that ends the operation, which lets one
/// pass alone.
macro_rules! return_sums {
    ($transaction:expr, $key_tag:expr) => {{
        let sums: Vec<(Vec<u8>, i64)> =
            sqlx::query_as("DELETE FROM operation_sums WHERE key_tag = $1 RETURNING day_key, sum")
                .bind($key_tag)
                .fetch_all(&mut *$transaction)
                .await?;
        for (day_key, sum) in sums {
            sqlx::query("UPDATE limits SET count = count - $2 WHERE key = $1 AND count >= $2")
                .bind(day_key)
                .bind(sum)
                .execute(&mut *$transaction)
                .await?;
        }
    }};
}

impl Store {
    /// ProBonus has it: whoever saw that, and whoever owns the operation by now, nothing more is sent, and what was read of `subjects`
    /// before is outdated. What shows it settles this operation and no other; an answer that says so needs no such proof.
    ///
    /// # Errors
    /// When the store cannot be asked: the operation stays as it was and is settled later.
    pub async fn operation_registered(
        &self,
        row: &OperationRow,
        subjects: &[Subject],
        shown: Option<Settled<'_>>,
        now_us: i64,
    ) -> Result<Registering, StoreError> {
        let echo = self.expect_echo();
        let (registering, hints) = on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            if let Some(shown) = shown {
                let owner: Option<(Vec<u8>,)> = sqlx::query_as(CLAIM_MOVEMENT)
                    .bind(shown.account)
                    .bind(shown.movement)
                    .bind(&row.key_tag)
                    .fetch_optional(&mut *transaction)
                    .await?;
                if owner.is_none_or(|(owner,)| owner != row.key_tag) {
                    transaction.rollback().await?;
                    return Ok(Registering::ClaimedElsewhere);
                }
            }
            let decided = sqlx::query(
                "UPDATE operations SET state = 'registered', settle_at_us = 0, lease_until_us = 0, changed_at_us = $2, reason = NULL \
                 WHERE key_tag = $1 AND state IN ('pending', 'sent', 'unknown')",
            )
            .bind(&row.key_tag)
            .bind(now_us)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            let done = if decided > 0 {
                let hints = move_generations!(self, transaction, subjects, now_us).1;
                (Registering::Done, hints)
            } else {
                (Registering::Decided, Vec::new())
            };
            transaction.commit().await?;
            done
        });
        echo.committed(&hints).await;
        Ok(registering)
    }

    /// ProBonus refused it for good, says the owner.
    ///
    /// # Errors
    /// When the store cannot be asked: the operation stays as it was and is settled later.
    pub async fn operation_rejected(&self, row: &OperationRow, now_us: i64) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            let ours = sqlx::query(
                "UPDATE operations SET state = 'rejected', settle_at_us = 0, lease_until_us = 0, changed_at_us = $3, reason = NULL \
                 WHERE key_tag = $1 AND owner = $2 AND state = 'sent'",
            )
            .bind(&row.key_tag)
            .bind(&row.owner)
            .bind(now_us)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            if ours > 0 {
                return_sums!(transaction, &row.key_tag);
            }
            transaction.commit().await?;
        });
        Ok(())
    }

    /// Forgets an operation of which certainly nothing was done: it may be asked for again.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn forget_operation(&self, row: &OperationRow) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            let ours = sqlx::query("DELETE FROM operations WHERE key_tag = $1 AND owner = $2 AND state = 'pending'")
                .bind(&row.key_tag)
                .bind(&row.owner)
                .execute(&mut *transaction)
                .await?
                .rows_affected();
            if ours > 0 {
                return_sums!(transaction, &row.key_tag);
            }
            transaction.commit().await?;
        });
        Ok(())
    }

    /// An operator decides an unknown operation; `false` when it is not unknown any more.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn decide_operation(&self, id: &str, registered: bool, now_us: i64) -> Result<bool, StoreError> {
        let state = if registered { "registered" } else { "rejected" };
        on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            let decided: Option<(Vec<u8>,)> = sqlx::query_as(
                "UPDATE operations SET state = $2, settle_at_us = 0, lease_until_us = 0, changed_at_us = $3 \
                 WHERE id = $1 AND state = 'unknown' RETURNING key_tag",
            )
            .bind(id)
            .bind(state)
            .bind(now_us)
            .fetch_optional(&mut *transaction)
            .await?;
            if let Some((key_tag,)) = &decided
                && !registered
            {
                return_sums!(transaction, key_tag);
            }
            transaction.commit().await?;
            Ok(decided.is_some())
        })
    }
}
