//! Partners' operations: claimed once over all replicas, and found again.

use super::engine::{Store, StoreError, on_pool};
use crate::model::{OperationKind, OperationState, UnknownReason};

/// An operation as it is kept.
#[derive(Clone, Debug)]
pub struct OperationRow {
    /// The hash of what makes it unique.
    pub key_tag: Vec<u8>,
    /// Its public id.
    pub id: String,
    /// What kind of order it carries out.
    pub kind: OperationKind,
    /// Whose.
    pub partner: String,
    /// What tells this order from another under the same key.
    pub fingerprint: Vec<u8>,
    /// The order, sealed; gone after the retention.
    pub sealed: Option<Vec<u8>>,
    /// How it stands.
    pub state: OperationState,
    /// Calls to ProBonus that may have left.
    pub attempts: i64,
    /// Who works on it.
    pub owner: Vec<u8>,
    /// Until when that is believed.
    pub lease_until_us: i64,
    /// When it was first asked for.
    pub created_at_us: i64,
    /// Since when it may have been booked.
    pub since_us: i64,
    /// When the last call ended, or was last known to be under way.
    pub sent_at_us: i64,
    /// When the state last changed.
    pub changed_at_us: i64,
    /// How far ProBonus' history lagged, at the least, when it showed something later than the last call.
    pub history_lag_us: Option<i64>,
    /// What the proof of an unknown operation lacks.
    pub reason: Option<UnknownReason>,
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
    i64,
    Option<String>,
    i64,
);

pub(super) const COLUMNS: &str = "key_tag, id, kind, partner, fingerprint, sealed, state, attempts, owner, lease_until_us, created_at_us, \
     sent_at_us, changed_at_us, history_lag_us, reason, since_us";

impl TryFrom<Columns> for OperationRow {
    type Error = StoreError;

    fn try_from(row: Columns) -> Result<Self, StoreError> {
        Ok(Self {
            key_tag: row.0,
            id: row.1,
            kind: OperationKind::of_word(&row.2).ok_or(StoreError::Corrupt)?,
            partner: row.3,
            fingerprint: row.4,
            sealed: row.5,
            state: OperationState::of_word(&row.6).ok_or(StoreError::Corrupt)?,
            attempts: row.7,
            owner: row.8,
            lease_until_us: row.9,
            created_at_us: row.10,
            since_us: if row.15 > 0 { row.15 } else { row.10 },
            sent_at_us: row.11,
            changed_at_us: row.12,
            history_lag_us: Some(row.13).filter(|lag| *lag >= 0),
            reason: row.14.as_deref().and_then(UnknownReason::of_word),
        })
    }
}

impl Store {
    /// Keeps a new operation as pending and owned; `false` when there is one with the same key already.
    ///
    /// # Errors
    /// When the store cannot be asked: then nothing may be sent.
    pub async fn claim_operation(&self, row: &OperationRow) -> Result<bool, StoreError> {
        let claims: Option<i64> = on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            let ours = sqlx::query(
                "INSERT INTO operations (key_tag, id, kind, partner, fingerprint, sealed, state, attempts, owner, lease_until_us, \
                 settle_at_us, created_at_us, sent_at_us, changed_at_us, since_us) \
                 VALUES ($1, $2, $3, $4, $5, $6, 'pending', 0, $7, $8, 0, $9, 0, $9, $10) ON CONFLICT DO NOTHING",
            )
            .bind(&row.key_tag)
            .bind(&row.id)
            .bind(row.kind.word())
            .bind(&row.partner)
            .bind(&row.fingerprint)
            .bind(&row.sealed)
            .bind(&row.owner)
            .bind(row.lease_until_us)
            .bind(row.created_at_us)
            .bind(row.since_us)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            let mut claims = (ours > 0).then_some(0);
            if ours > 0 && self.claims.is_some() {
                let counted = "UPDATE restore_watch SET claims = claims + 1, clean = 0 RETURNING claims";
                let (counted,): (i64,) = sqlx::query_as(counted).fetch_one(&mut *transaction).await?;
                claims = Some(counted);
            }
            transaction.commit().await?;
            claims
        });
        if let Some(claims) = claims {
            self.note_claims(claims);
        }
        Ok(claims.is_some())
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
        row.map(OperationRow::try_from).transpose()
    }

    /// Finds an operation by its public id.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn operation_by_id(&self, kind: OperationKind, id: &str) -> Result<Option<OperationRow>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM operations WHERE kind = $1 AND id = $2"));
        let row: Option<Columns> = on_pool!(self, |pool| {
            sqlx::query_as(sql)
                .bind(kind.word())
                .bind(id)
                .fetch_optional(pool)
                .await?
        });
        row.map(OperationRow::try_from).transpose()
    }

    /// Operations in a state, oldest first, at most `most`.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn operations_in(&self, state: OperationState, most: i64) -> Result<Vec<OperationRow>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM operations WHERE state = $1 ORDER BY created_at_us LIMIT $2"
        ));
        let rows: Vec<Columns> = on_pool!(self, |pool| {
            sqlx::query_as(sql)
                .bind(state.word())
                .bind(most)
                .fetch_all(pool)
                .await?
        });
        rows.into_iter().map(OperationRow::try_from).collect()
    }

    /// How many operations are in a state.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn count_operations(&self, state: OperationState) -> Result<i64, StoreError> {
        let (count,): (i64,) = on_pool!(self, |pool| {
            sqlx::query_as("SELECT COUNT(*) FROM operations WHERE state = $1")
                .bind(state.word())
                .fetch_one(pool)
                .await?
        });
        Ok(count)
    }
}
