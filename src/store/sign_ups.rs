//! Sign-ups: an intent each, on disk before ProBonus is called; what guests agreed to.

use super::engine::{Store, StoreError, on_pool};
use super::sessions::session_id;
use crate::model::{GuestKey, SessionId};

/// A guest's sign-up as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignUpRow {
    /// The session whose sign-up was last sent.
    pub session: Option<SessionId>,
    /// When ProBonus was last called.
    pub sent_at_us: Option<i64>,
    /// Until then that call may still take effect.
    pub settled_at_us: i64,
    /// Whether the guest has been told that the account is made.
    pub told: bool,
}

type Columns = (Option<Vec<u8>>, Option<i64>, i64, i64);

impl TryFrom<Columns> for SignUpRow {
    type Error = StoreError;

    fn try_from((session, sent_at_us, settled_at_us, told): Columns) -> Result<Self, StoreError> {
        Ok(Self {
            session: session.map(|id| session_id(&id)).transpose()?,
            sent_at_us,
            settled_at_us,
            told: told != 0,
        })
    }
}

impl Store {
    /// Claims the guest's signing up for `owner` until `lease_until_us`, and gives what stands there; `None` when somebody else holds it.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn claim_sign_up(
        &self,
        guest: GuestKey,
        owner: &[u8],
        lease_until_us: i64,
        now_us: i64,
    ) -> Result<Option<SignUpRow>, StoreError> {
        let row: Option<Columns> = on_pool!(self, |pool| {
            sqlx::query_as(
                "INSERT INTO registrations (guest, owner, lease_until_us) VALUES ($1, $2, $3) \
                 ON CONFLICT (guest) DO UPDATE SET owner = excluded.owner, lease_until_us = excluded.lease_until_us \
                 WHERE registrations.lease_until_us <= $4 RETURNING session, sent_at_us, settled_at_us, told",
            )
            .bind(&guest.0[..])
            .bind(owner)
            .bind(lease_until_us)
            .bind(now_us)
            .fetch_optional(pool)
            .await?
        });
        row.map(SignUpRow::try_from).transpose()
    }

    /// ProBonus is about to be called; `false` when the claim is not `owner`'s any more.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn sign_up_sent(
        &self,
        guest: GuestKey,
        owner: &[u8],
        session: Option<SessionId>,
        (now_us, settled_at_us): (i64, i64),
    ) -> Result<bool, StoreError> {
        Ok(on_pool!(self, |pool| {
            sqlx::query(
                "UPDATE registrations SET session = $3, sent_at_us = $4, settled_at_us = $5, told = 0 \
                 WHERE guest = $1 AND owner = $2 AND lease_until_us > $4",
            )
            .bind(&guest.0[..])
            .bind(owner)
            .bind(session.as_ref().map(|id| &id.0.as_bytes()[..]))
            .bind(now_us)
            .bind(settled_at_us)
            .execute(pool)
            .await?
            .rows_affected()
                > 0
        }))
    }

    /// The call ended, and nobody knows whether it took effect: it may do so until `settled_at_us`.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn sign_up_unsettled(&self, guest: GuestKey, owner: &[u8], settled_at_us: i64) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query("UPDATE registrations SET settled_at_us = $3 WHERE guest = $1 AND owner = $2")
                .bind(&guest.0[..])
                .bind(owner)
                .bind(settled_at_us)
                .execute(pool)
                .await?;
        });
        Ok(())
    }

    /// Gives the claim back. What was sent stands; `told`: the guest hears now that the account is made.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn release_sign_up(&self, guest: GuestKey, owner: &[u8], told: bool) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(
                "UPDATE registrations SET owner = NULL, lease_until_us = 0, told = CASE WHEN $3 = 1 THEN 1 ELSE told END \
                 WHERE guest = $1 AND owner = $2",
            )
            .bind(&guest.0[..])
            .bind(owner)
            .bind(i64::from(told))
            .execute(pool)
            .await?;
        });
        Ok(())
    }

    /// Nothing was made for certain: there is no sign-up.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn forget_sign_up(&self, guest: GuestKey, owner: &[u8]) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query("DELETE FROM registrations WHERE guest = $1 AND owner = $2")
                .bind(&guest.0[..])
                .bind(owner)
                .execute(pool)
                .await?;
        });
        Ok(())
    }

    /// Whether a sign-up was sent that may still take effect, or be shown.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn is_sign_up_pending(&self, guest: GuestKey, now_us: i64) -> Result<bool, StoreError> {
        let row: Option<(i64,)> = on_pool!(self, |pool| {
            sqlx::query_as(
                "SELECT settled_at_us FROM registrations WHERE guest = $1 AND sent_at_us IS NOT NULL AND settled_at_us > $2",
            )
            .bind(&guest.0[..])
            .bind(now_us)
            .fetch_optional(pool)
            .await?
        });
        Ok(row.is_some())
    }

    /// Removes at most `most` sign-ups that were settled before `before_us`; says how many.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn prune_sign_ups(&self, before_us: i64, most: i64) -> Result<u64, StoreError> {
        // Who claims one meanwhile keeps it: the outer condition is read again after a wait.
        let sql = sqlx::AssertSqlSafe(format!(
            "DELETE FROM registrations WHERE lease_until_us <= $1 AND settled_at_us <= $1 AND guest IN \
             (SELECT guest FROM registrations WHERE lease_until_us <= $1 AND settled_at_us <= $1 LIMIT $2{})",
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
