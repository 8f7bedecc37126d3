//! Sending what waits: several messages at once, each through at most two gateways within one deadline.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::time::MissedTickBehavior;

use super::failover::NotSent;
use super::gateway::{Accepted, Proof};
use super::guest_calls::WATCH_US;
use super::lines::Line;
use super::{Content, Delivery};
use crate::clock::micros;
use crate::keys::Purpose;
use crate::model::{Channel, Phone};
use crate::store::{Claimed, SentMessage, StoreError};

/// Messages that another replica left waiting are looked for this often.
const BEAT: Duration = Duration::from_secs(1);

/// A message is claimed for so long, which is until the first gateway gets it, or its turn with one is waited for.
const CLAIM: Duration = Duration::from_secs(4);

/// What is known of a message's fate is kept with so many tries, a beat apart.
const RECORDINGS: usize = 5;

/// Digits of a number that calls, which the guest types.
const CHOSEN_DIGITS: usize = 4;

/// Whether what became of a message is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Done,
    /// Nothing is: the number that the guest would call is that of another open call of the same phone, and a call would not say whose
    /// it is.
    SharesItsNumber,
}

pub(super) async fn run(room: Arc<Delivery>) {
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = room.wake.notified() => {}
            _ = beat.tick() => {}
            () = room.stop.cancelled() => return,
        }
        drain(&room).await;
    }
}

/// Claims and sends until nothing waits.
async fn drain(room: &Arc<Delivery>) {
    while !room.stop.is_cancelled() {
        let turn = tokio::select! {
            turn = room.turns.clone().acquire_owned() => turn.expect("the semaphore is never closed"),
            () = room.stop.cancelled() => return,
        };
        let now_us = room.clock.now_us();
        match room.store.claim_message(now_us + micros(CLAIM), now_us).await {
            Ok(Some(row)) => {
                let sender = room.clone();
                room.tasks.spawn(async move {
                    sender.deliver(row).await;
                    drop(turn);
                });
            }
            Ok(None) => return,
            Err(_) => {
                tracing::warn!("messages cannot be looked for: the store does not answer");
                return;
            }
        }
    }
}

impl Delivery {
    async fn deliver(&self, mut row: Claimed) {
        let Some((mut content, phone)) = self.open(&row) else {
            // Sealed under a secret that is gone.
            self.keep(&row, &Err(NotSent::Free)).await;
            return;
        };
        let sent = if content.is_pretended {
            self.pretend(&content).await
        } else {
            self.through_gateways(&mut row, &content, &phone).await
        };
        if self.keep(&row, &sent).await == Kept::SharesItsNumber {
            let sent = self.send_code_instead(&mut row, &mut content, &phone).await;
            self.keep(&row, &sent).await;
        }
    }

    fn open(&self, row: &Claimed) -> Option<(Content, Phone)> {
        let plain = self.keys.open(Purpose::Outbox, &row.id, &row.sealed)?;
        let content: Content = serde_json::from_slice(&plain).ok()?;
        let phone = Phone::from_e164(&content.phone)?;
        Some((content, phone))
    }

    /// Sends nothing, and takes as long as the last message took: whoever looks cannot tell.
    async fn pretend(&self, content: &Content) -> Result<(&Line, Accepted), NotSent> {
        let line = self.lines.iter().find(|line| line.offers(content.channel));
        let line = line.ok_or(NotSent::Free)?;
        tokio::time::sleep(Duration::from_micros(self.last_took_us.load(Ordering::Relaxed))).await;
        let last_digits = content.code.len().saturating_sub(CHOSEN_DIGITS);
        let proof = match content.channel {
            Channel::FlashCall => Proof::Digits(content.code[last_digits..].into()),
            _ => Proof::Code,
        };
        let accepted = Accepted {
            provider_id: None,
            balance: None,
            proof,
        };
        Ok((line, accepted))
    }

    /// Keeps what became of a message, with a few tries.
    async fn keep(&self, row: &Claimed, sent: &Result<(&Line, Accepted), NotSent>) -> Kept {
        for _ in 0..RECORDINGS {
            if let Ok(kept) = self.record(row, sent).await {
                return kept;
            }
            tokio::time::sleep(BEAT).await;
        }
        tracing::warn!("the fate of a message could not be kept; it counts as unknown");
        Kept::Done
    }

    async fn record(&self, row: &Claimed, sent: &Result<(&Line, Accepted), NotSent>) -> Result<Kept, StoreError> {
        let now_us = self.clock.now_us();
        match sent {
            Ok((line, accepted)) => self.record_sent(row, line, accepted, now_us).await,
            Err(NotSent::Lost) => Ok(Kept::Done),
            Err(NotSent::Free) => {
                self.store.message_failed(&row.id, "sending", now_us).await?;
                tracing::warn!("a code could not be sent by any gateway");
                Ok(Kept::Done)
            }
            Err(NotSent::Wait(time)) => {
                let until_us = now_us.saturating_add(micros(*time));
                self.store.message_refused(&row.id, until_us).await?;
                Ok(Kept::Done)
            }
        }
    }

    async fn record_sent(
        &self,
        row: &Claimed,
        line: &Line,
        accepted: &Accepted,
        now_us: i64,
    ) -> Result<Kept, StoreError> {
        let provider_tag = accepted.provider_id.as_ref().map(|id| {
            let parts: &[&[u8]] = &[b"provider", line.name().as_bytes(), id.as_bytes()];
            self.keys.mac(Purpose::Outbox, parts)
        });
        let mut message = SentMessage {
            gateway: line.name(),
            provider_tag,
            dial: None,
            watched: None,
            watch_at_us: now_us + WATCH_US,
            chosen_digits: None,
        };
        match &accepted.proof {
            Proof::Code => {}
            Proof::Digits(digits) => {
                message.chosen_digits = Some(self.chosen_digits_tag(&row.challenge, digits.expose_secret()));
            }
            Proof::Call { dial, watched } => {
                message.dial = Some(dial);
                let seal = |watched: &String| self.keys.seal(Purpose::Outbox, &row.id, watched.as_bytes());
                message.watched = watched.as_ref().map(seal);
                return Ok(if self.store.call_opened(row, &message, now_us).await? {
                    Kept::Done
                } else {
                    Kept::SharesItsNumber
                });
            }
        }
        self.store.message_sent(row, &message).await?;
        Ok(Kept::Done)
    }
}
