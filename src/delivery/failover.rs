//! One message through the gateways that offer its channel: at most two of them, within one deadline, none twice.
//!
//! Before a gateway gets a message it is kept that it may have it. Whoever goes on with a message whose sender died leaves out what had it
//! before; a call is not made again at all.

use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::SemaphorePermit;

use super::gateway::{Accepted, Message, SendError};
use super::lines::Line;
use super::{Content, Delivery};
use crate::clock::{Deadline, micros};
use crate::keys::hex;
use crate::model::{Channel, Phone};
use crate::store::Claimed;

/// Gateways tried for one message.
const TRIES: usize = 2;

/// What a message may take beyond a gateway's time, mostly for keeping what became of it.
const SPARE: Duration = Duration::from_secs(6);

/// What the guest may do about a message that was not sent.
pub(super) enum NotSent {
    /// Ask for another at once.
    Free,
    /// The phone has had its messages: wait as long as the usual pause, and so long at least.
    Wait(Duration),
    /// Nothing: somebody else has it now, or will have it, for the store did not keep that it is handed over.
    Lost,
}

impl Delivery {
    /// The time of all gateways together.
    fn whole_time(&self) -> Duration {
        self.timeout * 3 / 2
    }

    /// Hands the message over to the first gateway that takes it.
    pub(super) async fn through_gateways(
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
            let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            self.last_took_us.store(took_us, Ordering::Relaxed);
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
