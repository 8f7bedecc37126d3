//! Whether this state is an older one that was brought back: orders may have been taken since that it does not know.
//!
//! An embedded store is known to be brought back when fewer operations were claimed in it than the file beside it says, when that file is
//! gone, or is another one than at the last stop. A PostgreSQL is when its cluster, its history or its tables are others than before. Either
//! is taken for it when nobody has said for long that the program lives, unless it was stopped in order.

use std::time::Duration;

use super::claims_file::{Claims, ClaimsFile};
use super::engine::{Pool, Store, StoreError, on_pool};
use crate::clock::micros;

/// Nobody has said for this long that the program lives: it stood still, or this is a state of before.
const SILENCE: Duration = Duration::from_mins(10);

/// A state that does not say when it was made is taken to be this old.
const UNDATED: Duration = Duration::from_hours(31 * 24);

/// Orders that this state may not know although they were carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LostOrders {
    /// They were given since this moment, in microseconds.
    pub from_us: i64,
    /// New ones are looked for until this moment, in microseconds.
    pub until_us: i64,
}

/// What is kept.
struct Watch {
    identity: Option<String>,
    claims: i64,
    clean: bool,
    alive_at_us: i64,
    lost: LostOrders,
}

const PG_IDENTITY: &str = "SELECT CONCAT_WS(':', (SELECT system_identifier FROM pg_control_system()), \
     (SELECT timeline_id FROM pg_control_checkpoint()), (SELECT oid FROM pg_database WHERE datname = current_database()), \
     pg_relation_filenode('operations'))";

/// Where the cluster does not tell its own name to everybody.
const PG_PLAIN_IDENTITY: &str = "SELECT CONCAT_WS(':', (SELECT oid FROM pg_database WHERE datname = current_database()), \
     pg_relation_filenode('operations'))";

impl Store {
    /// Looks whether this state was brought back. When it was, new orders are to be looked for from now on for as long as `looking`, and
    /// calls that are not known to have ended are taken to end now.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn watch_for_restore(&self, now_us: i64, looking: Duration) -> Result<(bool, LostOrders), StoreError> {
        // The file first: a claim is counted in the store before it is in the file.
        let file = self.claims.as_ref().map(ClaimsFile::read);
        let watch = self.read_watch().await?;
        let identity = self.engine_identity().await?;
        let moved = match &file {
            Some(file) => watch.file_is_another(file.as_ref()),
            None => watch.is_elsewhere(identity.as_deref()),
        };
        let silent = watch.alive_at_us > 0 && !watch.clean && now_us - watch.alive_at_us > micros(SILENCE);
        let restored = moved || silent;
        let lost = if restored {
            watch.lost_by_restore(now_us, looking)
        } else {
            watch.lost
        };
        let claims = file.flatten().map_or(0, |file| file.number).max(watch.claims);
        self.keep_watch(identity, claims, now_us, lost).await?;
        if restored {
            self.end_calls(now_us).await?;
        }
        self.note_claims(claims);
        Ok((restored, lost))
    }

    /// The program of an embedded store stops in order: whatever is not as it is left now was brought here.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn note_stop(&self, now_us: i64) -> Result<(), StoreError> {
        let Some(file) = self.claims.as_ref().and_then(ClaimsFile::read) else {
            return Ok(());
        };
        on_pool!(self, |pool| {
            sqlx::query("UPDATE restore_watch SET clean = 1, identity = $1, alive_at_us = $2")
                .bind(&file.identity)
                .bind(now_us)
                .execute(pool)
                .await?;
        });
        Ok(())
    }

    async fn read_watch(&self) -> Result<Watch, StoreError> {
        let row: (Option<String>, i64, i64, i64, i64, i64) = on_pool!(self, |pool| {
            sqlx::query_as(
                "SELECT identity, claims, clean, alive_at_us, lost_from_us, look_until_us FROM restore_watch",
            )
            .fetch_one(pool)
            .await?
        });
        let (identity, claims, clean, alive_at_us, from_us, until_us) = row;
        Ok(Watch {
            identity,
            claims,
            clean: clean != 0,
            alive_at_us,
            lost: LostOrders { from_us, until_us },
        })
    }

    async fn keep_watch(
        &self,
        identity: Option<String>,
        claims: i64,
        now_us: i64,
        lost: LostOrders,
    ) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(
                "UPDATE restore_watch SET identity = COALESCE($1, identity, ''), \
                 claims = CASE WHEN claims < $2 THEN $2 ELSE claims END, clean = 0, alive_at_us = $3, \
                 lost_from_us = $4, look_until_us = $5",
            )
            .bind(identity)
            .bind(claims)
            .bind(now_us)
            .bind(lost.from_us)
            .bind(lost.until_us)
            .execute(pool)
            .await?;
        });
        Ok(())
    }

    /// Calls under way when the state was lost, or made since, may have been under way until now.
    async fn end_calls(&self, now_us: i64) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(
                "UPDATE operations SET sent_at_us = $1, history_lag_us = -1 WHERE state IN ('sent', 'unknown') AND attempts > 0",
            )
            .bind(now_us)
            .execute(pool)
            .await?;
        });
        Ok(())
    }

    /// What names the state of an engine that is not embedded.
    async fn engine_identity(&self) -> Result<Option<String>, StoreError> {
        let Pool::Postgres(pool) = &self.pool else {
            return Ok(None);
        };
        let told: Result<(String,), sqlx::Error> = sqlx::query_as(PG_IDENTITY).fetch_one(pool).await;
        let told = match told {
            Err(sqlx::Error::Database(_)) => sqlx::query_as(PG_PLAIN_IDENTITY).fetch_one(pool).await,
            told => told,
        };
        let (identity,): (String,) = told?;
        Ok(Some(identity))
    }

    /// Writes the number of claims beside an embedded store.
    pub(super) fn note_claims(&self, claims: i64) {
        if let Some(file) = &self.claims
            && let Err(error) = file.write(claims)
        {
            tracing::warn!(%error, "the file beside the state cannot be written: a restore of an older state would not be noticed");
        }
    }
}

impl Watch {
    /// Whether the file beside an embedded store tells that this is a state of before.
    fn file_is_another(&self, file: Option<&Claims>) -> bool {
        match (file, &self.identity) {
            (None, None) => false,
            (None, Some(_)) => self.claims > 0,
            (Some(file), identity) => {
                let touched = self.clean && identity.as_ref().is_some_and(|identity| *identity != file.identity);
                file.number > self.claims || touched
            }
        }
    }

    /// Whether an engine that names its state names another one than before.
    fn is_elsewhere(&self, identity: Option<&str>) -> bool {
        match (&self.identity, identity) {
            (Some(before), Some(now)) => before != now,
            _ => false,
        }
    }

    fn lost_by_restore(&self, now_us: i64, looking: Duration) -> LostOrders {
        let made_at_us = match self.alive_at_us {
            0 => now_us - micros(UNDATED),
            alive_at_us => alive_at_us.min(now_us),
        };
        let still_looking = self.lost.until_us > now_us;
        LostOrders {
            from_us: if still_looking {
                made_at_us.min(self.lost.from_us)
            } else {
                made_at_us
            },
            until_us: now_us.saturating_add(micros(looking)),
        }
    }
}
