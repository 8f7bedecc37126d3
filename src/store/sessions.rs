//! Sessions: one row each. Rotation goes by a counter, so that of many refreshes with one token exactly one moves it.

use super::account_bindings::{binding_of, column_of};
use super::engine::{Store, StoreError, on_pool};
use super::hints::Hint;
use crate::model::{AccountBinding, GuestKey, SessionId};

/// A session as it is kept.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// Its id.
    pub id: SessionId,
    /// Whose.
    pub guest: GuestKey,
    /// The phone, sealed.
    pub phone_sealed: Vec<u8>,
    /// `bearer` or `cookie`.
    pub kind: String,
    /// The device's name, sealed.
    pub device_sealed: Option<Vec<u8>>,
    /// The number of the newest pair.
    pub counter: i64,
    /// The greatest number of a pair that was seen in use; −1: none.
    pub used: i64,
    /// When that was first seen.
    pub used_at_us: i64,
    /// When the guest signed in.
    pub created_at_us: i64,
    /// When it was last used, to within a minute.
    pub last_seen_at_us: i64,
    /// It ends then unless it is used.
    pub idle_until_us: i64,
    /// It ends then whatever happens.
    pub expires_at_us: i64,
    /// The account that it was opened under.
    pub account: AccountBinding,
}

type Columns = (
    Vec<u8>,
    Vec<u8>,
    Vec<u8>,
    String,
    Option<Vec<u8>>,
    i64,
    i64,
    i64,
    i64,
    i64,
    i64,
    i64,
    Option<Vec<u8>>,
);

const COLUMNS: &str = "id, guest, phone_sealed, kind, device_sealed, counter, used, used_at_us, created_at_us, last_seen_at_us, \
     idle_until_us, expires_at_us, account";

impl TryFrom<Columns> for SessionRow {
    type Error = StoreError;

    fn try_from(row: Columns) -> Result<Self, StoreError> {
        Ok(Self {
            id: session_id(&row.0)?,
            guest: GuestKey(row.1.try_into().map_err(|_| StoreError::Corrupt)?),
            phone_sealed: row.2,
            kind: row.3,
            device_sealed: row.4,
            counter: row.5,
            used: row.6,
            used_at_us: row.7,
            created_at_us: row.8,
            last_seen_at_us: row.9,
            idle_until_us: row.10,
            expires_at_us: row.11,
            account: binding_of(row.12.as_deref())?,
        })
    }
}

pub(super) fn session_id(bytes: &[u8]) -> Result<SessionId, StoreError> {
    uuid::Uuid::from_slice(bytes)
        .map(SessionId)
        .map_err(|_| StoreError::Corrupt)
}

pub(super) fn ids(rows: &[(Vec<u8>,)]) -> Result<Vec<SessionId>, StoreError> {
    rows.iter().map(|(id,)| session_id(id)).collect()
}

/// Leaves the hints of sessions that end in a transaction; gives them.
macro_rules! leave_endings {
    ($store:expr, $transaction:ident, $ended:expr) => {{
        let hints: Vec<Hint> = $ended.iter().copied().map(Hint::SessionEnded).collect();
        for hint in &hints {
            $crate::store::hints::leave_hint!($store, $transaction, hint);
        }
        hints
    }};
}
pub(super) use leave_endings;

impl Store {
    /// Keeps a new session and ends the longest unused ones of the same guest beyond `most`; says which.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn add_session(&self, row: &SessionRow, most: i64) -> Result<Vec<SessionId>, StoreError> {
        let echo = self.expect_echo();
        let (ended, hints) = on_pool!(self, |pool| {
            sqlx::query(
                "INSERT INTO sessions (id, guest, phone_sealed, kind, device_sealed, counter, used, used_at_us, created_at_us, \
                 last_seen_at_us, idle_until_us, expires_at_us, account) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            )
            .bind(&row.id.0.as_bytes()[..])
            .bind(&row.guest.0[..])
            .bind(&row.phone_sealed)
            .bind(&row.kind)
            .bind(&row.device_sealed)
            .bind(row.counter)
            .bind(row.used)
            .bind(row.used_at_us)
            .bind(row.created_at_us)
            .bind(row.last_seen_at_us)
            .bind(row.idle_until_us)
            .bind(row.expires_at_us)
            .bind(column_of(&row.account))
            .execute(pool)
            .await?;
            // Not in one transaction with the above: of several sign-ins at once the last to get here must see the others' sessions.
            let mut transaction = pool.begin().await?;
            let ended: Vec<(Vec<u8>,)> = sqlx::query_as(
                "DELETE FROM sessions WHERE guest = $1 AND id <> $2 AND id NOT IN \
                 (SELECT id FROM sessions WHERE guest = $1 AND id <> $2 \
                  ORDER BY last_seen_at_us DESC, created_at_us DESC, id LIMIT $3) RETURNING id",
            )
            .bind(&row.guest.0[..])
            .bind(&row.id.0.as_bytes()[..])
            .bind(most - 1)
            .fetch_all(&mut *transaction)
            .await?;
            let ended = ids(&ended)?;
            let hints = leave_endings!(self, transaction, &ended);
            transaction.commit().await?;
            (ended, hints)
        });
        echo.committed(&hints).await;
        Ok(ended)
    }

    /// Finds a living session that is being used by its pair `number`, and notes that.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn use_session(
        &self,
        id: SessionId,
        number: i64,
        idle_until_us: i64,
        now_us: i64,
    ) -> Result<Option<SessionRow>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE sessions SET \
               used_at_us = CASE WHEN used < $2 THEN $4 ELSE used_at_us END, \
               used = CASE WHEN used < $2 THEN $2 ELSE used END, \
               last_seen_at_us = CASE WHEN last_seen_at_us < $4 THEN $4 ELSE last_seen_at_us END, \
               idle_until_us = CASE WHEN idle_until_us < $3 THEN $3 ELSE idle_until_us END \
             WHERE id = $1 AND idle_until_us > $4 AND expires_at_us > $4 AND counter >= $2 RETURNING {COLUMNS}"
        ));
        let row: Option<Columns> = on_pool!(self, |pool| {
            sqlx::query_as(sql)
                .bind(&id.0.as_bytes()[..])
                .bind(number)
                .bind(idle_until_us)
                .bind(now_us)
                .fetch_optional(pool)
                .await?
        });
        row.map(SessionRow::try_from).transpose()
    }

    /// A living session.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn session(&self, id: SessionId, now_us: i64) -> Result<Option<SessionRow>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM sessions WHERE id = $1 AND idle_until_us > $2 AND expires_at_us > $2"
        ));
        let row: Option<Columns> = on_pool!(self, |pool| {
            sqlx::query_as(sql)
                .bind(&id.0.as_bytes()[..])
                .bind(now_us)
                .fetch_optional(pool)
                .await?
        });
        row.map(SessionRow::try_from).transpose()
    }

    /// Moves the counter from `number` to the next; `None` when it stands elsewhere or the session is over.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn rotate_session(
        &self,
        id: SessionId,
        number: i64,
        idle_until_us: i64,
        now_us: i64,
    ) -> Result<Option<SessionRow>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE sessions SET counter = counter + 1, \
               used_at_us = CASE WHEN used < $2 THEN $4 ELSE used_at_us END, \
               used = CASE WHEN used < $2 THEN $2 ELSE used END, \
               last_seen_at_us = $4, idle_until_us = $3 \
             WHERE id = $1 AND counter = $2 AND idle_until_us > $4 AND expires_at_us > $4 RETURNING {COLUMNS}"
        ));
        let row: Option<Columns> = on_pool!(self, |pool| {
            sqlx::query_as(sql)
                .bind(&id.0.as_bytes()[..])
                .bind(number)
                .bind(idle_until_us)
                .bind(now_us)
                .fetch_optional(pool)
                .await?
        });
        row.map(SessionRow::try_from).transpose()
    }

    /// The living sessions of a guest, last used first.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn sessions_of(&self, guest: GuestKey, now_us: i64) -> Result<Vec<SessionRow>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM sessions WHERE guest = $1 AND idle_until_us > $2 AND expires_at_us > $2 \
             ORDER BY last_seen_at_us DESC, created_at_us DESC LIMIT 200"
        ));
        let rows: Vec<Columns> = on_pool!(self, |pool| {
            sqlx::query_as(sql)
                .bind(&guest.0[..])
                .bind(now_us)
                .fetch_all(pool)
                .await?
        });
        rows.into_iter().map(SessionRow::try_from).collect()
    }

    /// Ends one session of the guest, and leaves the hint of it; whether there was one.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn end_session(&self, id: SessionId, guest: GuestKey) -> Result<bool, StoreError> {
        let echo = self.expect_echo();
        let (ended, hints) = on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            let ended = sqlx::query("DELETE FROM sessions WHERE id = $1 AND guest = $2")
                .bind(&id.0.as_bytes()[..])
                .bind(&guest.0[..])
                .execute(&mut *transaction)
                .await?
                .rows_affected();
            let hints = leave_endings!(self, transaction, &[id][..usize::from(ended > 0)]);
            transaction.commit().await?;
            (ended > 0, hints)
        });
        echo.committed(&hints).await;
        Ok(ended)
    }

    /// Ends all sessions of the guest but `kept`, and leaves the hints of it; says which.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn end_other_sessions(&self, kept: SessionId, guest: GuestKey) -> Result<Vec<SessionId>, StoreError> {
        let echo = self.expect_echo();
        let (ended, hints) = on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            let ended: Vec<(Vec<u8>,)> =
                sqlx::query_as("DELETE FROM sessions WHERE id <> $1 AND guest = $2 RETURNING id")
                    .bind(&kept.0.as_bytes()[..])
                    .bind(&guest.0[..])
                    .fetch_all(&mut *transaction)
                    .await?;
            let ended = ids(&ended)?;
            let hints = leave_endings!(self, transaction, &ended);
            transaction.commit().await?;
            (ended, hints)
        });
        echo.committed(&hints).await;
        Ok(ended)
    }

    /// Removes at most `most` sessions that are over; says how many.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn prune_sessions(&self, now_us: i64, most: i64) -> Result<u64, StoreError> {
        // What somebody holds or has just renewed is left alone: the outer condition is read again after a wait.
        let sql = sqlx::AssertSqlSafe(format!(
            "DELETE FROM sessions WHERE (expires_at_us <= $1 OR idle_until_us <= $1) AND id IN \
             (SELECT id FROM sessions WHERE expires_at_us <= $1 OR idle_until_us <= $1 LIMIT $2{})",
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
