//! Signing up: one account, however many ask at once and wherever.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::{Cabinet, Ready, ViewError, Wish};
use crate::clock::{Deadline, micros};
use crate::model::{Guest, GuestKey, NewAccount};
use crate::probonus::{Effect, NotInserted};

/// A claim lasts this much longer than its request: so long nobody tries again when it is not known whether ProBonus made the account.
const UNSURE: Duration = Duration::from_secs(5);

/// A guest consents to a version of a document: its id and version.
pub type Consent = (String, String);

/// Guests signing up in this process: the others wait for the first, and then see that there is an account.
#[derive(Default)]
pub(super) struct InProcess(Mutex<HashMap<GuestKey, Weak<tokio::sync::Mutex<()>>>>);

impl InProcess {
    fn turn(&self, guest: GuestKey) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(&guest).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        turns.insert(guest, Arc::downgrade(&turn));
        turn
    }
}

impl Cabinet {
    /// `POST /me/registration`. Goes on when the guest's connection breaks.
    ///
    /// # Errors
    /// See [`ViewError`].
    pub async fn register(
        self: &Arc<Self>,
        guest: &Guest,
        account: NewAccount,
        consents: Vec<Consent>,
        deadline: Deadline,
    ) -> Result<Ready, ViewError> {
        let (cabinet, guest) = (self.clone(), guest.clone());
        let work = async move {
            let turn = cabinet.signing_up.turn(guest.key);
            let waited = tokio::time::timeout_at(deadline.instant(), turn.lock()).await;
            let _turn = waited.map_err(|_| ViewError::InProgress)?;
            cabinet.register_now(&guest, &account, &consents, deadline).await
        };
        let span = tracing::Span::current();
        let task = self.tasks.spawn(tracing::Instrument::instrument(work, span));
        task.await.unwrap_or(Err(ViewError::Internal))
    }

    async fn register_now(
        self: &Arc<Self>,
        guest: &Guest,
        account: &NewAccount,
        consents: &[Consent],
        deadline: Deadline,
    ) -> Result<Ready, ViewError> {
        let now_us = self.clock.now_us();
        let claimed = self
            .store
            .claim_registration(guest.key, now_us + micros(deadline.remaining() + UNSURE), now_us)
            .await?;
        if !claimed {
            let there = self.account_seen(guest, Wish { renew: false, deadline }).await;
            return Err(there.map_or(ViewError::InProgress, |_| ViewError::AccountExists));
        }
        let registered = self.register_claimed(guest, account, consents, deadline).await;
        // Made, or perhaps made: the claim stands until the lease is over, so that nobody makes a second one who is not shown the first.
        if !matches!(registered, Ok(_) | Err(ViewError::InProgress)) {
            self.store.release_registration(guest.key).await?;
        }
        registered
    }

    async fn register_claimed(
        self: &Arc<Self>,
        guest: &Guest,
        account: &NewAccount,
        consents: &[Consent],
        deadline: Deadline,
    ) -> Result<Ready, ViewError> {
        // Asked of ProBonus itself: what was remembered may be of before another replica's registration.
        if self.account_now(guest, deadline).await?.is_some() {
            self.changed(guest).await;
            return Err(ViewError::AccountExists);
        }
        self.store
            .keep_consents(guest.key, consents, self.clock.now_us())
            .await?;
        let inserted = self.probonus.insert_by_template(account, deadline).await;
        let (created, failed) = match inserted {
            Ok(told) => (told.map(|told| account.completing(told)), None),
            Err(NotInserted { error, over }) => match error.effect() {
                Effect::None => return Err(error.into()),
                Effect::Rejected => return Err(self.refused(guest, deadline).await),
                // Whether it was done is seen by its effect.
                Effect::Unknown => (None, over.then_some(error)),
            },
        };
        if let Some(created) = &created {
            let written = &self.guests.slots(guest.key).written;
            written.signed_up(created.clone(), self.clock.steady_us());
        }
        self.changed(guest).await;
        let wish = Wish { renew: false, deadline };
        let ready = match (self.account_seen(guest, wish).await, created) {
            (Ok(found), _) => found.filled.value.profile_ready.clone(),
            // ProBonus made it and then fell silent: what it has is known all the same.
            (Err(_), Some(created)) => Ready::new(&self.profile_of(guest, &created), self.read_now().as_of_us),
            (Err(absent), None) => {
                // Nobody should hear for long that there is none: it may have been made and not be shown yet.
                self.guests.slots(guest.key).outdate(None);
                let failed = failed.filter(|_| absent == ViewError::AccountAbsent);
                return Err(failed.map_or(ViewError::InProgress, ViewError::from));
            }
        };
        tracing::info!(target: "security", event = "account_registered", guest = ?guest.key);
        Ok(ready)
    }

    /// Why ProBonus did not make the account: a till may have been quicker.
    async fn refused(self: &Arc<Self>, guest: &Guest, deadline: Deadline) -> ViewError {
        match self.account_now(guest, deadline).await {
            Ok(Some(_)) => {
                self.changed(guest).await;
                ViewError::AccountExists
            }
            _ => ViewError::Refused,
        }
    }
}
