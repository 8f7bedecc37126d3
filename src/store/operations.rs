//! Partners' operations: claimed once over all replicas.

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
    /// When a call left, or was last known to be under way.
    pub sent_at_us: i64,
    /// When the state last changed.
    pub changed_at_us: i64,
}

/// A row as it is selected by [`COLUMNS`].
pub(super) type Columns = (
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

pub(super) const COLUMNS: &str = "key_tag, id, kind, partner, fingerprint, sealed, state, attempts, owner, lease_until_us, created_at_us, \
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
}
