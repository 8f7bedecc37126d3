//! Challenges: codes under way, until they are consumed or over.

use super::engine::{Store, StoreError, on_pool};
use crate::model::GuestKey;

/// A challenge as it is kept.
#[derive(Clone, Debug)]
pub struct ChallengeRow {
    /// The keyed hash of its id.
    pub id_tag: Vec<u8>,
    /// Whose phone.
    pub guest: GuestKey,
    /// The phone, sealed.
    pub phone_sealed: Vec<u8>,
    /// The keyed hash of its code.
    pub code_tag: Vec<u8>,
    /// By which channel the code goes.
    pub channel: String,
    /// For which platform its text is made.
    pub platform: String,
    /// In which language.
    pub language: String,
    /// Wrong codes so far.
    pub attempts: i64,
    /// When it ends.
    pub expires_at_us: i64,
    /// When the next message may go.
    pub resend_at_us: i64,
    /// The guest's own call came: it stands for the code.
    pub is_confirmed: bool,
    /// The keyed hash of digits that a gateway chose.
    pub chosen_digits: Option<Vec<u8>>,
    /// From where it was asked for, sealed; nothing in a row of before that was kept.
    pub asked_from: Option<Vec<u8>>,
}

const COLUMNS: &str = "id_tag, guest, phone_sealed, code_tag, channel, platform, language, attempts, expires_at_us, resend_at_us, \
     confirmed_at_us, chosen_digits, asked_from";

type Columns = (
    Vec<u8>,
    Vec<u8>,
    Vec<u8>,
    Vec<u8>,
    String,
    String,
    String,
    i64,
    i64,
    i64,
    Option<i64>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
);

impl TryFrom<Columns> for ChallengeRow {
    type Error = StoreError;

    fn try_from(row: Columns) -> Result<Self, StoreError> {
        Ok(Self {
            id_tag: row.0,
            guest: GuestKey(row.1.try_into().map_err(|_| StoreError::Corrupt)?),
            phone_sealed: row.2,
            code_tag: row.3,
            channel: row.4,
            platform: row.5,
            language: row.6,
            attempts: row.7,
            expires_at_us: row.8,
            resend_at_us: row.9,
            is_confirmed: row.10.is_some(),
            chosen_digits: row.11,
            asked_from: row.12,
        })
    }
}

impl Store {
    /// Keeps a new challenge.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn add_challenge(&self, row: &ChallengeRow, now_us: i64) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(
                "INSERT INTO challenges (id_tag, guest, phone_sealed, code_tag, channel, platform, language, attempts, \
                 created_at_us, expires_at_us, resend_at_us, asked_from) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            )
            .bind(&row.id_tag)
            .bind(&row.guest.0[..])
            .bind(&row.phone_sealed)
            .bind(&row.code_tag)
            .bind(&row.channel)
            .bind(&row.platform)
            .bind(&row.language)
            .bind(row.attempts)
            .bind(now_us)
            .bind(row.expires_at_us)
            .bind(row.resend_at_us)
            .bind(&row.asked_from)
            .execute(pool)
            .await?;
        });
        Ok(())
    }

    /// A challenge that still lives: not expired, not consumed, with attempts left.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn challenge(&self, id_tag: &[u8], most: i64, now_us: i64) -> Result<Option<ChallengeRow>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM challenges \
             WHERE id_tag = $1 AND consumed_at_us IS NULL AND attempts < $2 AND expires_at_us > $3"
        ));
        let row: Option<Columns> = on_pool!(self, |pool| {
            sqlx::query_as(sql)
                .bind(id_tag)
                .bind(most)
                .bind(now_us)
                .fetch_optional(pool)
                .await?
        });
        row.map(ChallengeRow::try_from).transpose()
    }

    /// Notes of a challenge that still lives when its next message may go, and by which channel the last one went. Says the wrong codes
    /// so far; `None`: it lives no more, and nothing was noted.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn challenge_sent(
        &self,
        id_tag: &[u8],
        channel: &str,
        resend_at_us: i64,
        most: i64,
        now_us: i64,
    ) -> Result<Option<i64>, StoreError> {
        let attempts: Option<(i64,)> = on_pool!(self, |pool| {
            sqlx::query_as(
                "UPDATE challenges SET channel = $2, resend_at_us = $3 \
                 WHERE id_tag = $1 AND consumed_at_us IS NULL AND attempts < $4 AND expires_at_us > $5 RETURNING attempts",
            )
            .bind(id_tag)
            .bind(channel)
            .bind(resend_at_us)
            .bind(most)
            .bind(now_us)
            .fetch_optional(pool)
            .await?
        });
        Ok(attempts.map(|(attempts,)| attempts))
    }

    /// Removes at most `most` challenges that ended before `before_us`; says how many.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn prune_challenges(&self, before_us: i64, most: i64) -> Result<u64, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "DELETE FROM challenges WHERE id_tag IN \
             (SELECT id_tag FROM challenges WHERE expires_at_us <= $1 LIMIT $2{})",
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
