//! Partners' operations: claimed once over all replicas, each step on disk before the next thing happens.

use super::engine::{Store, StoreError, on_pool};

/// An operation as it is kept.
#[derive(Clone, Debug)]
pub struct OperationRow {
    /// The keyed hash of what makes it unique.
    pub key_tag: Vec<u8>,
    /// Its public id.
    pub id: String,
    /// `check` or `refill`.
    pub kind: String,
    /// Whose.
    pub partner: String,
    /// The keyed hash of the canonical order.
    pub fingerprint: Vec<u8>,
    /// The order, sealed; gone after the retention.
    pub sealed: Option<Vec<u8>>,
    /// `pending`, `sent`, `registered`, `rejected` or `unknown`.
    pub state: String,
    /// Calls to ProBonus that may have left.
    pub attempts: i64,
    /// Who works on it.
    pub owner: Vec<u8>,
    /// Until when that is believed.
    pub lease_until_us: i64,
    /// When it was first asked for.
    pub created_at_us: i64,
    /// When the last call left.
    pub sent_at_us: i64,
    /// When the state last changed.
    pub changed_at_us: i64,
}

type Columns = (
    Vec<u8>,
    String,
    String,
    String,
    Vec<u8>,
    Option<Vec<u8>>,
    String,
    i64,
    Vec<u8>,
    i64,
    i64,
    i64,
    i64,
);

const COLUMNS: &str = "key_tag, id, kind, partner, fingerprint, sealed, state, attempts, owner, lease_until_us, created_at_us, \
     sent_at_us, changed_at_us";

impl From<Columns> for OperationRow {
    fn from(row: Columns) -> Self {
        Self {
            key_tag: row.0,
            id: row.1,
            kind: row.2,
            partner: row.3,
            fingerprint: row.4,
            sealed: row.5,
            state: row.6,
            attempts: row.7,
            owner: row.8,
            lease_until_us: row.9,
            created_at_us: row.10,
            sent_at_us: row.11,
            changed_at_us: row.12,
        }
    }
}

impl Store {
    /// Keeps a new operation as pending and owned; `false` when there is one with the same key already.
    ///
    /// # Errors
    /// When the store cannot be asked: then nothing may be sent.
    pub async fn claim_operation(&self, row: &OperationRow) -> Result<bool, StoreError> {
        Ok(on_pool!(self, |pool| {
            sqlx::query(
                "INSERT INTO operations (key_tag, id, kind, partner, fingerprint, sealed, state, attempts, owner, lease_until_us, \
                 settle_at_us, created_at_us, sent_at_us, changed_at_us) \
                 VALUES ($1, $2, $3, $4, $5, $6, 'pending', 0, $7, $8, 0, $9, 0, $9) ON CONFLICT DO NOTHING",
            )
            .bind(&row.key_tag)
            .bind(&row.id)
            .bind(&row.kind)
            .bind(&row.partner)
            .bind(&row.fingerprint)
            .bind(&row.sealed)
            .bind(&row.owner)
            .bind(row.lease_until_us)
            .bind(row.created_at_us)
            .execute(pool)
            .await?
            .rows_affected()
                > 0
        }))
    }

    /// Takes over a pending operation whose owner is gone: nothing of it was sent.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn take_over_operation(
        &self,
        key_tag: &[u8],
        owner: &[u8],
        lease_until_us: i64,
        now_us: i64,
    ) -> Result<bool, StoreError> {
        Ok(on_pool!(self, |pool| {
            sqlx::query(
                "UPDATE operations SET owner = $2, lease_until_us = $3 \
                 WHERE key_tag = $1 AND state = 'pending' AND lease_until_us <= $4",
            )
            .bind(key_tag)
            .bind(owner)
            .bind(lease_until_us)
            .bind(now_us)
            .execute(pool)
            .await?
            .rows_affected()
                > 0
        }))
    }

    /// Finds an operation by its key.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn operation(&self, key_tag: &[u8]) -> Result<Option<OperationRow>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM operations WHERE key_tag = $1"));
        let row: Option<Columns> = on_pool!(self, |pool| {
            sqlx::query_as(sql).bind(key_tag).fetch_optional(pool).await?
        });
        Ok(row.map(OperationRow::from))
    }

    /// Finds an operation by its public id.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn operation_by_id(&self, kind: &str, id: &str) -> Result<Option<OperationRow>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM operations WHERE kind = $1 AND id = $2"));
        let row: Option<Columns> = on_pool!(self, |pool| {
            sqlx::query_as(sql).bind(kind).bind(id).fetch_optional(pool).await?
        });
        Ok(row.map(OperationRow::from))
    }

    /// A call leaves now: on disk before its first byte. `false` when somebody else owns the operation by now.
    ///
    /// # Errors
    /// When the store cannot be asked: then the call must not leave.
    pub async fn operation_sent(
        &self,
        row: &OperationRow,
        sealed: &[u8],
        lease_until_us: i64,
        now_us: i64,
    ) -> Result<bool, StoreError> {
        Ok(on_pool!(self, |pool| {
            sqlx::query(
                "UPDATE operations SET state = 'sent', attempts = attempts + 1, sealed = $3, lease_until_us = $4, \
                 sent_at_us = $5, changed_at_us = $5 \
                 WHERE key_tag = $1 AND owner = $2 AND state IN ('pending', 'unknown')",
            )
            .bind(&row.key_tag)
            .bind(&row.owner)
            .bind(sealed)
            .bind(lease_until_us)
            .bind(now_us)
            .execute(pool)
            .await?
            .rows_affected()
                > 0
        }))
    }

    /// The operation's owner is alive.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn operation_alive(&self, row: &OperationRow, lease_until_us: i64) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query("UPDATE operations SET lease_until_us = $3 WHERE key_tag = $1 AND owner = $2")
                .bind(&row.key_tag)
                .bind(&row.owner)
                .bind(lease_until_us)
                .execute(pool)
                .await?;
        });
        Ok(())
    }

    /// The owner says what became of it; `false` when it is not the owner any more.
    ///
    /// # Errors
    /// When the store cannot be asked: the operation stays as it was and is settled later.
    pub async fn operation_became(
        &self,
        row: &OperationRow,
        state: &str,
        settle_at_us: i64,
        now_us: i64,
    ) -> Result<bool, StoreError> {
        Ok(on_pool!(self, |pool| {
            sqlx::query(
                "UPDATE operations SET state = $3, settle_at_us = $4, lease_until_us = 0, changed_at_us = $5 \
                 WHERE key_tag = $1 AND owner = $2 AND state IN ('pending', 'sent', 'unknown')",
            )
            .bind(&row.key_tag)
            .bind(&row.owner)
            .bind(state)
            .bind(settle_at_us)
            .bind(now_us)
            .execute(pool)
            .await?
            .rows_affected()
                > 0
        }))
    }

    /// Forgets an operation of which certainly nothing was sent: it may be asked for again.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn forget_operation(&self, row: &OperationRow) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query("DELETE FROM operations WHERE key_tag = $1 AND owner = $2 AND state IN ('pending', 'sent')")
                .bind(&row.key_tag)
                .bind(&row.owner)
                .execute(pool)
                .await?;
        });
        Ok(())
    }

    /// Sent operations whose owner is gone become unknown: they are settled, never sent again as they are. Says how many.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn orphan_operations(&self, now_us: i64, settle_at_us: i64) -> Result<u64, StoreError> {
        Ok(on_pool!(self, |pool| {
            sqlx::query(
                "UPDATE operations SET state = 'unknown', settle_at_us = $2, lease_until_us = 0, changed_at_us = $1 \
                 WHERE state = 'sent' AND lease_until_us <= $1",
            )
            .bind(now_us)
            .bind(settle_at_us)
            .execute(pool)
            .await?
            .rows_affected()
        }))
    }

    /// The only process of an embedded store has just started: whoever owned anything is gone.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn end_all_leases(&self) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query("UPDATE operations SET lease_until_us = 0 WHERE state IN ('pending', 'sent', 'unknown')")
                .execute(pool)
                .await?;
        });
        Ok(())
    }

    /// Claims one unknown operation that is due for settling.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn claim_unknown(
        &self,
        owner: &[u8],
        lease_until_us: i64,
        now_us: i64,
    ) -> Result<Option<OperationRow>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE operations SET owner = $1, lease_until_us = $2 \
             WHERE state = 'unknown' AND lease_until_us <= $3 AND settle_at_us <= $3 AND key_tag = (SELECT key_tag FROM operations \
               WHERE state = 'unknown' AND lease_until_us <= $3 AND settle_at_us <= $3 ORDER BY settle_at_us LIMIT 1) \
             RETURNING {COLUMNS}"
        ));
        let row: Option<Columns> = on_pool!(self, |pool| {
            sqlx::query_as(sql)
                .bind(owner)
                .bind(lease_until_us)
                .bind(now_us)
                .fetch_optional(pool)
                .await?
        });
        Ok(row.map(OperationRow::from))
    }

    /// Operations in a state, oldest first, at most `most`.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn operations_in(&self, state: &str, most: i64) -> Result<Vec<OperationRow>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM operations WHERE state = $1 ORDER BY created_at_us LIMIT $2"
        ));
        let rows: Vec<Columns> = on_pool!(self, |pool| {
            sqlx::query_as(sql).bind(state).bind(most).fetch_all(pool).await?
        });
        Ok(rows.into_iter().map(OperationRow::from).collect())
    }

    /// How many operations are in a state.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn count_operations(&self, state: &str) -> Result<i64, StoreError> {
        let (count,): (i64,) = on_pool!(self, |pool| {
            sqlx::query_as("SELECT COUNT(*) FROM operations WHERE state = $1")
                .bind(state)
                .fetch_one(pool)
                .await?
        });
        Ok(count)
    }

    /// An operator decides an unknown operation; `false` when it is not unknown any more.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn decide_operation(&self, id: &str, state: &str, now_us: i64) -> Result<bool, StoreError> {
        Ok(on_pool!(self, |pool| {
            sqlx::query("UPDATE operations SET state = $2, changed_at_us = $3 WHERE id = $1 AND state = 'unknown'")
                .bind(id)
                .bind(state)
                .bind(now_us)
                .execute(pool)
                .await?
                .rows_affected()
                > 0
        }))
    }

    /// Wipes the orders of at most `most` operations that ended before `before_us`; their keys stay for ever, so that none is done twice.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn compact_operations(&self, before_us: i64, most: i64) -> Result<u64, StoreError> {
        Ok(on_pool!(self, |pool| {
            sqlx::query(
                "UPDATE operations SET sealed = NULL WHERE key_tag IN (SELECT key_tag FROM operations \
                 WHERE sealed IS NOT NULL AND state IN ('registered', 'rejected') AND changed_at_us <= $1 LIMIT $2)",
            )
            .bind(before_us)
            .bind(most)
            .execute(pool)
            .await?
            .rows_affected()
        }))
    }

    /// Adds `sum` to what `key` holds in its window when that stays within `most`; whether it did.
    ///
    /// # Errors
    /// When the store cannot be asked: then nothing is allowed.
    pub async fn take_sum(
        &self,
        key: &[u8],
        sum: i64,
        most: i64,
        window_us: i64,
        now_us: i64,
    ) -> Result<bool, StoreError> {
        if sum > most {
            return Ok(false);
        }
        Ok(on_pool!(self, |pool| {
            sqlx::query(
                "INSERT INTO limits (key, started_at_us, ends_at_us, count) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (key) DO UPDATE SET count = limits.count + $4 WHERE limits.count + $4 <= $5",
            )
            .bind(key)
            .bind(now_us)
            .bind(now_us.saturating_add(window_us))
            .bind(sum)
            .bind(most)
            .execute(pool)
            .await?
            .rows_affected()
                > 0
        }))
    }

    /// Takes `sum` back from what `key` holds.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn return_sum(&self, key: &[u8], sum: i64) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query("UPDATE limits SET count = count - $2 WHERE key = $1 AND count >= $2")
                .bind(key)
                .bind(sum)
                .execute(pool)
                .await?;
        });
        Ok(())
    }
}
