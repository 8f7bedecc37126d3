//! Counters with a limit and a window. However many windows one step is counted in, they are counted by one statement, in the order of
//! their keys: all or none, and no window holds more than its limit however many replicas count.

use std::cmp::Reverse;

use super::engine::{Store, StoreError, on_pool};

/// One limit to be counted against.
#[derive(Clone, Copy, Debug)]
pub struct Limit<'a> {
    /// The keyed name of what is limited; each once in a list.
    pub key: &'a [u8],
    /// At most so many in a window, at least one.
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
        /// Which one of those given; of several the one whose window ends last.
        index: usize,
        /// When its window ends.
        ends_at_us: i64,
    },
}

/// The places of `limits` in the order of their keys: two that count against the same limits never wait for each other crosswise.
pub(super) fn in_order(limits: &[Limit<'_>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..limits.len()).collect();
    order.sort_by_key(|index| limits[*index].key);
    order
}

/// The statement that counts one against each of `count` limits, starting a new window where the old one is over. It gives the keys of
/// those that were not exhausted. `$1` is now; three parameters follow for each: key, end of a new window, the most.
pub(super) fn count_sql(count: usize) -> String {
    let places = || (2..).step_by(3).take(count);
    let row = |place| format!("(${place}, $1, ${}, 1)", place + 1);
    let rows = places().map(row).collect::<Vec<_>>().join(", ");
    let most = places().map(|place| format!(" WHEN ${place} THEN ${}", place + 2));
    let most = most.collect::<Vec<_>>().concat();
    format!(
        "INSERT INTO limits (key, started_at_us, ends_at_us, count) VALUES {rows} \
         ON CONFLICT (key) DO UPDATE SET \
           started_at_us = CASE WHEN limits.ends_at_us <= $1 THEN $1 ELSE limits.started_at_us END, \
           ends_at_us = CASE WHEN limits.ends_at_us <= $1 THEN excluded.ends_at_us ELSE limits.ends_at_us END, \
           count = CASE WHEN limits.ends_at_us <= $1 THEN 1 ELSE limits.count + 1 END \
         WHERE limits.ends_at_us <= $1 OR limits.count < CASE limits.key{most} END \
         RETURNING key"
    )
}

/// Counts one against each of `$limits` on the connection, transaction or pool `$on`; gives the keys of those that were not exhausted.
macro_rules! count_in {
    ($on:expr, $limits:expr, $now_us:expr) => {{
        let limits: &[$crate::store::limits::Limit<'_>] = $limits;
        let sql = sqlx::AssertSqlSafe($crate::store::limits::count_sql(limits.len()));
        let mut query = sqlx::query_scalar(sql).bind($now_us);
        for index in $crate::store::limits::in_order(limits) {
            let limit = limits[index];
            let ends_at_us = i64::saturating_add($now_us, limit.window_us);
            query = query.bind(limit.key).bind(ends_at_us).bind(limit.most);
        }
        let counted: Vec<Vec<u8>> = query.fetch_all($on).await?;
        counted
    }};
}
pub(super) use count_in;

/// `$2`, `$3` … for `count` keys after the first parameter.
fn places(count: usize) -> String {
    let places: Vec<String> = (2..count + 2).map(|place| format!("${place}")).collect();
    places.join(", ")
}

impl Store {
    /// Counts one against every limit, or against none when one of them is exhausted.
    ///
    /// # Errors
    /// When the store cannot be asked: then nothing is allowed.
    pub async fn take(&self, limits: &[Limit<'_>], now_us: i64) -> Result<Count, StoreError> {
        // Whoever is refused writes nothing: a flood of requests that are over their limits costs one read each.
        if limits.len() > 1
            && let Some((index, ends_at_us)) = self.exhausted(limits, now_us).await?
        {
            return Ok(Count::Exhausted { index, ends_at_us });
        }
        let counted = match limits {
            [] => return Ok(Count::Taken),
            // One statement is all or nothing by itself.
            [_] => on_pool!(self, |pool| count_in!(pool, limits, now_us)),
            _ => on_pool!(self, |pool| {
                let mut transaction = pool.begin().await?;
                let counted = count_in!(&mut *transaction, limits, now_us);
                if counted.len() == limits.len() {
                    transaction.commit().await?;
                } else {
                    transaction.rollback().await?;
                }
                counted
            }),
        };
        if counted.len() == limits.len() {
            return Ok(Count::Taken);
        }
        if let Some((index, ends_at_us)) = self.exhausted(limits, now_us).await? {
            return Ok(Count::Exhausted { index, ends_at_us });
        }
        let missing = limits
            .iter()
            .position(|limit| !counted.iter().any(|key| key == limit.key));
        Ok(Count::Exhausted {
            index: missing.unwrap_or(0),
            ends_at_us: now_us,
        })
    }

    /// Which of `limits` is exhausted, and when its window ends; of several the one whose window ends last, the first of equals. Counts
    /// nothing.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn exhausted(&self, limits: &[Limit<'_>], now_us: i64) -> Result<Option<(usize, i64)>, StoreError> {
        if limits.is_empty() {
            return Ok(None);
        }
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT key, count, ends_at_us FROM limits WHERE ends_at_us > $1 AND key IN ({})",
            places(limits.len())
        ));
        let rows: Vec<(Vec<u8>, i64, i64)> = on_pool!(self, |pool| {
            let mut query = sqlx::query_as(sql).bind(now_us);
            for limit in limits {
                query = query.bind(limit.key);
            }
            query.fetch_all(pool).await?
        });
        let exhausted = rows.iter().filter_map(|(key, count, ends_at_us)| {
            let index = limits.iter().position(|limit| limit.key == key)?;
            (*count >= limits[index].most).then_some((index, *ends_at_us))
        });
        Ok(exhausted.max_by_key(|(index, ends_at_us)| (*ends_at_us, Reverse(*index))))
    }

    /// Gives one count back of each of `keys` whose window still stands.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn give_back(&self, keys: &[&[u8]], now_us: i64) -> Result<(), StoreError> {
        for key in keys {
            on_pool!(self, |pool| {
                sqlx::query("UPDATE limits SET count = count - 1 WHERE key = $1 AND ends_at_us > $2 AND count > 0")
                    .bind(*key)
                    .bind(now_us)
                    .execute(pool)
                    .await?;
            });
        }
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
