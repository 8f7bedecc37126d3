//! Partners' operations that nobody works on: found again, told apart from each other, wiped when their time is over.

use super::engine::{Store, StoreError, on_pool};
use super::operations::{COLUMNS, Columns, OperationRow};

impl Store {
    /// Sent operations whose owner is gone become unknown: they are settled, never sent again as they are. Their calls may have been under
    /// way until now. Says how many.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn orphan_operations(&self, now_us: i64) -> Result<u64, StoreError> {
        Ok(on_pool!(self, |pool| {
            sqlx::query(
                "UPDATE operations SET state = 'unknown', settle_at_us = $1, lease_until_us = 0, sent_at_us = $1, changed_at_us = $1 \
                 WHERE state = 'sent' AND lease_until_us <= $1",
            )
            .bind(now_us)
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
        row.map(OperationRow::try_from).transpose()
    }

    /// Whether another operation since `since_us` is alike and may be in ProBonus.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn has_alike(&self, key_tag: &[u8], likeness: &[u8], since_us: i64) -> Result<bool, StoreError> {
        let found: Option<(i64,)> = on_pool!(self, |pool| {
            sqlx::query_as(
                "SELECT CAST(1 AS BIGINT) FROM operations WHERE likeness = $2 AND key_tag <> $1 AND created_at_us >= $3 \
                 AND state IN ('sent', 'unknown', 'registered') LIMIT 1",
            )
            .bind(key_tag)
            .bind(likeness)
            .bind(since_us)
            .fetch_optional(pool)
            .await?
        });
        Ok(found.is_some())
    }

    /// Wipes the orders of at most `most` operations that ended before `before_us`; their keys stay for ever, so that none is done twice.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn compact_operations(&self, before_us: i64, most: i64) -> Result<u64, StoreError> {
        Ok(on_pool!(self, |pool| {
            let wiped: Vec<(Vec<u8>,)> = sqlx::query_as(
                "UPDATE operations SET sealed = NULL WHERE key_tag IN (SELECT key_tag FROM operations \
                 WHERE sealed IS NOT NULL AND state IN ('registered', 'rejected') AND changed_at_us <= $1 LIMIT $2) \
                 RETURNING key_tag",
            )
            .bind(before_us)
            .bind(most)
            .fetch_all(pool)
            .await?;
            for (key_tag,) in &wiped {
                sqlx::query("DELETE FROM operation_sums WHERE key_tag = $1")
                    .bind(key_tag)
                    .execute(pool)
                    .await?;
            }
            u64::try_from(wiped.len()).unwrap_or(u64::MAX)
        }))
    }
}
