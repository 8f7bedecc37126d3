//! Devices that signed a phone in before. What stands here is the random half of a device's token, which opens nothing by itself.

use super::engine::{Store, StoreError, on_pool};
use crate::model::GuestKey;

impl Store {
    /// Whether the guest's phone was signed in on this device.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn is_device_known(&self, id: &[u8], guest: GuestKey) -> Result<bool, StoreError> {
        let found: Option<i64> = on_pool!(self, |pool| {
            sqlx::query_scalar("SELECT seen_at_us FROM devices WHERE id = $1 AND guest = $2")
                .bind(id)
                .bind(&guest.0[..])
                .fetch_optional(pool)
                .await?
        });
        Ok(found.is_some())
    }

    /// Keeps that the guest's phone was signed in on this device, and forgets those longest unseen beyond `most`.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn remember_device(&self, id: &[u8], guest: GuestKey, most: i64, now_us: i64) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(
                "INSERT INTO devices (id, guest, seen_at_us) VALUES ($1, $2, $3) \
                 ON CONFLICT (id) DO UPDATE SET guest = excluded.guest, seen_at_us = excluded.seen_at_us",
            )
            .bind(id)
            .bind(&guest.0[..])
            .bind(now_us)
            .execute(pool)
            .await?;
            // Not in one transaction with the above: of several sign-ins at once the last to get here must see the others' devices.
            sqlx::query(
                "DELETE FROM devices WHERE guest = $2 AND id <> $1 AND id NOT IN \
                 (SELECT id FROM devices WHERE guest = $2 AND id <> $1 ORDER BY seen_at_us DESC, id LIMIT $3)",
            )
            .bind(id)
            .bind(&guest.0[..])
            .bind(most - 1)
            .execute(pool)
            .await?;
        });
        Ok(())
    }

    /// Forgets at most `most` devices that were last seen before `before_us`; says how many.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn prune_devices(&self, before_us: i64, most: i64) -> Result<u64, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "DELETE FROM devices WHERE seen_at_us <= $1 AND id IN \
             (SELECT id FROM devices WHERE seen_at_us <= $1 LIMIT $2{})",
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
