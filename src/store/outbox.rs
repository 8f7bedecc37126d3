//! Messages waiting to be sent: kept before anything is promised, claimed by one replica, with the gateways that may have them.

use super::engine::{Store, StoreError, on_pool};

/// Cooldowns are named by keyed hashes of so many bytes.
const COOLDOWN_KEY: usize = 32;

/// A message to be kept.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Its id, random.
    pub id: Vec<u8>,
    /// The tag of the challenge it belongs to.
    pub challenge: Vec<u8>,
    /// The keys of the cooldowns that are given back when it cannot be sent, one after the other.
    pub cooldown: Option<Vec<u8>>,
    /// The keyed hash of the phone, when that is to call us.
    pub caller: Option<Vec<u8>>,
    /// Whether a device asked for it that had signed the phone in before.
    pub is_known_device: bool,
    /// Phone, code and the rest, sealed.
    pub sealed: Vec<u8>,
    /// It is of no use from then on.
    pub expires_at_us: i64,
}

/// A message that this replica, and no other, is to send.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Its id.
    pub id: Vec<u8>,
    /// The tag of its challenge.
    pub challenge: Vec<u8>,
    /// Phone, code and the rest, sealed.
    pub sealed: Vec<u8>,
    /// It is of no use from then on.
    pub expires_at_us: i64,
    /// Until when it is this replica's.
    pub lease_until_us: i64,
    /// The gateways that it was handed to before and whose answer nobody knows, by a space apart.
    pub handed_to: String,
}

/// What is kept of a message that a gateway took.
#[derive(Clone, Debug)]
pub struct SentMessage<'a> {
    /// Which gateway.
    pub gateway: &'a str,
    /// The keyed hash of its id for the message, for its reports.
    pub provider_tag: Option<[u8; 32]>,
    /// The number the guest is to call.
    pub dial: Option<&'a str>,
    /// By what the gateway is asked whether the call came, sealed.
    pub watched: Option<Vec<u8>>,
    /// When it is asked first.
    pub watch_at_us: i64,
    /// The keyed hash of digits that the gateway chose.
    pub chosen_digits: Option<[u8; 32]>,
}

/// A gateway took the message that was being sent.
pub(super) const SENT: &str = "UPDATE outbox SET state = 'sent', gateway = $2, provider_tag = $3, dial = $4, sealed = $5, \
     lease_until_us = $6 WHERE id = $1 AND state = 'sending'";

impl Store {
    /// Keeps a message.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn add_message(&self, message: &NewMessage, now_us: i64) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(
                "INSERT INTO outbox (id, challenge, number, cooldown, caller, sealed, state, created_at_us, lease_until_us, \
                 expires_at_us, known_device) \
                 VALUES ($1, $2, (SELECT COUNT(*) FROM outbox WHERE challenge = $2), $3, $4, $5, 'queued', $6, 0, $7, $8)",
            )
            .bind(&message.id)
            .bind(&message.challenge)
            .bind(&message.cooldown)
            .bind(&message.caller)
            .bind(&message.sealed)
            .bind(now_us)
            .bind(message.expires_at_us)
            .bind(i64::from(message.is_known_device))
            .execute(pool)
            .await?;
        });
        Ok(())
    }

    /// Claims the longest waiting message for this replica until `lease_until_us`.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn claim_message(&self, lease_until_us: i64, now_us: i64) -> Result<Option<Claimed>, StoreError> {
        type Columns = (Vec<u8>, Vec<u8>, Vec<u8>, i64, Option<String>);
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE outbox SET state = 'sending', lease_until_us = $1 \
             WHERE state = 'queued' AND sealed IS NOT NULL AND id = (SELECT id FROM outbox \
               WHERE state = 'queued' AND expires_at_us > $2 ORDER BY created_at_us LIMIT 1{}) \
             RETURNING id, challenge, sealed, expires_at_us, gateway",
            self.skip_locked()
        ));
        let row: Option<Columns> = on_pool!(self, |pool| {
            sqlx::query_as(sql)
                .bind(lease_until_us)
                .bind(now_us)
                .fetch_optional(pool)
                .await?
        });
        Ok(row.map(|(id, challenge, sealed, expires_at_us, handed_to)| Claimed {
            id,
            challenge,
            sealed,
            expires_at_us,
            lease_until_us,
            handed_to: handed_to.unwrap_or_default(),
        }))
    }

    /// Keeps a claimed message for longer, and to which gateways it goes. Says whether it was still this replica's; else it is another's.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn hold_message(&self, held: &Claimed, lease_until_us: i64) -> Result<bool, StoreError> {
        Ok(on_pool!(self, |pool| {
            sqlx::query(
                "UPDATE outbox SET lease_until_us = $2, gateway = $3 \
                 WHERE id = $1 AND state = 'sending' AND lease_until_us = $4",
            )
            .bind(&held.id)
            .bind(lease_until_us)
            .bind(&held.handed_to)
            .bind(held.lease_until_us)
            .execute(pool)
            .await?
            .rows_affected()
                > 0
        }))
    }

    /// A gateway took the message: its content is wiped; digits that the gateway chose are kept with the challenge, both or neither.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn message_sent(&self, claimed: &Claimed, sent: &SentMessage<'_>) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            sqlx::query(SENT)
                .bind(&claimed.id)
                .bind(sent.gateway)
                .bind(sent.provider_tag.as_ref().map(|tag| &tag[..]))
                .bind(sent.dial)
                .bind(sent.watched.as_deref())
                .bind(sent.watch_at_us)
                .execute(&mut *transaction)
                .await?;
            if let Some(digits) = &sent.chosen_digits {
                sqlx::query("UPDATE challenges SET chosen_digits = $2 WHERE id_tag = $1")
                    .bind(&claimed.challenge)
                    .bind(&digits[..])
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await?;
        });
        Ok(())
    }

    /// The message that is being sent goes on by `channel`: it is no call any more, and no gateway had it this way.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn message_moved(&self, claimed: &Claimed, channel: &str) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            sqlx::query("UPDATE outbox SET caller = NULL, gateway = NULL WHERE id = $1 AND state = 'sending'")
                .bind(&claimed.id)
                .execute(&mut *transaction)
                .await?;
            sqlx::query("UPDATE challenges SET channel = $2 WHERE id_tag = $1")
                .bind(&claimed.challenge)
                .bind(channel)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
        });
        Ok(())
    }

    /// The message with this id or provider's tag did not arrive: its content is wiped and the cooldown it cost is given back, both or
    /// neither; what a later message cost stays. Says whether it was in the state `from`; else nothing changes.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn message_failed(&self, id_or_tag: &[u8], from: &str, now_us: i64) -> Result<bool, StoreError> {
        /// The challenge, the cooldown, and since when.
        type Cost = (Vec<u8>, Option<Vec<u8>>, i64);
        const LATER: &str = "SELECT created_at_us FROM outbox \
             WHERE state IN ('queued', 'sending', 'sent', 'delivered', 'confirmed') AND created_at_us > $1 \
             AND (SUBSTR(cooldown, 1, 32) = $2 OR SUBSTR(cooldown, 33, 32) = $2) LIMIT 1";
        Ok(on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            let row: Option<Cost> = sqlx::query_as(
                "UPDATE outbox SET state = 'failed', sealed = NULL \
                 WHERE (id = $1 OR provider_tag = $1) AND state = $2 RETURNING challenge, cooldown, created_at_us",
            )
            .bind(id_or_tag)
            .bind(from)
            .fetch_optional(&mut *transaction)
            .await?;
            let Some((challenge, cooldown, since_us)) = row else {
                return Ok(false);
            };
            // In the order in which they are counted against, so that neither waits for the other crosswise.
            let mut keys: Vec<&[u8]> = cooldown.iter().flat_map(|keys| keys.chunks(COOLDOWN_KEY)).collect();
            keys.sort_unstable();
            for key in &keys {
                let later = sqlx::query(LATER).bind(since_us).bind(*key);
                if later.fetch_optional(&mut *transaction).await?.is_some() {
                    transaction.commit().await?;
                    return Ok(true);
                }
            }
            sqlx::query("UPDATE challenges SET resend_at_us = $2 WHERE id_tag = $1 AND resend_at_us > $2")
                .bind(challenge)
                .bind(now_us)
                .execute(&mut *transaction)
                .await?;
            for key in keys {
                sqlx::query("DELETE FROM limits WHERE key = $1")
                    .bind(key)
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await?;
            true
        }))
    }

    /// The message that is being sent was refused because its phone has had enough of them: its content is wiped, its cooldown stays, and
    /// its challenge's next message goes at `resend_at_us` at the earliest.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn message_refused(&self, id: &[u8], resend_at_us: i64) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            let row: Option<(Vec<u8>,)> = sqlx::query_as(
                "UPDATE outbox SET state = 'failed', sealed = NULL WHERE id = $1 AND state = 'sending' RETURNING challenge",
            )
            .bind(id)
            .fetch_optional(&mut *transaction)
            .await?;
            if let Some((challenge,)) = row {
                sqlx::query("UPDATE challenges SET resend_at_us = $2 WHERE id_tag = $1 AND resend_at_us < $2")
                    .bind(challenge)
                    .bind(resend_at_us)
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await?;
        });
        Ok(())
    }

    /// Lets at most `most` messages wait again whose sender went away while sending; says how many.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn take_back_messages(&self, now_us: i64, most: i64) -> Result<u64, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE outbox SET state = 'queued', lease_until_us = 0 \
             WHERE state = 'sending' AND lease_until_us <= $1 AND id IN (SELECT id FROM outbox \
               WHERE state = 'sending' AND lease_until_us <= $1 LIMIT $2{})",
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

    /// Lets replicas that claim at the same moment claim different rows. SQLite has one writer and no such word.
    pub(super) fn skip_locked(&self) -> &'static str {
        if self.is_shared() {
            " FOR UPDATE SKIP LOCKED"
        } else {
            ""
        }
    }

    /// Locks the rows that a statement reads. SQLite has one writer and no such word.
    pub(super) fn lock_rows(&self) -> &'static str {
        if self.is_shared() { " FOR UPDATE" } else { "" }
    }
}
