//! What becomes of messages once a gateway took them: reports, calls that are waited for, the state that a guest sees.

use super::engine::{Store, StoreError, on_pool};

/// A guest's call that is waited for.
#[derive(Clone, Debug)]
pub struct WatchedCall {
    /// The message's id.
    pub id: Vec<u8>,
    /// Which gateway waits for it.
    pub gateway: String,
    /// By what the gateway is asked, sealed.
    pub watched: Vec<u8>,
}

impl Store {
    /// A gateway says that the message arrived. Says whether that is news.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn message_delivered(&self, provider_tag: &[u8]) -> Result<bool, StoreError> {
        Ok(on_pool!(self, |pool| {
            sqlx::query("UPDATE outbox SET state = 'delivered' WHERE provider_tag = $1 AND state IN ('sent', 'failed')")
                .bind(provider_tag)
                .execute(pool)
                .await?
                .rows_affected()
                > 0
        }))
    }

    /// The guest's call for the message with this id or provider's tag came: its challenge is confirmed, if it still lives. Says whether it was.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn message_confirmed(&self, id_or_tag: &[u8], now_us: i64) -> Result<bool, StoreError> {
        Ok(on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            let challenge: Option<(Vec<u8>,)> = sqlx::query_as(
                "UPDATE outbox SET state = 'confirmed', sealed = NULL WHERE (id = $1 OR provider_tag = $1) \
                 AND dial IS NOT NULL AND state IN ('sent', 'delivered') AND expires_at_us > $2 RETURNING challenge",
            )
            .bind(id_or_tag)
            .bind(now_us)
            .fetch_optional(&mut *transaction)
            .await?;
            let Some((challenge,)) = challenge else {
                return Ok(false);
            };
            let confirmed = sqlx::query(
                "UPDATE challenges SET confirmed_at_us = $2 \
                 WHERE id_tag = $1 AND consumed_at_us IS NULL AND expires_at_us > $2",
            )
            .bind(challenge)
            .bind(now_us)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            transaction.commit().await?;
            confirmed > 0
        }))
    }

    /// Claims a call that is to be asked after now; it is asked after again at `next_us`.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn claim_watched_call(&self, next_us: i64, now_us: i64) -> Result<Option<WatchedCall>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE outbox SET lease_until_us = $1 \
             WHERE state = 'sent' AND lease_until_us <= $2 AND id = (SELECT id FROM outbox \
               WHERE state = 'sent' AND caller IS NOT NULL AND sealed IS NOT NULL \
               AND lease_until_us <= $2 AND expires_at_us > $2 ORDER BY lease_until_us LIMIT 1{}) \
             RETURNING id, gateway, sealed",
            self.skip_locked()
        ));
        let row: Option<(Vec<u8>, String, Vec<u8>)> = on_pool!(self, |pool| {
            sqlx::query_as(sql)
                .bind(next_us)
                .bind(now_us)
                .fetch_optional(pool)
                .await?
        });
        Ok(row.map(|(id, gateway, watched)| WatchedCall { id, gateway, watched }))
    }

    /// Whether a call of the same phone is waited for on behalf of another challenge that is of use yet.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn is_other_call_open(&self, caller: &[u8], challenge: &[u8], now_us: i64) -> Result<bool, StoreError> {
        let found: Option<(i64,)> = on_pool!(self, |pool| {
            sqlx::query_as(
                "SELECT created_at_us FROM outbox WHERE caller = $1 AND challenge <> $2 \
                 AND state IN ('sending', 'sent') AND expires_at_us > $3 AND NOT EXISTS (SELECT 1 FROM challenges \
                   WHERE id_tag = outbox.challenge AND consumed_at_us IS NOT NULL) LIMIT 1",
            )
            .bind(caller)
            .bind(challenge)
            .bind(now_us)
            .fetch_optional(pool)
            .await?
        });
        Ok(found.is_some())
    }

    /// The state of a challenge's newest message and the number to be called; a confirmed call goes before later messages.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn message_state(&self, challenge: &[u8]) -> Result<Option<(String, Option<String>)>, StoreError> {
        Ok(on_pool!(self, |pool| {
            sqlx::query_as(
                "SELECT state, dial FROM outbox WHERE challenge = $1 \
                 ORDER BY CASE state WHEN 'confirmed' THEN 0 ELSE 1 END, number DESC LIMIT 1",
            )
            .bind(challenge)
            .fetch_optional(pool)
            .await?
        }))
    }
}
