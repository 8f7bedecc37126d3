//! Counters with a limit and a window, each step one atomic statement: however many replicas count, no window holds more.

use super::engine::{Store, StoreError, on_pool};

/// One limit to be counted against.
#[derive(Clone, Copy, Debug)]
pub struct Limit<'a> {
    /// The keyed name of what is limited.
    pub key: &'a [u8],
    /// At most so many in a window.
    pub most: i64,
    /// The window's length, in microseconds; it starts with the first count.
    pub window_us: i64,
}

/// How a limit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Counted; so many are left in this window.
    Taken {
        /// What is left.
        left: i64,
        /// When the window ends.
        ends_at_us: i64,
    },
    /// Exhausted until then; nothing was counted.
    Exhausted {
        /// When the window ends.
        ends_at_us: i64,
    },
}

/// The statement that counts one, starting a new window when the old one is over; no row comes back when the limit is exhausted.
pub(super) const TAKE: &str = "INSERT INTO limits (key, started_at_us, ends_at_us, count) VALUES ($1, $2, $3, 1) \
     ON CONFLICT (key) DO UPDATE SET \
       started_at_us = CASE WHEN limits.ends_at_us <= $2 THEN $2 ELSE limits.started_at_us END, \
       ends_at_us = CASE WHEN limits.ends_at_us <= $2 THEN $3 ELSE limits.ends_at_us END, \
       count = CASE WHEN limits.ends_at_us <= $2 THEN 1 ELSE limits.count + 1 END \
     WHERE limits.ends_at_us <= $2 OR limits.count < $4 \
     RETURNING count, ends_at_us";

impl Store {
    /// Counts one against `limit`.
    ///
    /// # Errors
    /// When the store cannot be asked: then nothing is allowed.
    pub async fn take(&self, limit: Limit<'_>, now_us: i64) -> Result<Count, StoreError> {
        let taken: Option<(i64, i64)> = on_pool!(self, |pool| {
            sqlx::query_as(TAKE)
                .bind(limit.key)
                .bind(now_us)
                .bind(now_us.saturating_add(limit.window_us))
                .bind(limit.most)
                .fetch_optional(pool)
                .await?
        });
        if let Some((count, ends_at_us)) = taken {
            let left = limit.most - count;
            return Ok(Count::Taken { left, ends_at_us });
        }
        let ends_at_us = self.window_end(limit.key, now_us).await?;
        Ok(Count::Exhausted { ends_at_us })
    }

    /// The end of the window that `key` is in; now when there is none.
    async fn window_end(&self, key: &[u8], now_us: i64) -> Result<i64, StoreError> {
        let end: Option<(i64,)> = on_pool!(self, |pool| {
            sqlx::query_as("SELECT ends_at_us FROM limits WHERE key = $1")
                .bind(key)
                .fetch_optional(pool)
                .await?
        });
        Ok(end.map_or(now_us, |(end,)| end))
    }

    /// Gives one count back, if its window still stands.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn give_back(&self, key: &[u8], now_us: i64) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query("UPDATE limits SET count = count - 1 WHERE key = $1 AND ends_at_us > $2 AND count > 0")
                .bind(key)
                .bind(now_us)
                .execute(pool)
                .await?;
        });
        Ok(())
    }

    /// Removes at most `most` windows that are over; says how many.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn prune_limits(&self, now_us: i64, most: i64) -> Result<u64, StoreError> {
        Ok(on_pool!(self, |pool| {
            sqlx::query("DELETE FROM limits WHERE key IN (SELECT key FROM limits WHERE ends_at_us <= $1 LIMIT $2)")
                .bind(now_us)
                .bind(most)
                .execute(pool)
                .await?
                .rows_affected()
        }))
    }
}
