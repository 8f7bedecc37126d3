//! Partners' operations that nobody works on: found again, counted, decided by an operator, wiped when their time is over.

use super::engine::{Store, StoreError, on_pool};
use super::operations::{COLUMNS, Columns, OperationRow};

impl Store {
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

    /// Claims one operation that nobody works on and that is due: an unknown one is to be settled, a pending one to be carried out.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn claim_due(
        &self,
        owner: &[u8],
        lease_until_us: i64,
        now_us: i64,
    ) -> Result<Option<OperationRow>, StoreError> {
        const DUE: &str = "state IN ('pending', 'unknown') AND lease_until_us <= $3 AND settle_at_us <= $3";
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE operations SET owner = $1, lease_until_us = $2 WHERE {DUE} AND key_tag = (SELECT key_tag FROM operations \
             WHERE {DUE} ORDER BY settle_at_us LIMIT 1{}) RETURNING {COLUMNS}",
            self.skip_locked()
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
}
