//! Which account is behind a guest's phone: told by ProBonus, made sure of, bound to sessions; and what another one takes with it.
//!
//! An account's id is part of what is fresh. While it is told as it was, the store is not asked. Another one is looked at a second time
//! before anything follows from it; then every session opened under the former one ends, and with it go copies, views and streams. What
//! ProBonus tells in no known form, or not at all, ends nothing. Knows nothing of views but that they go.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::ViewError;
use super::guests::Guests;
use super::shown_edits::ShownEdits;
use crate::clock::{Clock, Deadline};
use crate::keys::{Keys, Tag};
use crate::model::{Account, AccountBinding, AccountId, Guest};
use crate::probonus::ProBonus;
use crate::store::{SharedStore, Subject, account_subject};

/// Sessions end for an account that is gone when ProBonus says so once more after this long (µs): a table that is being restored is empty
/// for a moment, too.
const GONE_FOR_US: i64 = 15_000_000;

/// Whether a first word that a known account is gone is enough after a while, or at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// For reads.
    AWhile,
    /// For who is about to sign up: they were told before that there is no account.
    None,
}

/// The look-up of accounts.
pub(super) struct Accounts {
    probonus: Arc<ProBonus>,
    store: SharedStore,
    keys: Arc<Keys>,
    clock: Clock,
    guests: Arc<Guests>,
    pub shown_edits: ShownEdits,
}

impl Accounts {
    pub fn new(
        probonus: Arc<ProBonus>,
        store: SharedStore,
        keys: Arc<Keys>,
        clock: Clock,
        guests: Arc<Guests>,
    ) -> Self {
        Self {
            shown_edits: ShownEdits::new(store.clone(), keys.clone(), clock.clone()),
            probonus,
            store,
            keys,
            clock,
            guests,
        }
    }

    /// The keyed hash by which an account is known.
    pub fn tag_of(&self, id: &AccountId) -> Tag {
        account_subject(&self.keys, id)
    }

    /// The account that ProBonus has behind the guest's phone now, made sure to be the one that their session was opened under.
    ///
    /// # Errors
    /// [`ViewError::SessionExpired`] when another one is; [`ViewError::AccountAbsent`]; ProBonus; the store.
    pub async fn look_up(&self, guest: &Guest, deadline: Deadline) -> Result<Account, ViewError> {
        let told = self.ask(guest, deadline).await?;
        self.settle(guest, told.as_ref(), Patience::AWhile, deadline).await?;
        told.ok_or(ViewError::AccountAbsent)
    }

    /// The same for a guest who wants to sign up; nothing when there is no account, and none was behind their session.
    ///
    /// # Errors
    /// As [`Accounts::look_up`].
    pub async fn look_up_before_sign_up(
        &self,
        guest: &Guest,
        deadline: Deadline,
    ) -> Result<Option<Account>, ViewError> {
        for _ in 0..2 {
            let told = self.ask(guest, deadline).await?;
            self.settle(guest, told.as_ref(), Patience::None, deadline).await?;
            if told.is_some() || self.recheck(guest).await? == AccountBinding::Absent {
                return Ok(told);
            }
        }
        // ProBonus has not shown yet what this very session signed up for.
        Err(ViewError::InProgress { retry_after_s: 1 })
    }

    /// The same for whoever reads by this phone: another account is an answer, too, though sessions end for it.
    ///
    /// # Errors
    /// As [`Accounts::look_up`], but for the session's end.
    pub async fn look_up_for_all(&self, guest: &Guest, deadline: Deadline) -> Result<Account, ViewError> {
        let told = self.ask(guest, deadline).await?;
        match self.settle(guest, told.as_ref(), Patience::AWhile, deadline).await {
            Ok(()) | Err(ViewError::SessionExpired) => told.ok_or(ViewError::AccountAbsent),
            Err(error) => Err(error),
        }
    }

    /// What ProBonus has of the guest now, and what it has just taken from them and may not show yet.
    pub async fn ask(&self, guest: &Guest, deadline: Deadline) -> Result<Option<Account>, ViewError> {
        let told = match self.probonus.find_by_phone(&guest.phone, deadline).await? {
            Some(told) => Some(self.shown_edits.with_shown_edit(told).await),
            None => None,
        };
        let written = &self.guests.slots(guest.key).written;
        Ok(written.shown_in(told, self.clock.steady_us()))
    }

    /// What the store says now of the account that the guest's session was opened under.
    ///
    /// # Errors
    /// [`ViewError::SessionExpired`]; the store.
    pub async fn recheck(&self, guest: &Guest) -> Result<AccountBinding, ViewError> {
        let Some(session) = &guest.session else {
            return Ok(AccountBinding::Unknown);
        };
        let now = self.store.account_of_session(session.id, self.clock.now_us()).await?;
        let account = now.ok_or(ViewError::SessionExpired)?;
        session.learn(account);
        Ok(account)
    }

    /// The session of which nothing is known yet goes on under what its guest is shown from now on. A store that does not answer is done
    /// without: another request notes it.
    ///
    /// # Errors
    /// [`ViewError::SessionExpired`].
    pub async fn bind(&self, guest: &Guest, account: AccountBinding) -> Result<(), ViewError> {
        let Some(session) = &guest.session else { return Ok(()) };
        session.learn(account);
        if let Ok(bound) = self.store.bind_session(session.id, account).await {
            session.learn(bound.ok_or(ViewError::SessionExpired)?);
        }
        Ok(())
    }

    /// The account that a guest's own sign-up made: their session goes on under it.
    ///
    /// # Errors
    /// The store.
    pub async fn signed_up(&self, guest: &Guest, id: &AccountId) -> Result<(), ViewError> {
        let made = AccountBinding::Account(self.tag_of(id));
        self.change(guest, &[AccountBinding::Absent], made).await
    }

    /// Compares what ProBonus told with what sessions were opened under.
    async fn settle(
        &self,
        guest: &Guest,
        told: Option<&Account>,
        patience: Patience,
        deadline: Deadline,
    ) -> Result<(), ViewError> {
        let now = self.binding_of(told);
        if told.is_some() {
            self.guests.slots(guest.key).gone_since_us.store(0, Ordering::Relaxed);
        }
        if guest.account == now {
            return Ok(());
        }
        let own = self.recheck(guest).await?;
        if own == now {
            return Ok(());
        }
        let opened_under = self.store.accounts_of_sessions(guest.key, self.clock.now_us()).await?;
        let mut former: Vec<AccountBinding> = opened_under;
        former.retain(|account| ![now, AccountBinding::Unknown].contains(account));
        if let AccountBinding::Account(tag) = now {
            return self.settle_account(guest, (now, tag), &former, deadline).await;
        }
        let known = |account: &AccountBinding| matches!(account, AccountBinding::Account(_));
        if known(&own) || former.iter().any(known) {
            return self.settle_loss(guest, &former, patience, deadline).await;
        }
        self.forget_views(guest).await?;
        self.change(guest, &[], now).await
    }

    /// ProBonus tells an account of which the guest's session does not know.
    async fn settle_account(
        &self,
        guest: &Guest,
        (now, tag): (AccountBinding, Tag),
        former: &[AccountBinding],
        deadline: Deadline,
    ) -> Result<(), ViewError> {
        if former.is_empty() {
            // First sight. Whatever else is kept of this phone is of somebody before.
            self.store.remove_views_of_others(guest.key, tag).await?;
            if guest.session.is_none() {
                return Ok(());
            }
            return self.change(guest, former, now).await;
        }
        let again = self.ask(guest, deadline).await?;
        if self.binding_of(again.as_ref()) != now {
            return Err(ViewError::Nonsense);
        }
        self.change(guest, former, now).await
    }

    /// ProBonus tells that an account known before is gone.
    async fn settle_loss(
        &self,
        guest: &Guest,
        former: &[AccountBinding],
        patience: Patience,
        deadline: Deadline,
    ) -> Result<(), ViewError> {
        // The guest signed up a moment ago, and ProBonus may take its time to show that.
        if self.store.is_sign_up_pending(guest.key, self.clock.now_us()).await? {
            return Ok(());
        }
        self.probonus.prove_presence(deadline).await?;
        let now_us = self.clock.steady_us().max(1);
        let slots = self.guests.slots(guest.key);
        match slots
            .gone_since_us
            .compare_exchange(0, now_us, Ordering::Relaxed, Ordering::Relaxed)
        {
            Ok(_) => self.forget_views(guest).await,
            Err(since_us) if patience == Patience::AWhile && now_us - since_us < GONE_FOR_US => Ok(()),
            Err(_) => self.change(guest, former, AccountBinding::Absent).await,
        }
    }

    /// Another account is behind the phone: what was of a former one ends.
    async fn change(&self, guest: &Guest, former: &[AccountBinding], now: AccountBinding) -> Result<(), ViewError> {
        let changed = self.store.change_account(guest.key, former, now, self.clock.now_us());
        let (ended, written) = changed.await?;
        if written.is_some() {
            self.guests.forget_views(guest.key);
            self.guests.slots(guest.key).outdate(written);
        }
        let was_known = former
            .iter()
            .any(|account| matches!(account, AccountBinding::Account(_)));
        if was_known || !ended.is_empty() {
            tracing::warn!(target: "security", event = "account_changed", guest = ?guest.key, ended = ended.len());
            metrics::counter!("cabinet_account_changes_total").increment(1);
        }
        self.recheck(guest).await.map(drop)
    }

    /// What was shown of an account goes, in memory and in the store, here and on every replica.
    async fn forget_views(&self, guest: &Guest) -> Result<(), ViewError> {
        let subjects = [Subject::Guest(guest.key)];
        let written = self.store.move_generations(&subjects, self.clock.now_us()).await?;
        self.guests.forget_views(guest.key);
        self.guests.slots(guest.key).outdate(Some(written));
        Ok(())
    }

    fn binding_of(&self, told: Option<&Account>) -> AccountBinding {
        told.map_or(AccountBinding::Absent, |account| {
            AccountBinding::Account(self.tag_of(&account.id))
        })
    }
}
