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

/// What became of counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Counted against all of them.
    Taken,
    /// One is exhausted: nothing was counted against any.
    Exhausted {
        /// Which one of those given.
        index: usize,
        /// When its window ends.
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

/// When the window ends of a limit that is exhausted.
pub(super) const EXHAUSTED: &str = "SELECT ends_at_us FROM limits WHERE key = $1 AND ends_at_us > $2 AND count >= $3";

impl Store {
    /// Counts one against every limit, or against none when one of them is exhausted.
    ///
    /// # Errors
    /// When the store cannot be asked: then nothing is allowed.
    pub async fn take(&self, limits: &[Limit<'_>], now_us: i64) -> Result<Count, StoreError> {
        // Always in the same order: two that count against the same limits never wait for each other crosswise.
        let mut order: Vec<usize> = (0..limits.len()).collect();
        order.sort_by_key(|index| limits[*index].key);
        on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            for index in order {
                let limit = limits[index];
                let taken: Option<(i64, i64)> = sqlx::query_as(TAKE)
                    .bind(limit.key)
                    .bind(now_us)
                    .bind(now_us.saturating_add(limit.window_us))
                    .bind(limit.most)
                    .fetch_optional(&mut *transaction)
                    .await?;
                if taken.is_some() {
                    continue;
                }
                transaction.rollback().await?;
                // Of several exhausted ones the last to end says when to come again; `index` at least is one.
                let mut last = (index, now_us);
                for (index, limit) in limits.iter().enumerate() {
                    let end: Option<(i64,)> = sqlx::query_as(EXHAUSTED)
                        .bind(limit.key)
                        .bind(now_us)
                        .bind(limit.most)
                        .fetch_optional(pool)
                        .await?;
                    if let Some((end,)) = end.filter(|(end,)| *end > last.1) {
                        last = (index, end);
                    }
                }
                let (index, ends_at_us) = last;
                return Ok(Count::Exhausted { index, ends_at_us });
            }
            transaction.commit().await?;
            Ok(Count::Taken)
        })
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
        // What somebody counts against, or has just begun anew, is left alone: the outer condition is read again after a wait.
        let sql = sqlx::AssertSqlSafe(format!(
            "DELETE FROM limits WHERE ends_at_us <= $1 AND key IN \
             (SELECT key FROM limits WHERE ends_at_us <= $1 LIMIT $2{})",
            self.skip_locked()
        ));
        Ok(on_pool!(self, |pool| {
            sqlx::query(sql)
                .bind(now_us)
                .bind(most)
                .execute(pool)
                .await?
                .rows_affected()
        }))
    }
}
