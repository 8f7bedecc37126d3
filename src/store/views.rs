//! Last-seen views, sealed, with the watermark that keeps older ones away; who is signing up; what guests agreed to.

use super::engine::{Store, StoreError, on_pool};
use crate::keys::{Keys, Purpose, Tag};
use crate::model::{AccountId, GuestKey};

/// The keyed hash that an account's id is kept by.
#[must_use]
pub fn account_subject(keys: &Keys, account: &AccountId) -> Tag {
    keys.mac(Purpose::Subject, &[b"account", account.as_str().as_bytes()])
}

/// A kept view.
#[derive(Clone, Debug)]
pub struct ViewRow {
    /// The keyed hash of the account that it is of; empty when not known.
    pub account: Vec<u8>,
    /// Its content, sealed.
    pub sealed: Vec<u8>,
    /// When ProBonus said so.
    pub as_of_us: i64,
}

impl Store {
    /// The last kept view, unless a write happened since it was asked for: an answer may come to be kept while the write is noted.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn view(&self, guest: GuestKey, view: &str) -> Result<Option<ViewRow>, StoreError> {
        let row: Option<(Vec<u8>, Vec<u8>, i64)> = on_pool!(self, |pool| {
            sqlx::query_as(
                "SELECT account, sealed, as_of_us FROM views WHERE guest = $1 AND view = $2 \
                 AND NOT EXISTS (SELECT 1 FROM watermarks \
                   WHERE subject IN (views.guest, views.account) AND at_us >= views.asked_at_us)",
            )
            .bind(&guest.0[..])
            .bind(view)
            .fetch_optional(pool)
            .await?
        });
        Ok(row.map(|(account, sealed, as_of_us)| ViewRow {
            account,
            sealed,
            as_of_us,
        }))
    }

    /// Keeps a view, unless a newer one is kept or a write happened since it was asked for.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn keep_view(
        &self,
        guest: GuestKey,
        view: &str,
        row: &ViewRow,
        asked_at_us: i64,
    ) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(
                "INSERT INTO views (guest, view, account, sealed, as_of_us, asked_at_us) SELECT $1, $2, $3, $4, $5, $6 \
                 WHERE NOT EXISTS (SELECT 1 FROM watermarks WHERE (subject = $1 OR subject = $3) AND at_us >= $6) \
                 ON CONFLICT (guest, view) DO UPDATE SET \
                   account = excluded.account, sealed = excluded.sealed, as_of_us = excluded.as_of_us, \
                   asked_at_us = excluded.asked_at_us \
                 WHERE views.as_of_us < excluded.as_of_us",
            )
            .bind(&guest.0[..])
            .bind(view)
            .bind(&row.account)
            .bind(&row.sealed)
            .bind(row.as_of_us)
            .bind(asked_at_us)
            .execute(pool)
            .await?;
        });
        Ok(())
    }

    /// A write happened to a guest (by their key) or an account (by its keyed hash): what is kept goes, and nothing asked for before
    /// comes back.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn outdate_views(&self, subject: &[u8], at_us: i64) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            sqlx::query(
                "INSERT INTO watermarks (subject, at_us) VALUES ($1, $2) \
                 ON CONFLICT (subject) DO UPDATE SET at_us = excluded.at_us WHERE watermarks.at_us < excluded.at_us",
            )
            .bind(subject)
            .bind(at_us)
            .execute(&mut *transaction)
            .await?;
            sqlx::query("DELETE FROM views WHERE (guest = $1 OR account = $1) AND as_of_us <= $2")
                .bind(subject)
                .bind(at_us)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
        });
        Ok(())
    }

    /// Removes at most `most` views and watermarks from before `before_us`; says how many views.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn prune_views(&self, before_us: i64, most: i64) -> Result<u64, StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(
                "DELETE FROM watermarks WHERE subject IN (SELECT subject FROM watermarks WHERE at_us <= $1 LIMIT $2)",
            )
            .bind(before_us)
            .bind(most)
            .execute(pool)
            .await?;
            let removed = sqlx::query(
                "DELETE FROM views WHERE (guest, view) IN (SELECT guest, view FROM views WHERE as_of_us <= $1 LIMIT $2)",
            )
            .bind(before_us)
            .bind(most)
            .execute(pool)
            .await?;
            Ok(removed.rows_affected())
        })
    }

    /// Claims the guest's signing up until `lease_until_us`; `false` when somebody else holds it.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn claim_registration(
        &self,
        guest: GuestKey,
        lease_until_us: i64,
        now_us: i64,
    ) -> Result<bool, StoreError> {
        Ok(on_pool!(self, |pool| {
            sqlx::query(
                "INSERT INTO registrations (guest, lease_until_us) VALUES ($1, $2) \
                 ON CONFLICT (guest) DO UPDATE SET lease_until_us = excluded.lease_until_us \
                 WHERE registrations.lease_until_us <= $3",
            )
            .bind(&guest.0[..])
            .bind(lease_until_us)
            .bind(now_us)
            .execute(pool)
            .await?
            .rows_affected()
                > 0
        }))
    }

    /// Gives the claim back.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn release_registration(&self, guest: GuestKey) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query("DELETE FROM registrations WHERE guest = $1")
                .bind(&guest.0[..])
                .execute(pool)
                .await?;
        });
        Ok(())
    }

    /// Keeps what a guest agreed to; the first moment stays.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn keep_consents(
        &self,
        guest: GuestKey,
        consents: &[(String, String)],
        now_us: i64,
    ) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            for (document, version) in consents {
                sqlx::query(
                    "INSERT INTO consents (guest, document, version, agreed_at_us) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (guest, document, version) DO NOTHING",
                )
                .bind(&guest.0[..])
                .bind(document)
                .bind(version)
                .bind(now_us)
                .execute(&mut *transaction)
                .await?;
            }
            transaction.commit().await?;
        });
        Ok(())
    }
}
