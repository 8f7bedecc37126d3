//! Sending what waits: several messages at once, each through at most two gateways within one deadline.
//!
//! Before a gateway gets a message it is kept that it may have it. Whoever goes on with a message whose sender died leaves out what had it
//! before; a call is not made again at all.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::ExposeSecret;
use tokio::sync::SemaphorePermit;
use tokio::time::MissedTickBehavior;

use super::gateway::{Accepted, Message, Proof, SendError};
use super::lines::Line;
use super::upkeep::WATCH_US;
use super::{Content, Delivery};
use crate::clock::{Deadline, micros};
use crate::keys::{Purpose, hex};
use crate::model::{Channel, Phone};
use crate::store::{Claimed, SentMessage, StoreError};

/// Messages that another replica left waiting are looked for this often.
const BEAT: Duration = Duration::from_secs(1);

/// Gateways tried for one message.
const TRIES: usize = 2;

/// A message is claimed for so long, which is until the first gateway gets it, or its turn with one is waited for.
const CLAIM: Duration = Duration::from_secs(4);

/// What a message may take beyond a gateway's time, mostly for keeping what became of it.
const SPARE: Duration = Duration::from_secs(6);

/// What is known of a message's fate is kept with so many tries, a beat apart.
const RECORDINGS: usize = 5;

/// What the guest may do about a message that was not sent.
enum NotSent {
    /// Ask for another at once.
    Free,
    /// The phone has had its messages: wait as long as the usual pause, and so long at least.
    Wait(Duration),
    /// Nothing: somebody else has it now, or will have it, for the store did not keep that it is handed over.
    Lost,
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
    /// The time of all gateways together.
    fn whole_time(&self) -> Duration {
        self.timeout * 3 / 2
    }

    async fn deliver(&self, mut row: Claimed) {
        let opened = self.keys.open(Purpose::Outbox, &row.id, &row.sealed);
        let content: Option<Content> = opened.and_then(|plain| serde_json::from_slice(&plain).ok());
        let phone = content.as_ref().and_then(|content| Phone::from_e164(&content.phone));
        let sent = match (&content, &phone) {
            (Some(content), Some(phone)) if !self.is_called_for(&row, content, phone).await => {
                self.through_gateways(&mut row, content, phone).await
            }
            // Sealed under a secret that is gone, or the phone's call is waited for already.
            _ => Err(NotSent::Free),
        };
        for _ in 0..RECORDINGS {
            if self.record(&row, &sent).await.is_ok() {
                return;
            }
            tokio::time::sleep(BEAT).await;
        }
        tracing::warn!("the fate of a message could not be kept; it counts as unknown");
    }

    /// One phone has one open call: with two, the guest's call would prove a stranger's challenge as well.
    async fn is_called_for(&self, row: &Claimed, content: &Content, phone: &Phone) -> bool {
        if content.channel != Channel::GuestCall {
            return false;
        }
        let (tag, now_us) = (self.caller_tag(phone), self.clock.now_us());
        let open = self.store.is_other_call_open(&tag, &row.challenge, now_us).await;
        open.unwrap_or(true)
    }

    async fn record(&self, row: &Claimed, sent: &Result<(&Line, Accepted), NotSent>) -> Result<(), StoreError> {
        let now_us = self.clock.now_us();
        let (line, accepted) = match sent {
            Ok((line, accepted)) => (line, accepted),
            Err(NotSent::Lost) => return Ok(()),
            Err(NotSent::Free) => {
                self.store.message_failed(&row.id, "sending", now_us).await?;
                tracing::warn!("a code could not be sent by any gateway");
                return Ok(());
            }
            Err(NotSent::Wait(time)) => {
                let until_us = now_us.saturating_add(micros(*time));
                return self.store.message_refused(&row.id, until_us).await;
            }
        };
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
            }
        }
        self.store.message_sent(row, &message).await
    }

    async fn through_gateways(
        &self,
        row: &mut Claimed,
        content: &Content,
        phone: &Phone,
    ) -> Result<(&Line, Accepted), NotSent> {
        let text = self.texts.text(&content.code, content.platform, &content.language);
        let message = Message {
            id: &hex(&row.id),
            phone,
            code: &content.code,
            text: &text,
            channel: content.channel,
            language: &content.language,
            guest_ip: content.ip,
            expires_at: Timestamp::from_microsecond(row.expires_at_us).unwrap_or(Timestamp::MAX),
        };
        // What it was handed to before the last sender died counts as tried.
        let mut tries = row.handed_to.split_whitespace().count();
        if tries > 0 && is_call(content.channel) {
            return Err(NotSent::Free);
        }
        let had: Vec<String> = row.handed_to.split_whitespace().map(str::to_owned).collect();
        let deadline = Deadline::within(self.whole_time());
        let offering: Vec<&Line> = self.lines.iter().filter(|line| line.offers(content.channel)).collect();
        for (index, line) in offering.iter().copied().enumerate() {
            let is_last = index + 1 == offering.len();
            let had_it = had.iter().any(|name| name == line.name()) && !line.gateway.repeats_safely();
            if had_it || tries >= TRIES || !line.breaker.allows() {
                continue;
            }
            let Some(_turn) = self.turn(line, is_last, row, deadline).await? else {
                continue;
            };
            if self.clock.now_us() >= row.expires_at_us {
                return Err(NotSent::Free);
            }
            self.hand_over(row, line).await?;
            tries += 1;
            let is_only = offering.len() == 1;
            let outcome = self
                .through(line, is_only, &message, deadline.at_most(self.timeout))
                .await;
            let error = match outcome {
                Ok(accepted) => return Ok((line, accepted)),
                Err(error) => error,
            };
            match error.reason() {
                Some(reason) if reason.is_for_waiting() => return Err(NotSent::Wait(error.wait())),
                Some(reason) if !reason.goes_on() => return Err(NotSent::Free),
                // A call that may have been made: its digits, or the number to be called, are unknown.
                None if is_call(content.channel) => return Err(NotSent::Free),
                _ => {}
            }
        }
        Err(NotSent::Free)
    }

    /// Keeps that the gateway is about to get the message: from now on nobody else may give it to it.
    async fn hand_over(&self, row: &mut Claimed, line: &Line) -> Result<(), NotSent> {
        if !row.handed_to.is_empty() {
            row.handed_to.push(' ');
        }
        row.handed_to.push_str(line.name());
        self.hold(row, self.timeout + SPARE).await
    }

    async fn hold(&self, row: &mut Claimed, time: Duration) -> Result<(), NotSent> {
        let until_us = self.clock.now_us() + micros(time);
        if !self.store.hold_message(row, until_us).await.unwrap_or(false) {
            return Err(NotSent::Lost);
        }
        row.lease_until_us = until_us;
        Ok(())
    }

    /// A turn with a gateway: a busy one is passed over while there is another.
    async fn turn<'a>(
        &self,
        line: &'a Line,
        is_last: bool,
        row: &mut Claimed,
        deadline: Deadline,
    ) -> Result<Option<SemaphorePermit<'a>>, NotSent> {
        if let Ok(turn) = line.turns.try_acquire() {
            return Ok(Some(turn));
        }
        if !is_last {
            return Ok(None);
        }
        self.hold(row, self.whole_time() + SPARE).await?;
        let turn = tokio::time::timeout_at(deadline.instant(), line.turns.acquire()).await;
        Ok(turn.ok().and_then(Result::ok))
    }

    async fn through(
        &self,
        line: &Line,
        is_only: bool,
        message: &Message<'_>,
        deadline: Deadline,
    ) -> Result<Accepted, SendError> {
        let started = self.clock.steady();
        let outcome = match line.gateway.send(message, deadline).await {
            Err(SendError::Unsaid) if is_only && !is_call(message.channel) => Ok(Accepted::in_other_words(message)),
            outcome => outcome,
        };
        let took = self.clock.steady().saturating_sub(started);
        let (name, plain) = (line.name(), outcome.as_ref().map(drop).map_err(|error| *error));
        let word = plain.err().map_or("sent", SendError::as_str);
        metrics::counter!("cabinet_codes_sent_total", "gateway" => name, "outcome" => word).increment(1);
        metrics::histogram!("cabinet_codes_seconds", "gateway" => name).record(took.as_secs_f64());
        line.tell(plain);
        if let Ok(accepted) = &outcome {
            line.show_balance(accepted.balance);
        } else {
            let attempt = message.id;
            tracing::warn!(gateway = name, reason = word, attempt, "a gateway did not take a code");
        }
        outcome
    }
}

fn is_call(channel: Channel) -> bool {
    matches!(channel, Channel::FlashCall | Channel::GuestCall)
}
