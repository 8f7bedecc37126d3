//! Calls that guests make to prove their phones: which challenge a call belongs to, and whether it came.
//!
//! A gateway gives a number to be called, and only who asked sees it. Several challenges of one phone may be open at once, a stranger's
//! among them, so that a call must say which of them it is for: each has a number of its own. Where a gateway gives the same number twice,
//! the later challenge goes on with a code instead; a device that signed the phone in before takes the number over. When a gateway still
//! says of two challenges of one phone that the call came, it is nobody's.

use std::sync::Arc;
use std::time::Duration;

use super::failover::NotSent;
use super::gateway::{Accepted, CallSeen};
use super::lines::Line;
use super::{Content, Delivery};
use crate::clock::Deadline;
use crate::keys::Purpose;
use crate::model::{Channel, Phone};
use crate::store::{Claimed, StoreError, WatchedCall};

/// Whether a guest's call came is asked this often, in microseconds, and for so many calls in a beat.
pub(super) const WATCH_US: i64 = 3_000_000;
const CALLS: usize = 32;

/// A gateway's time to say so.
const WATCH_TIME: Duration = Duration::from_secs(2);

/// Channels that bring a code which is typed, whatever the phone's other challenges are.
const CODES: [Channel; 3] = [Channel::Sms, Channel::Telegram, Channel::Other];

impl Delivery {
    /// Asks gateways whether the calls came that guests were to make; each call is asked after by one replica at a time.
    pub async fn watch_calls(self: &Arc<Self>) {
        if !self.channels.contains(&Channel::GuestCall) {
            return;
        }
        for _ in 0..CALLS {
            let now_us = self.clock.now_us();
            let Ok(Some(call)) = self.store.claim_watched_call(now_us + WATCH_US, now_us).await else {
                return;
            };
            let room = self.clone();
            self.tasks.spawn(async move { room.watch(&call).await });
        }
    }

    async fn watch(&self, call: &WatchedCall) {
        let now_us = self.clock.now_us();
        // Whatever else the gateway says, or the store does not take, is asked again.
        match self.ask_for(call).await {
            Some(Ok(CallSeen::Seen)) => {
                let gateway = self.lines.iter().find(|line| line.name() == call.gateway);
                drop(self.confirm_call(&call.id, gateway.map_or("", Line::name)).await);
            }
            Some(Ok(CallSeen::Over)) => drop(self.store.message_failed(&call.id, "sent", now_us).await),
            _ => {}
        }
    }

    /// The call for the message with this id or provider's tag came: its challenge is confirmed, unless the call may have been for another
    /// one of the phone. Says whether that is news.
    pub(super) async fn confirm_call(&self, id_or_tag: &[u8], gateway: &'static str) -> Result<bool, StoreError> {
        let now_us = self.clock.now_us();
        for rival in self.store.rival_calls(id_or_tag, now_us).await? {
            match self.ask_for(&rival).await {
                Some(Ok(CallSeen::Seen)) => {
                    self.store.calls_confused(id_or_tag).await?;
                    note_ambiguous(gateway);
                    return Ok(true);
                }
                // While that is not known the call is asked after again.
                Some(Err(())) => return Ok(false),
                _ => {}
            }
        }
        let is_news = self.store.call_confirmed(id_or_tag, now_us).await?;
        if is_news {
            tracing::info!(target: "security", event = "guest_call_confirmed", gateway);
        }
        Ok(is_news)
    }

    /// Whether the gateway says that the call came; `None` where it cannot be asked.
    async fn ask_for(&self, call: &WatchedCall) -> Option<Result<CallSeen, ()>> {
        let line = self.lines.iter().find(|line| line.name() == call.gateway)?;
        let watched = self.keys.open(Purpose::Outbox, &call.id, call.watched.as_ref()?)?;
        let watched = String::from_utf8(watched).ok()?;
        let seen = line.gateway.call_seen(&watched, Deadline::within(WATCH_TIME)).await;
        Some(seen.map_err(drop))
    }

    /// Sends a code where a call would not say whose it is.
    pub(super) async fn send_code_instead(
        &self,
        row: &mut Claimed,
        content: &mut Content,
        phone: &Phone,
    ) -> Result<(&Line, Accepted), NotSent> {
        let can_bring = |channel: &&Channel| self.channels.contains(channel) && self.closed_for(**channel).is_none();
        let channel = CODES.iter().find(can_bring).ok_or(NotSent::Free)?;
        let moved = self.store.message_moved(row, channel.as_str()).await;
        moved.map_err(|_| NotSent::Free)?;
        content.channel = *channel;
        row.handed_to.clear();
        self.through_gateways(row, content, phone).await
    }
}

fn note_ambiguous(gateway: &'static str) {
    tracing::warn!(target: "security", event = "guest_call_ambiguous", gateway);
}
