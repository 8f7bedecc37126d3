//! Calls that guests are to make: which of a phone's challenges a call belongs to. Two open ones of a phone never share a number.

use super::engine::{Store, StoreError, on_pool};
use super::outbox::{Claimed, SENT, SentMessage};

/// A guest's call that is waited for.
#[derive(Clone, Debug)]
pub struct WatchedCall {
    /// The message's id.
    pub id: Vec<u8>,
    /// Which gateway waits for it.
    pub gateway: String,
    /// By what the gateway is asked, sealed; none where it reports by itself only.
    pub watched: Option<Vec<u8>>,
}

/// Whether a call of the table `outbox`, or of its alias, is of use yet; `$1` is now.
fn is_open(table: &str) -> String {
    format!(
        "{table}.state IN ('sent', 'delivered') AND {table}.dial IS NOT NULL AND {table}.expires_at_us > $1 \
         AND NOT EXISTS (SELECT 1 FROM challenges WHERE id_tag = {table}.challenge AND consumed_at_us IS NOT NULL)"
    )
}

impl Store {
    /// A gateway took the message and waits for the guest's call at [`SentMessage::dial`]. Nothing is kept, and the answer is no, when the
    /// phone has another challenge whose call is waited for at that number; from those a device that signed the phone in before takes it
    /// over, unless they are such devices' own.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn call_opened(
        &self,
        claimed: &Claimed,
        sent: &SentMessage<'_>,
        now_us: i64,
    ) -> Result<bool, StoreError> {
        let own = "SELECT caller, known_device FROM outbox WHERE id = $1 AND state = 'sending'";
        let lock = sqlx::AssertSqlSafe(format!(
            "SELECT id FROM outbox WHERE caller = $1 ORDER BY id{}",
            self.lock_rows()
        ));
        let is_open = is_open("outbox");
        let others = sqlx::AssertSqlSafe(format!(
            "SELECT known_device FROM outbox WHERE caller = $2 AND dial = $3 AND challenge <> $4 AND {is_open}"
        ));
        let close = sqlx::AssertSqlSafe(format!(
            "UPDATE outbox SET state = 'failed', sealed = NULL \
             WHERE caller = $2 AND dial = $3 AND challenge <> $4 AND {is_open}"
        ));
        Ok(on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            let row: Option<(Option<Vec<u8>>, i64)> = sqlx::query_as(own)
                .bind(&claimed.id)
                .fetch_optional(&mut *transaction)
                .await?;
            let Some((caller, is_known)) = row else {
                return Ok(true);
            };
            // Of two that are opened at the same moment the later one sees the other.
            sqlx::query(lock).bind(&caller).fetch_all(&mut *transaction).await?;
            let rivals: Vec<i64> = sqlx::query_scalar(others)
                .bind(now_us)
                .bind(&caller)
                .bind(sent.dial)
                .bind(&claimed.challenge)
                .fetch_all(&mut *transaction)
                .await?;
            if rivals.iter().any(|rival| *rival >= is_known) {
                return Ok(false);
            }
            sqlx::query(close)
                .bind(now_us)
                .bind(&caller)
                .bind(sent.dial)
                .bind(&claimed.challenge)
                .execute(&mut *transaction)
                .await?;
            sqlx::query(SENT)
                .bind(&claimed.id)
                .bind(sent.gateway)
                .bind(sent.provider_tag.as_ref().map(|tag| &tag[..]))
                .bind(sent.dial)
                .bind(sent.watched.as_deref())
                .bind(sent.watch_at_us)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            true
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
        let row: Option<(Vec<u8>, String, Option<Vec<u8>>)> = on_pool!(self, |pool| {
            sqlx::query_as(sql)
                .bind(next_us)
                .bind(now_us)
                .fetch_optional(pool)
                .await?
        });
        Ok(row.map(|(id, gateway, watched)| WatchedCall { id, gateway, watched }))
    }

    /// The calls that are waited for at other numbers for other challenges of the phone.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn rival_calls(&self, id_or_tag: &[u8], now_us: i64) -> Result<Vec<WatchedCall>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT id, gateway, sealed FROM outbox WHERE {} AND EXISTS (SELECT 1 FROM outbox AS mine \
               WHERE (mine.id = $2 OR mine.provider_tag = $2) AND {} \
               AND mine.caller = outbox.caller AND mine.challenge <> outbox.challenge)",
            is_open("outbox"),
            is_open("mine")
        ));
        let rows: Vec<(Vec<u8>, String, Option<Vec<u8>>)> = on_pool!(self, |pool| {
            sqlx::query_as(sql).bind(now_us).bind(id_or_tag).fetch_all(pool).await?
        });
        let call = |(id, gateway, watched)| WatchedCall { id, gateway, watched };
        Ok(rows.into_iter().map(call).collect())
    }

    /// The guest's call for the message with this id or provider's tag came: its challenge is confirmed if it still lives. Says
    /// whether it was.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn call_confirmed(&self, id_or_tag: &[u8], now_us: i64) -> Result<bool, StoreError> {
        let confirm = sqlx::AssertSqlSafe(format!(
            "UPDATE outbox SET state = 'confirmed', sealed = NULL WHERE (id = $2 OR provider_tag = $2) AND {} \
             RETURNING challenge",
            is_open("outbox")
        ));
        Ok(on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            let challenge: Option<Vec<u8>> = sqlx::query_scalar(confirm)
                .bind(now_us)
                .bind(id_or_tag)
                .fetch_optional(&mut *transaction)
                .await?;
            let Some(challenge) = challenge else {
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

    /// The gateway takes one call for several challenges of the phone that the message with this id or provider's tag belongs to: none of
    /// them is confirmed any more.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn calls_confused(&self, id_or_tag: &[u8]) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(
                "UPDATE outbox SET state = 'failed', sealed = NULL WHERE state IN ('sent', 'delivered') AND caller = \
                 (SELECT caller FROM outbox WHERE id = $1 OR provider_tag = $1 LIMIT 1)",
            )
            .bind(id_or_tag)
            .execute(pool)
            .await?;
        });
        Ok(())
    }
}
