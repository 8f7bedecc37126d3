//! A sign-up's intent: claimed by one request over all replicas, on disk before ProBonus is called, unsettled until the longest time that
//! the call may still take is over. Knows no view.

use std::time::Duration;

use super::ViewError;
use crate::clock::{Clock, Deadline, micros};
use crate::entropy::Entropy;
use crate::model::{Guest, GuestKey};
use crate::store::{SharedStore, SignUpRow};

/// A claim lasts this much longer than its request.
const LEASE_AFTER: Duration = Duration::from_secs(5);

/// A guest who waits for an outcome is asked to come again after this at most.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The times of a call that creates an account.
#[derive(Clone, Copy, Debug)]
pub struct CallTimes {
    /// It lasts this long at most.
    pub timeout: Duration,
    /// So long after its end it may still take effect.
    pub late_effect: Duration,
}

/// All sign-ups.
pub(super) struct SignUps {
    store: SharedStore,
    clock: Clock,
    entropy: Entropy,
    times: CallTimes,
}

/// A sign-up that is this request's alone.
pub(super) struct Claim {
    guest: GuestKey,
    owner: [u8; 16],
    row: SignUpRow,
}

impl SignUps {
    pub fn new(store: SharedStore, clock: Clock, entropy: Entropy, times: CallTimes) -> Self {
        Self {
            store,
            clock,
            entropy,
            times,
        }
    }

    /// Claims the guest's signing up; nothing when another request has it.
    ///
    /// # Errors
    /// The store.
    pub async fn claim(&self, guest: GuestKey, deadline: Deadline) -> Result<Option<Claim>, ViewError> {
        let owner = self.entropy.bytes();
        let now_us = self.clock.now_us();
        let lease_until_us = now_us + micros(deadline.remaining() + LEASE_AFTER);
        let row = self.store.claim_sign_up(guest, &owner, lease_until_us, now_us).await?;
        Ok(row.map(|row| Claim { guest, owner, row }))
    }

    /// Why ProBonus may not be called yet: what was sent before may still take effect.
    pub fn unsettled(&self, claim: &Claim) -> Option<ViewError> {
        let rest_us = claim.row.settled_at_us - self.clock.now_us();
        let rest = Duration::from_micros(u64::try_from(rest_us).ok().filter(|rest| *rest > 0)?);
        Some(in_progress(rest))
    }

    /// Why the outcome is not known: it may be seen a little later.
    pub fn unknown(&self) -> ViewError {
        in_progress(self.times.late_effect)
    }

    /// Writes down that ProBonus is called now.
    ///
    /// # Errors
    /// The claim is lost, or the store cannot be asked: nothing may be sent.
    pub async fn sent(&self, claim: &Claim, guest: &Guest) -> Result<(), ViewError> {
        let session = guest.session.as_ref().map(|session| session.id);
        let now_us = self.clock.now_us();
        // Should this process die in between, the call may have gone on for as long as one may.
        let settled_at_us = now_us + micros(self.times.timeout + self.times.late_effect);
        let sent = self
            .store
            .sign_up_sent(claim.guest, &claim.owner, session, (now_us, settled_at_us));
        if sent.await? {
            return Ok(());
        }
        Err(in_progress(Duration::ZERO))
    }

    /// The call ended. Until its effect is seen, or the time for it is over, nothing else is sent.
    pub async fn ended(&self, claim: &Claim) {
        let settled_at_us = self.clock.now_us() + micros(self.times.late_effect);
        let noted = self.store.sign_up_unsettled(claim.guest, &claim.owner, settled_at_us);
        if noted.await.is_err() {
            tracing::warn!(
                "the end of a sign-up's call could not be kept; it counts as the latest that it can have been"
            );
        }
    }

    /// Nothing was made for certain.
    pub async fn forget(&self, claim: &Claim) {
        if self.store.forget_sign_up(claim.guest, &claim.owner).await.is_err() {
            tracing::warn!("a sign-up that came to nothing could not be forgotten; its time runs out");
        }
    }

    /// This request is over; `told`: its guest hears that the account is made.
    pub async fn release(&self, claim: &Claim, told: bool) {
        if self
            .store
            .release_sign_up(claim.guest, &claim.owner, told)
            .await
            .is_err()
        {
            tracing::warn!("a sign-up's claim could not be given back; its lease runs out");
        }
    }
}

impl Claim {
    /// Whether the account that is there now was made by this guest's session, and nobody has told them yet.
    pub fn is_news_for(&self, guest: &Guest) -> bool {
        let session = guest.session.as_ref().map(|session| session.id);
        self.row.sent_at_us.is_some() && !self.row.told && session.is_some() && self.row.session == session
    }
}

/// A guest who waits is asked to come again when it is worth it.
fn in_progress(rest: Duration) -> ViewError {
    let wait = rest.min(LOOK_AGAIN).as_secs().max(1);
    ViewError::InProgress {
        retry_after_s: u32::try_from(wait).unwrap_or(1),
    }
}
