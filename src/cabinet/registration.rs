//! Signing up: one account, however many ask at once and wherever.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{Cabinet, Ready, ViewError, Wish};
use crate::clock::Deadline;
use crate::model::{Guest, GuestKey, NewAccount};
use crate::probonus::{Effect, UpstreamError};

/// A replica that holds the claim longer than this is gone (µs). It is also how long nobody tries again when it is not known whether
/// ProBonus made the account.
const LEASE_US: i64 = 30_000_000;

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
        if !self
            .store
            .claim_registration(guest.key, now_us + LEASE_US, now_us)
            .await?
        {
            return Err(ViewError::InProgress);
        }
        let registered = self.register_claimed(guest, account, consents, deadline).await;
        // Not known whether the account will appear: the claim stands until the lease is over, so that nobody makes a second one.
        if !matches!(registered, Err(ViewError::InProgress)) {
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
        if self.probonus.find_by_phone(&guest.phone, deadline).await?.is_some() {
            self.changed(guest).await;
            return Err(ViewError::AccountExists);
        }
        self.store
            .keep_consents(guest.key, consents, self.clock.now_us())
            .await?;
        let unsure = match self.probonus.insert_by_template(account, deadline).await {
            Ok(()) => false,
            Err(UpstreamError::Refused { .. }) => return Err(ViewError::Refused),
            Err(error) if error.effect() == Effect::None => return Err(error.into()),
            Err(_) => true,
        };
        self.changed(guest).await;
        let found = self.account_seen(guest, Wish { renew: false, deadline }).await;
        match found {
            Ok(found) => {
                tracing::info!(target: "security", event = "account_registered", guest = ?guest.key);
                Ok(found.filled.value.profile_ready.clone())
            }
            Err(_) if unsure => Err(ViewError::InProgress),
            // ProBonus took it and does not show it yet.
            Err(ViewError::AccountAbsent) => Err(ViewError::Unavailable { retry_after_s: 2 }),
            Err(error) => Err(error),
        }
    }
}
