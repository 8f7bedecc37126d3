//! Editing the questionnaire: an allow-list, checked against the version the guest saw, shown by the next read anywhere.

use std::sync::Arc;

use super::{Cabinet, Ready, ViewError, Wish};
use crate::clock::Deadline;
use crate::model::{Guest, ProfileEdit};
use crate::probonus::{Effect, UpstreamError};

/// `If-Match`: which version of the profile the edit is meant for.
#[derive(Clone, Debug)]
pub enum Precondition {
    /// Any.
    Any,
    /// One of these tags, as we gave them out.
    Tags(Vec<Vec<u8>>),
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
        // A version is compared with what ProBonus has now; without one, any account that is known will do.
        let renew = precondition.is_some();
        if renew {
            self.guests.slots(guest.key).account().ask_anew();
        }
        let found = self.account_seen(guest, Wish { renew, deadline }).await?;
        let seen = &found.filled.value;
        if seen.blocked {
            return Err(ViewError::AccountBlocked);
        }
        if let Some(Precondition::Tags(tags)) = precondition
            && !tags.iter().any(|tag| *tag == seen.profile_ready.tag())
        {
            return Err(ViewError::VersionMismatch);
        }
        if *edit == ProfileEdit::default() {
            return Ok(seen.profile_ready.clone());
        }
        let written = self.probonus.update(&seen.id, &guest.phone, edit, deadline).await;
        let unsure = match written {
            Ok(()) => {
                let written = &self.guests.slots(guest.key).written;
                written.edited(edit, self.clock.steady_us());
                None
            }
            Err(UpstreamError::Refused { .. }) => return Err(ViewError::Refused),
            Err(error) if error.effect() == Effect::None => return Err(error.into()),
            Err(error) => Some(error),
        };
        self.changed(guest).await;
        let read = self.account_seen(guest, Wish { renew: false, deadline }).await;
        match (read, unsure) {
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
                let profile = edit.applied_to_profile(seen.profile());
                Ok(Ready::new(&profile, self.read_now().as_of_us))
            }
            (Err(error), Some(_)) => Err(error),
        }
    }
}
