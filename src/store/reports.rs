//! What becomes of messages once a gateway took them: reports, and the state that a guest sees.

use super::engine::{Store, StoreError, on_pool};

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
