//! Edits of accounts: one at a time, over all replicas, and what was written last.

use super::engine::{Store, StoreError, on_pool};
use super::generations::{Generation, Subject, move_generations};
use crate::keys::Tag;

/// The right to edit an account, until it is given back or its time is over.
#[derive(Clone, Copy, Debug)]
pub struct EditLease {
    /// The account's keyed hash.
    pub account: Tag,
    /// The fencing token: only the last one gives it back.
    pub fence: i64,
}

/// An edit that ProBonus took and may not show yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownEdit {
    /// What was written, sealed.
    pub sealed: Vec<u8>,
    /// Until when it is shown.
    pub until_us: i64,
}

impl Store {
    /// Takes the right to edit an account until `until_us`; `None` when somebody else has it.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn lease_edit(&self, account: Tag, until_us: i64, now_us: i64) -> Result<Option<EditLease>, StoreError> {
        let fence: Option<i64> = on_pool!(self, |pool| {
            sqlx::query_scalar(
                "INSERT INTO edits (account, fence, lease_until_us, shown_until_us) VALUES ($1, 1, $2, 0) \
                 ON CONFLICT (account) DO UPDATE SET fence = edits.fence + 1, lease_until_us = excluded.lease_until_us \
                 WHERE edits.lease_until_us <= $3 RETURNING fence",
            )
            .bind(&account[..])
            .bind(until_us)
            .bind(now_us)
            .fetch_optional(pool)
            .await?
        });
        Ok(fence.map(|fence| EditLease { account, fence }))
    }

    /// Gives the right back: nothing was written.
    ///
    /// # Errors
    /// When the store cannot be asked: then its time runs out.
    pub async fn release_edit(&self, lease: &EditLease) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query("UPDATE edits SET lease_until_us = 0 WHERE account = $1 AND fence = $2")
                .bind(&lease.account[..])
                .bind(lease.fence)
                .execute(pool)
                .await?;
        });
        Ok(())
    }

    /// Gives the right back after a write: what was read of `subjects` before is outdated, and `shown` is shown until ProBonus shows it;
    /// `None`: it is not known whether ProBonus took it.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn finish_edit(
        &self,
        lease: &EditLease,
        shown: Option<&ShownEdit>,
        subjects: &[Subject],
        now_us: i64,
    ) -> Result<Generation, StoreError> {
        let echo = self.expect_echo();
        let (number, hints) = on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            sqlx::query(
                "UPDATE edits SET lease_until_us = 0, sealed = $3, shown_until_us = $4 WHERE account = $1 AND fence = $2",
            )
            .bind(&lease.account[..])
            .bind(lease.fence)
            .bind(shown.map(|shown| &shown.sealed[..]))
            .bind(shown.map_or(0, |shown| shown.until_us))
            .execute(&mut *transaction)
            .await?;
            let moved = move_generations!(self, transaction, subjects, now_us);
            transaction.commit().await?;
            moved
        });
        echo.committed(&hints).await;
        Ok(number)
    }

    /// What was written last of an account, while it is to be shown.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn shown_edit(&self, account: &Tag, now_us: i64) -> Result<Option<ShownEdit>, StoreError> {
        let row: Option<(Vec<u8>, i64)> = on_pool!(self, |pool| {
            sqlx::query_as(
                "SELECT sealed, shown_until_us FROM edits WHERE account = $1 AND shown_until_us > $2 AND sealed IS NOT NULL",
            )
            .bind(&account[..])
            .bind(now_us)
            .fetch_optional(pool)
            .await?
        });
        Ok(row.map(|(sealed, until_us)| ShownEdit { sealed, until_us }))
    }

    /// ProBonus shows what was written: from now on its word is all that counts.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn edit_seen(&self, account: &Tag, seen: &ShownEdit) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query("UPDATE edits SET sealed = NULL, shown_until_us = 0 WHERE account = $1 AND sealed = $2")
                .bind(&account[..])
                .bind(&seen.sealed)
                .execute(pool)
                .await?;
        });
        Ok(())
    }

    /// Removes at most `most` edits that are over since before `before_us`; says how many.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn prune_edits(&self, before_us: i64, most: i64) -> Result<u64, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "DELETE FROM edits WHERE lease_until_us <= $1 AND shown_until_us <= $1 AND account IN \
             (SELECT account FROM edits WHERE lease_until_us <= $1 AND shown_until_us <= $1 LIMIT $2{})",
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
