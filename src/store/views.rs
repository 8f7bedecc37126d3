//! Last-seen views, sealed, each with the generation it was read under.

use super::engine::{Store, StoreError, on_pool};
use super::generations::Generation;
use crate::keys::Tag;
use crate::model::GuestKey;

/// A kept view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewRow {
    /// The keyed hash of the account that it is of; empty when not known.
    pub account: Vec<u8>,
    /// Its content, sealed.
    pub sealed: Vec<u8>,
    /// When ProBonus said so, by the clock of who asked.
    pub as_of_us: i64,
    /// The same by the rows' time.
    pub read_at_us: i64,
}

/// What the store knows of a guest's views, all as of one moment.
#[derive(Clone, Debug)]
pub struct Known {
    /// The count of writes: an answer asked for from now on is read under this generation.
    pub generation: Generation,
    /// The last write of the guest or of their account.
    pub written: Option<Generation>,
    /// The kept copy, unless a write happened since it was asked for.
    pub copy: Option<ViewRow>,
}

type KnownColumns = (
    i64,
    Option<i64>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Option<i64>,
    Option<i64>,
);

impl Store {
    /// What is known of a guest, of their account when that is known, and of one of their views.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn known(&self, guest: GuestKey, account: Option<Tag>, view: Option<&str>) -> Result<Known, StoreError> {
        let row: KnownColumns = on_pool!(self, |pool| {
            // A copy may come to be kept while a write is noted: its generation tells.
            sqlx::query_as(
                "SELECT writes.number, \
                   (SELECT MAX(number) FROM generations WHERE subject = $1 OR subject = $2), \
                   views.account, views.sealed, views.as_of_us, views.read_at_us \
                 FROM writes LEFT JOIN views ON views.guest = $1 AND views.view = $3 AND NOT EXISTS \
                   (SELECT 1 FROM generations \
                    WHERE subject IN (views.guest, views.account) AND number > views.generation)",
            )
            .bind(&guest.0[..])
            .bind(account.as_ref().map(|account| &account[..]))
            .bind(view)
            .fetch_one(pool)
            .await?
        });
        let (number, written, account, sealed, as_of_us, read_at_us) = row;
        let copy = || {
            Some(ViewRow {
                account: account?,
                sealed: sealed?,
                as_of_us: as_of_us?,
                read_at_us: read_at_us?,
            })
        };
        Ok(Known {
            generation: Generation(number),
            written: written.map(Generation),
            copy: copy(),
        })
    }

    /// Keeps a view that was asked for under `generation`, unless its guest or account was written since.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn keep_view(
        &self,
        guest: GuestKey,
        view: &str,
        row: &ViewRow,
        generation: Generation,
    ) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(
                "INSERT INTO views (guest, view, account, sealed, as_of_us, read_at_us, generation) \
                 SELECT $1, $2, $3, $4, $5, $6, $7 \
                 WHERE NOT EXISTS (SELECT 1 FROM generations WHERE (subject = $1 OR subject = $3) AND number > $7) \
                 ON CONFLICT (guest, view) DO UPDATE SET \
                   account = excluded.account, sealed = excluded.sealed, as_of_us = excluded.as_of_us, \
                   read_at_us = excluded.read_at_us, generation = excluded.generation \
                 WHERE views.generation <= excluded.generation",
            )
            .bind(&guest.0[..])
            .bind(view)
            .bind(&row.account)
            .bind(&row.sealed)
            .bind(row.as_of_us)
            .bind(row.read_at_us)
            .bind(generation.0)
            .execute(pool)
            .await?;
        });
        Ok(())
    }

    /// Removes at most `most` views read before `before_us`; says how many.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn prune_views(&self, before_us: i64, most: i64) -> Result<u64, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "DELETE FROM views WHERE read_at_us <= $1 AND (guest, view) IN \
             (SELECT guest, view FROM views WHERE read_at_us <= $1 LIMIT $2{})",
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
