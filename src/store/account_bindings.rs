//! Which account sessions were opened under, and what ends when another one is behind their phone.
//!
//! The column `sessions.account`: NULL is not known yet, empty is none, else the keyed hash of the account's id.

use super::engine::{Store, StoreError, on_pool};
use super::generations::{Generation, Subject, move_generations};
use super::hints::Hint;
use super::sessions::{ids, leave_endings};
use crate::keys::Tag;
use crate::model::{AccountBinding, GuestKey, SessionId};

pub(super) fn column_of(account: &AccountBinding) -> Option<&[u8]> {
    match account {
        AccountBinding::Unknown => None,
        AccountBinding::Absent => Some(&[]),
        AccountBinding::Account(tag) => Some(tag),
    }
}

pub(super) fn binding_of(column: Option<&[u8]>) -> Result<AccountBinding, StoreError> {
    Ok(match column {
        None => AccountBinding::Unknown,
        Some([]) => AccountBinding::Absent,
        Some(tag) => AccountBinding::Account(tag.try_into().map_err(|_| StoreError::Corrupt)?),
    })
}

/// Sessions that go on under another account than before.
const GO_ON: &str = "UPDATE sessions SET account = $2 WHERE guest = $1 AND (account IS NULL OR ($2 <> $3 AND id IN \
     (SELECT session FROM registrations WHERE guest = $1 AND sent_at_us IS NOT NULL \
      AND (sessions.account = $3 OR settled_at_us > $4))))";

impl Store {
    /// The account that a living session was opened under; `None` when it is over.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn account_of_session(&self, id: SessionId, now_us: i64) -> Result<Option<AccountBinding>, StoreError> {
        let row = self.session(id, now_us).await?;
        Ok(row.map(|row| row.account))
    }

    /// The accounts that the living sessions of a guest were opened under, each once.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn accounts_of_sessions(&self, guest: GuestKey, now_us: i64) -> Result<Vec<AccountBinding>, StoreError> {
        let rows: Vec<(Option<Vec<u8>>,)> = on_pool!(self, |pool| {
            sqlx::query_as(
                "SELECT DISTINCT account FROM sessions WHERE guest = $1 AND idle_until_us > $2 AND expires_at_us > $2",
            )
            .bind(&guest.0[..])
            .bind(now_us)
            .fetch_all(pool)
            .await?
        });
        rows.iter().map(|(column,)| binding_of(column.as_deref())).collect()
    }

    /// Notes under which account a session was opened, unless that is known; says what is known now, nothing when it is over.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn bind_session(
        &self,
        id: SessionId,
        account: AccountBinding,
    ) -> Result<Option<AccountBinding>, StoreError> {
        let row: Option<(Option<Vec<u8>>,)> = on_pool!(self, |pool| {
            sqlx::query_as("UPDATE sessions SET account = COALESCE(account, $2) WHERE id = $1 RETURNING account")
                .bind(&id.0.as_bytes()[..])
                .bind(column_of(&account))
                .fetch_optional(pool)
                .await?
        });
        row.map(|(column,)| binding_of(column.as_deref())).transpose()
    }

    /// Removes what is kept of a guest and of another account than `account`.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn remove_views_of_others(&self, guest: GuestKey, account: Tag) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query("DELETE FROM views WHERE guest = $1 AND account <> $2")
                .bind(&guest.0[..])
                .bind(&account[..])
                .execute(pool)
                .await?;
        });
        Ok(())
    }

    /// Another account is behind the guest's phone. Sessions that were opened under one of `former` end, and those of which nothing is
    /// known yet go on under `now`. So does the one whose own sign-up was sent to ProBonus, when there was none before, or as long as that
    /// is not settled: what ProBonus told of it may have been provisional. What is kept of the guest goes. Says which sessions ended, and
    /// the generation of the write when it was one.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn change_account(
        &self,
        guest: GuestKey,
        former: &[AccountBinding],
        now: AccountBinding,
        now_us: i64,
    ) -> Result<(Vec<SessionId>, Option<Generation>), StoreError> {
        let echo = self.expect_echo();
        let subjects: &[Subject] = if former.is_empty() {
            &[]
        } else {
            &[Subject::Guest(guest)]
        };
        let (ended, number, hints) = on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            let (mut number, mut hints) = (None, Vec::new());
            if !subjects.is_empty() {
                let (moved, left) = move_generations!(self, transaction, subjects, now_us);
                (number, hints) = (Some(moved), left);
            }
            sqlx::query(GO_ON)
                .bind(&guest.0[..])
                .bind(column_of(&now))
                .bind(column_of(&AccountBinding::Absent))
                .bind(now_us)
                .execute(&mut *transaction)
                .await?;
            let mut ended: Vec<(Vec<u8>,)> = Vec::new();
            for account in former.iter().filter(|account| **account != now) {
                // By what was known before ProBonus was asked last: whoever signed in meanwhile under yet another one is not meant.
                let sql = "DELETE FROM sessions WHERE guest = $1 AND account = $2 RETURNING id";
                let rows = sqlx::query_as::<_, (Vec<u8>,)>(sql)
                    .bind(&guest.0[..])
                    .bind(column_of(account))
                    .fetch_all(&mut *transaction)
                    .await?;
                ended.extend(rows);
            }
            let ended = ids(&ended)?;
            hints.extend(leave_endings!(self, transaction, &ended));
            transaction.commit().await?;
            (ended, number, hints)
        });
        echo.committed(&hints).await;
        Ok((ended, number))
    }
}
