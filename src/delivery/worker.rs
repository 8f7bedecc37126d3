//! Sending what waits: several messages at once, each through at most two gateways within one deadline.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::gateway::{Message, SendError};
use super::{Content, Delivery, Line};
use crate::clock::Deadline;
use crate::keys::{Purpose, hex};
use crate::model::Phone;
use crate::store::OutboxRow;

/// Messages that another replica left waiting are looked for this often.
const BEAT: Duration = Duration::from_secs(1);

/// One gateway's time, and that of all together.
const ONE_GATEWAY: Duration = Duration::from_secs(8);
const ALL_GATEWAYS: Duration = Duration::from_secs(12);

/// Gateways tried for one message.
const TRIES: usize = 2;

/// A replica that holds a message longer than this is gone.
const LEASE_US: i64 = 30_000_000;

/// Rows tidied up in one beat.
const BATCH: i64 = 500;

pub(super) async fn run(room: Arc<Delivery>) {
    let mut beats: u32 = 0;
    loop {
        tokio::select! {
            () = room.wake.notified() => {}
            () = tokio::time::sleep(BEAT) => {
                beats = beats.wrapping_add(1);
                if beats.is_multiple_of(10) {
                    room.tidy_up().await;
                }
            }
            () = room.stop.cancelled() => return,
        }
        if !drain(&room, &room.stop).await {
            return;
        }
    }
}

/// Claims and sends until nothing waits; `false` at a stop.
async fn drain(room: &Arc<Delivery>, stop: &CancellationToken) -> bool {
    loop {
        let turn = tokio::select! {
            turn = room.turns.clone().acquire_owned() => turn.expect("the semaphore is never closed"),
            () = stop.cancelled() => return false,
        };
        let now_us = room.clock.now_us();
        match room.store.claim_message(now_us + LEASE_US, now_us).await {
            Ok(Some(row)) => {
                let sender = room.clone();
                room.tasks.spawn(async move {
                    sender.deliver(&row).await;
                    drop(turn);
                });
            }
            Ok(None) => return true,
            Err(_) => {
                tracing::warn!("messages cannot be looked for: the store does not answer");
                return true;
            }
        }
    }
}

impl Delivery {
    async fn deliver(&self, row: &OutboxRow) {
        let opened = self.keys.open(Purpose::Outbox, &row.id, &row.sealed);
        let content: Option<Content> = opened.and_then(|plain| serde_json::from_slice(&plain).ok());
        let phone = content.as_ref().and_then(|content| Phone::from_e164(&content.phone));
        let sent = match (&content, &phone) {
            (Some(content), Some(phone)) => self.through_gateways(row, content, phone).await,
            // Sealed under a secret that is gone.
            _ => None,
        };
        let recorded = if let Some((line, provider_id)) = sent {
            let name = line.gateway.name();
            let tag = provider_id.map(|id| self.provider_tag(name, &id));
            self.store
                .message_sent(&row.id, name.as_str(), tag.as_ref().map(|tag| &tag[..]))
                .await
        } else {
            tracing::warn!("a code could not be sent by any gateway");
            self.store.message_failed(row, self.clock.now_us()).await
        };
        if recorded.is_err() {
            tracing::warn!("the fate of a message could not be kept; it counts as unknown");
        }
    }

    async fn through_gateways(
        &self,
        row: &OutboxRow,
        content: &Content,
        phone: &Phone,
    ) -> Option<(&Line, Option<String>)> {
        let text = self.texts.text(&content.code, content.platform, &content.language);
        let message = Message {
            id: &hex(&row.id),
            phone,
            code: &content.code,
            text: &text,
            channel: content.channel,
            language: &content.language,
            expires_at: Timestamp::from_microsecond(row.expires_at_us).unwrap_or(Timestamp::MAX),
        };
        let deadline = Deadline::within(ALL_GATEWAYS);
        let mut tries = 0;
        for line in &self.lines {
            let offers = line.gateway.channels().contains(&content.channel);
            if tries == TRIES || !offers || !line.breaker.allows() {
                continue;
            }
            tries += 1;
            let name = line.gateway.name().as_str();
            let outcome = line.gateway.send(&message, deadline.at_most(ONE_GATEWAY)).await;
            let word = match &outcome {
                Ok(_) => "sent",
                Err(SendError::Uncertain) => "uncertain",
                Err(SendError::Rejected(reason)) => reason.as_str(),
            };
            metrics::counter!("cabinet_codes_sent_total", "gateway" => name, "outcome" => word).increment(1);
            if line.breaker.tell(outcome.as_ref().map(drop).map_err(|error| *error)) {
                tracing::error!(target: "security", event = "gateway_left_out", gateway = name, reason = word);
            }
            match outcome {
                Ok(accepted) => {
                    if let Some(balance) = accepted.balance {
                        metrics::gauge!("cabinet_gateway_balance", "gateway" => name).set(balance);
                    }
                    return Some((line, accepted.provider_id));
                }
                Err(error) => {
                    tracing::warn!(
                        gateway = name,
                        reason = word,
                        phone = phone.masked(),
                        "a gateway did not take a code"
                    );
                    if matches!(error, SendError::Rejected(reason) if !reason.goes_on()) {
                        return None;
                    }
                }
            }
        }
        None
    }

    /// Gives up messages whose sender is gone, and removes what is over.
    pub async fn tidy_up(&self) {
        let now_us = self.clock.now_us();
        for row in self.store.orphaned_messages(now_us, BATCH).await.unwrap_or_default() {
            let _ = self.store.message_failed(&row, now_us).await;
        }
        let _ = self.store.prune_messages(now_us, BATCH).await;
    }
}
