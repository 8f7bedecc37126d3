//! Editing the questionnaire: an allow-list, checked against the version the guest saw, shown by the next read anywhere. Of an account one edit
//! is made at a time, over all replicas, so that comparing the version and writing are one step.

use std::sync::Arc;
use std::time::Duration;

use super::{Cabinet, Ready, ViewError, Wish};
use crate::clock::{Deadline, micros};
use crate::keys::Tag;
use crate::model::{AccountId, Guest, Profile, ProfileEdit};
use crate::probonus::{Effect, UpstreamError};
use crate::store::{EditLease, Subject, account_subject};

/// Who has to wait for their turn asks again after this long, and ever less often.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// The right to edit lasts this much longer than its request, lest it run out under it.
const UNSURE: Duration = Duration::from_secs(5);

/// `If-Match`: which version of the profile the edit is meant for.
#[derive(Clone, Debug)]
pub enum Precondition {
    /// Any.
    Any,
    /// One of these tags, as we gave them out.
    Tags(Vec<Vec<u8>>),
}

/// What came of an edit in its turn.
enum Outcome {
    /// There was nothing to write.
    Unchanged(Ready),
    /// ProBonus was told.
    Written(Box<WrittenEdit>),
}

/// An edit that ProBonus was told.
struct WrittenEdit {
    /// The profile of before.
    before: Profile,
    /// Why it is not known whether ProBonus took it.
    unsure: Option<UpstreamError>,
}

impl Cabinet {
    /// `PATCH /me/profile`. Goes on when the guest's connection breaks.
    ///
    /// # Errors
    /// See [`ViewError`].
    pub async fn edit(
        self: &Arc<Self>,
        guest: &Guest,
        edit: ProfileEdit,
        precondition: Option<Precondition>,
        deadline: Deadline,
    ) -> Result<Ready, ViewError> {
        let (cabinet, guest) = (self.clone(), guest.clone());
        let work = async move { cabinet.edit_now(&guest, &edit, precondition, deadline).await };
        let span = tracing::Span::current();
        let task = self.tasks.spawn(tracing::Instrument::instrument(work, span));
        task.await.unwrap_or(Err(ViewError::Internal))
    }

    async fn edit_now(
        self: &Arc<Self>,
        guest: &Guest,
        edit: &ProfileEdit,
        precondition: Option<Precondition>,
        deadline: Deadline,
    ) -> Result<Ready, ViewError> {
        // Which account it is: whichever is known will do to ask for its turn.
        let known = self.account_id(guest, Wish { renew: false, deadline }).await?;
        let account = account_subject(&self.keys, &known);
        let lease = self.edit_turn(account, deadline).await?;
        let written = match self.write_edit(guest, &known, edit, precondition, deadline).await {
            Ok(Outcome::Written(written)) => *written,
            Ok(Outcome::Unchanged(ready)) => {
                self.give_back(&lease).await;
                return Ok(ready);
            }
            Err(error) => {
                self.give_back(&lease).await;
                return Err(error);
            }
        };
        let shown = match written.unsure {
            None => self.accounts.shown_edits.to_be_shown(&account, edit).await,
            Some(_) => None,
        };
        let subjects = [Subject::Account(account), Subject::Guest(guest.key)];
        let finished = self
            .store
            .finish_edit(&lease, shown.as_ref(), &subjects, self.clock.now_us())
            .await;
        self.outdate_after(guest, Some(account), subjects.to_vec(), finished.ok());
        self.read_back(guest, edit, written, deadline).await
    }

    /// Compares the version and writes, as long as nobody else may.
    async fn write_edit(
        self: &Arc<Self>,
        guest: &Guest,
        known: &AccountId,
        edit: &ProfileEdit,
        precondition: Option<Precondition>,
        deadline: Deadline,
    ) -> Result<Outcome, ViewError> {
        // A write looks first: what was asked for before it was our turn may be of before somebody else's write.
        let found = self.account_before_write(guest, deadline).await?;
        let seen = &found.value;
        if seen.id != *known {
            return Err(ViewError::InProgress { retry_after_s: 1 });
        }
        if seen.blocked {
            return Err(ViewError::AccountBlocked);
        }
        if let Some(Precondition::Tags(tags)) = precondition
            && !tags.iter().any(|tag| *tag == seen.profile_ready.tag())
        {
            return Err(ViewError::VersionMismatch);
        }
        if *edit == ProfileEdit::default() {
            return Ok(Outcome::Unchanged(seen.profile_ready.clone()));
        }
        let before = seen.profile();
        let unsure = match self.probonus.update(&seen.id, &guest.phone, edit, deadline).await {
            Ok(()) => {
                let written = &self.guests.slots(guest.key).written;
                written.edited(&seen.id, edit, self.clock.steady_us());
                None
            }
            Err(UpstreamError::Refused { .. }) => return Err(ViewError::Refused),
            Err(error) if error.effect() == Effect::None => return Err(error.into()),
            Err(error) => Some(error),
        };
        Ok(Outcome::Written(Box::new(WrittenEdit { before, unsure })))
    }

    /// The profile as it is after the write.
    async fn read_back(
        self: &Arc<Self>,
        guest: &Guest,
        edit: &ProfileEdit,
        written: WrittenEdit,
        deadline: Deadline,
    ) -> Result<Ready, ViewError> {
        let read = self.account_seen(guest, Wish { renew: false, deadline }).await;
        match (read, written.unsure) {
            (Ok(found), None) => Ok(found.filled.value.profile_ready.clone()),
            (Ok(found), Some(error)) => {
                // Whether it was done is seen by its effect.
                let now = found.filled.value.profile();
                if now == edit.applied_to_profile(now.clone()) {
                    Ok(found.filled.value.profile_ready.clone())
                } else {
                    Err(error.into())
                }
            }
            // ProBonus took the edit and then fell silent: what it has now is known all the same.
            (Err(_), None) => {
                let profile = edit.applied_to_profile(written.before);
                Ok(Ready::new(&profile, self.read_now().as_of_us))
            }
            (Err(error), Some(_)) => Err(error),
        }
    }

    /// Waits for the right to edit the account. Whoever has it has it until their own deadline, and a little longer.
    async fn edit_turn(&self, account: Tag, deadline: Deadline) -> Result<EditLease, ViewError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let now_us = self.clock.now_us();
            let until_us = now_us.saturating_add(micros(deadline.remaining() + UNSURE));
            if let Some(lease) = self.store.lease_edit(account, until_us, now_us).await? {
                return Ok(lease);
            }
            if deadline.remaining() <= pause {
                return Err(ViewError::InProgress { retry_after_s: 1 });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn give_back(&self, lease: &EditLease) {
        if self.store.release_edit(lease).await.is_err() {
            tracing::warn!("the right to edit an account could not be given back; it runs out");
        }
    }
}
