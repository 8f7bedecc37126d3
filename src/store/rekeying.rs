//! Rows keyed or sealed by keys that are not in use any more: keyed and sealed anew while their phones can still be opened.

use super::engine::{Store, StoreError, on_pool};
use crate::model::{GuestKey, SessionId};

/// A session whose guest may have to be keyed anew.
pub struct KeyedSession {
    /// Its id.
    pub id: Vec<u8>,
    /// By which it is found now.
    pub guest: Vec<u8>,
    /// The phone, sealed.
    pub phone_sealed: Vec<u8>,
}

impl Store {
    /// Sessions with an id greater than `after`, by their ids, at most `most`.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn sessions_after(&self, after: &[u8], most: i64) -> Result<Vec<KeyedSession>, StoreError> {
        let rows: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> = on_pool!(self, |pool| {
            sqlx::query_as("SELECT id, guest, phone_sealed FROM sessions WHERE id > $1 ORDER BY id LIMIT $2")
                .bind(after)
                .bind(most)
                .fetch_all(pool)
                .await?
        });
        let row = |(id, guest, phone_sealed)| KeyedSession {
            id,
            guest,
            phone_sealed,
        };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Keys a session, and what its guest agreed to, anew; says how many rows changed.
    ///
    /// # Errors
    /// When the store cannot be asked: then nothing changed.
    pub async fn rekey_guest(&self, session: &KeyedSession, guest: GuestKey) -> Result<u64, StoreError> {
        on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            let sessions = sqlx::query("UPDATE sessions SET guest = $2 WHERE id = $1 AND guest = $3")
                .bind(&session.id)
                .bind(&guest.0[..])
                .bind(&session.guest)
                .execute(&mut *transaction)
                .await?
                .rows_affected();
            let consents = sqlx::query(
                "UPDATE consents SET guest = $2 WHERE guest = $1 AND NOT EXISTS (SELECT 1 FROM consents AS newer \
                 WHERE newer.guest = $2 AND newer.document = consents.document AND newer.version = consents.version)",
            )
            .bind(&session.guest)
            .bind(&guest.0[..])
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            transaction.commit().await?;
            Ok(sessions + consents)
        })
    }

    /// Seals a session's phone and its device's name anew.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn reseal_session(&self, id: SessionId, phone: &[u8], device: Option<&[u8]>) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query("UPDATE sessions SET phone_sealed = $2, device_sealed = $3 WHERE id = $1")
                .bind(&id.0.as_bytes()[..])
                .bind(phone)
                .bind(device)
                .execute(pool)
                .await?;
        });
        Ok(())
    }

    /// How many guests have agreed to something and have no session by which they could be told.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn count_consents_without_session(&self) -> Result<i64, StoreError> {
        let (count,): (i64,) = on_pool!(self, |pool| {
            sqlx::query_as("SELECT COUNT(DISTINCT guest) FROM consents WHERE guest NOT IN (SELECT guest FROM sessions)")
                .fetch_one(pool)
                .await?
        });
        Ok(count)
    }
}
