//! Messages waiting to be sent: kept before anything is promised, claimed by one replica, never sent again when their fate is unknown.

use super::engine::{Store, StoreError, on_pool};

/// A message to be sent.
#[derive(Clone, Debug)]
pub struct OutboxRow {
    /// Its id, random.
    pub id: Vec<u8>,
    /// The tag of the challenge it belongs to.
    pub challenge: Vec<u8>,
    /// The key of the cooldown that is given back when it cannot be sent.
    pub cooldown: Option<Vec<u8>>,
    /// Phone, code and text, sealed.
    pub sealed: Vec<u8>,
    /// It is of no use from then on.
    pub expires_at_us: i64,
}

impl Store {
    /// Keeps a message.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn add_message(&self, row: &OutboxRow, now_us: i64) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(
                "INSERT INTO outbox (id, challenge, cooldown, sealed, state, created_at_us, lease_until_us, expires_at_us) \
                 VALUES ($1, $2, $3, $4, 'queued', $5, 0, $6)",
            )
            .bind(&row.id)
            .bind(&row.challenge)
            .bind(&row.cooldown)
            .bind(&row.sealed)
            .bind(now_us)
            .bind(row.expires_at_us)
            .execute(pool)
            .await?;
        });
        Ok(())
    }

    /// Claims the longest waiting message for this replica until `lease_until_us`.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn claim_message(&self, lease_until_us: i64, now_us: i64) -> Result<Option<OutboxRow>, StoreError> {
        type Columns = (Vec<u8>, Vec<u8>, Option<Vec<u8>>, Vec<u8>, i64);
        let row: Option<Columns> = on_pool!(self, |pool| {
            sqlx::query_as(
                "UPDATE outbox SET state = 'sending', lease_until_us = $1 \
                 WHERE state = 'queued' AND sealed IS NOT NULL AND id = (SELECT id FROM outbox \
                   WHERE state = 'queued' AND expires_at_us > $2 ORDER BY created_at_us LIMIT 1) \
                 RETURNING id, challenge, cooldown, sealed, expires_at_us",
            )
            .bind(lease_until_us)
            .bind(now_us)
            .fetch_optional(pool)
            .await?
        });
        Ok(row.map(|(id, challenge, cooldown, sealed, expires_at_us)| OutboxRow {
            id,
            challenge,
            cooldown,
            sealed,
            expires_at_us,
        }))
    }

    /// A gateway took the message: its content is wiped.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn message_sent(&self, id: &[u8], gateway: &str, provider_tag: Option<&[u8]>) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(
                "UPDATE outbox SET state = 'sent', sealed = NULL, gateway = $2, provider_tag = $3 \
                 WHERE id = $1 AND state = 'sending'",
            )
            .bind(id)
            .bind(gateway)
            .bind(provider_tag)
            .execute(pool)
            .await?;
        });
        Ok(())
    }

    /// The message could not be sent: its content is wiped and the cooldown it cost is given back, both or neither.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn message_failed(&self, row: &OutboxRow, now_us: i64) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            sqlx::query("UPDATE outbox SET state = 'failed', sealed = NULL WHERE id = $1")
                .bind(&row.id)
                .execute(&mut *transaction)
                .await?;
            sqlx::query("UPDATE challenges SET resend_at_us = $2 WHERE id_tag = $1 AND resend_at_us > $2")
                .bind(&row.challenge)
                .bind(now_us)
                .execute(&mut *transaction)
                .await?;
            if let Some(cooldown) = &row.cooldown {
                sqlx::query("DELETE FROM limits WHERE key = $1")
                    .bind(cooldown)
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await?;
        });
        Ok(())
    }

    /// What a gateway reports later: a state only moves forward.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn message_reported(&self, provider_tag: &[u8], delivered: bool) -> Result<bool, StoreError> {
        let (state, before) = if delivered {
            ("delivered", "failed")
        } else {
            ("failed", "failed")
        };
        Ok(on_pool!(self, |pool| {
            sqlx::query(
                "UPDATE outbox SET state = $2 WHERE provider_tag = $1 AND (state = 'sent' OR (state = $3 AND $2 = 'delivered'))",
            )
            .bind(provider_tag)
            .bind(state)
            .bind(before)
            .execute(pool)
            .await?
            .rows_affected()
                > 0
        }))
    }

    /// The state of a challenge's newest message.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn message_state(&self, challenge: &[u8]) -> Result<Option<String>, StoreError> {
        let state: Option<(String,)> = on_pool!(self, |pool| {
            sqlx::query_as("SELECT state FROM outbox WHERE challenge = $1 ORDER BY created_at_us DESC LIMIT 1")
                .bind(challenge)
                .fetch_optional(pool)
                .await?
        });
        Ok(state.map(|(state,)| state))
    }

    /// Messages whose sender went away while sending, at most `most`: whether they were sent nobody knows, so they are not sent again.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn orphaned_messages(&self, now_us: i64, most: i64) -> Result<Vec<OutboxRow>, StoreError> {
        type Columns = (Vec<u8>, Vec<u8>, Option<Vec<u8>>, i64);
        let rows: Vec<Columns> = on_pool!(self, |pool| {
            sqlx::query_as(
                "SELECT id, challenge, cooldown, expires_at_us FROM outbox \
                 WHERE state = 'sending' AND lease_until_us <= $1 LIMIT $2",
            )
            .bind(now_us)
            .bind(most)
            .fetch_all(pool)
            .await?
        });
        let row = |(id, challenge, cooldown, expires_at_us)| OutboxRow {
            id,
            challenge,
            cooldown,
            sealed: Vec::new(),
            expires_at_us,
        };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Removes at most `most` messages of challenges that are over; says how many.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn prune_messages(&self, before_us: i64, most: i64) -> Result<u64, StoreError> {
        Ok(on_pool!(self, |pool| {
            sqlx::query("DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE expires_at_us <= $1 LIMIT $2)")
                .bind(before_us)
                .bind(most)
                .execute(pool)
                .await?
                .rows_affected()
        }))
    }
}
