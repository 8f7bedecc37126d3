//! Signing up: one account, however many ask at once and wherever, and whatever becomes of the call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::sign_ups::Claim;
use super::{Cabinet, Ready, ViewError, Wish};
use crate::clock::Deadline;
use crate::model::{Account, AccountBinding, Guest, GuestKey, NewAccount};
use crate::probonus::Effect;

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
            let _turn = waited.map_err(|_| ViewError::InProgress { retry_after_s: 1 })?;
            // Who waited may have signed up meanwhile by another request of the same session.
            let guest = guest.up_to_date();
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
        let Some(claim) = self.sign_ups.claim(guest.key, deadline).await? else {
            let there = self.account_seen(guest, Wish { renew: false, deadline }).await;
            let error = there.map_or_else(|error| error, |_| ViewError::AccountExists);
            return Err(match told_to(guest, error) {
                ViewError::AccountExists => ViewError::AccountExists,
                _ => ViewError::InProgress { retry_after_s: 1 },
            });
        };
        let registered = self.register_claimed(&claim, guest, account, consents, deadline).await;
        self.sign_ups.release(&claim, registered.is_ok()).await;
        registered.map_err(|error| told_to(guest, error))
    }

    async fn register_claimed(
        self: &Arc<Self>,
        claim: &Claim,
        guest: &Guest,
        account: &NewAccount,
        consents: &[Consent],
        deadline: Deadline,
    ) -> Result<Ready, ViewError> {
        // Asked of ProBonus itself: what was remembered may be of before another replica's registration.
        if let Some(there) = self.accounts.look_up_before_sign_up(guest, deadline).await? {
            self.changed(guest, Some(&there.id)).await;
            if !claim.is_news_for(guest) {
                return Err(ViewError::AccountExists);
            }
            tell_registered(guest);
            return Ok(Ready::new(&self.profile_of(guest, &there), self.read_now().as_of_us));
        }
        if let Some(error) = self.sign_ups.unsettled(claim) {
            return Err(error);
        }
        // What a web server says about an address may look like "no such guest".
        self.probonus.prove_presence(deadline).await?;
        self.store
            .keep_consents(guest.key, consents, self.clock.now_us())
            .await?;
        self.sign_ups.sent(claim, guest).await?;
        let inserted = self.probonus.insert_by_template(account, deadline).await;
        let made = match inserted {
            Ok(told) => told.map(|told| account.completing(told)),
            Err(error) => match error.effect() {
                Effect::None => {
                    self.sign_ups.forget(claim).await;
                    return Err(error.into());
                }
                Effect::Rejected => {
                    self.sign_ups.forget(claim).await;
                    return Err(self.refused(guest, deadline).await);
                }
                // Whether it was done is seen by its effect.
                Effect::Unknown => None,
            },
        };
        self.sign_ups.ended(claim).await;
        self.show_registered(guest, made, deadline).await
    }

    /// What was just made, if it is seen.
    async fn show_registered(
        self: &Arc<Self>,
        guest: &Guest,
        made: Option<Account>,
        deadline: Deadline,
    ) -> Result<Ready, ViewError> {
        if let Some(made) = &made {
            let written = &self.guests.slots(guest.key).written;
            written.signed_up(made.clone(), self.clock.steady_us());
            self.accounts.signed_up(guest, &made.id).await?;
        }
        self.changed(guest, made.as_ref().map(|made| &made.id)).await;
        let guest = guest.up_to_date();
        let seen = self.account_seen(&guest, Wish { renew: false, deadline }).await;
        let ready = match (seen, made) {
            (Ok(found), _) => found.filled.value.profile_ready.clone(),
            // ProBonus made it and then fell silent: what it has is known all the same.
            (Err(_), Some(made)) => Ready::new(&self.profile_of(&guest, &made), self.read_now().as_of_us),
            (Err(_), None) => {
                // Nobody should hear for long that there is none: it may have been made and not be shown yet.
                self.guests.slots(guest.key).outdate(None);
                return Err(self.sign_ups.unknown());
            }
        };
        tell_registered(&guest);
        Ok(ready)
    }

    /// Why ProBonus did not make the account: a till may have been quicker.
    async fn refused(self: &Arc<Self>, guest: &Guest, deadline: Deadline) -> ViewError {
        match self.accounts.ask(guest, deadline).await {
            Ok(Some(there)) => {
                self.changed(guest, Some(&there.id)).await;
                ViewError::AccountExists
            }
            _ => ViewError::Refused,
        }
    }
}

/// Who had no account and finds one that somebody else made hears that first; their session is over, and they sign in to it.
fn told_to(guest: &Guest, error: ViewError) -> ViewError {
    match (guest.account, error) {
        (AccountBinding::Absent, ViewError::SessionExpired) => ViewError::AccountExists,
        (_, error) => error,
    }
}

fn tell_registered(guest: &Guest) {
    tracing::info!(target: "security", event = "account_registered", guest = ?guest.key);
}
