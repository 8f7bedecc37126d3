//! Invalidation: a write moves generations in the store, and what is in memory of before goes, here and on every other replica.

use std::sync::Arc;
use std::time::Duration;

use super::Cabinet;
use crate::keys::Tag;
use crate::model::{AccountId, Guest, GuestKey};
use crate::store::{Generation, Heard, Hint, Subject, account_subject};

/// A write that could not be noted is noted as soon as the store is back; it is tried this often.
const AGAIN: Duration = Duration::from_secs(1);

/// By then everything that was read before it has been asked for again.
const GIVE_UP: Duration = Duration::from_mins(10);

impl Cabinet {
    /// A write happened for this guest: on every replica what was asked for before is outdated, for everybody who shares the account.
    pub(super) async fn changed(self: &Arc<Self>, guest: &Guest, account: Option<&AccountId>) {
        let account = account.map(|account| account_subject(&self.keys, account));
        let subjects: Vec<Subject> = account
            .map(Subject::Account)
            .into_iter()
            .chain([Subject::Guest(guest.key)])
            .collect();
        let moved = self.store.move_generations(&subjects, self.clock.now_us()).await;
        self.outdate_after(guest, account, subjects, moved.ok());
    }

    /// A write moved the generations of `subjects`; `None`: the store could not be told. What is in memory of before goes.
    pub(super) fn outdate_after(
        self: &Arc<Self>,
        guest: &Guest,
        account: Option<Tag>,
        subjects: Vec<Subject>,
        moved: Option<Generation>,
    ) {
        self.outdate_written(guest.key, account, moved);
        if moved.is_none() {
            tracing::warn!("a write could not be noted in the store; other replicas hear of it when the store is back");
            self.tasks.spawn(note_later(self.clone(), guest.key, account, subjects));
        }
    }

    /// What this process has in memory of the guest and of whoever shares the account.
    fn outdate_written(&self, guest: GuestKey, account: Option<Tag>, written: Option<Generation>) {
        self.guests.slots(guest).outdate(written);
        for owner in account.iter().flat_map(|account| self.guests.owners(account)) {
            self.outdate(owner, written);
        }
    }

    fn outdate(&self, guest: GuestKey, written: Option<Generation>) {
        if let Some(slots) = self.guests.present(&guest) {
            slots.outdate(written);
        }
        self.watching.nudge(guest);
    }

    fn heard(&self, hint: Hint) {
        match hint {
            Hint::GuestWritten(guest, written) => self.outdate(guest, Some(written)),
            Hint::AccountWritten(account, written) => {
                // First noted, then looked for: whoever learns meanwhile whose the account is finds one or the other.
                self.guests.note_account_written(written);
                for guest in self.guests.owners(&account) {
                    self.outdate(guest, Some(written));
                }
            }
            Hint::SessionEnded(_) => {}
        }
    }
}

async fn note_later(room: Arc<Cabinet>, guest: GuestKey, account: Option<Tag>, subjects: Vec<Subject>) {
    let noted = async {
        loop {
            tokio::time::sleep(AGAIN).await;
            if let Ok(written) = room.store.move_generations(&subjects, room.clock.now_us()).await {
                room.outdate_written(guest, account, Some(written));
                return;
            }
        }
    };
    tokio::select! {
        _ = tokio::time::timeout(GIVE_UP, noted) => {}
        () = room.stop.cancelled() => {}
    }
}

/// Hears other replicas, and this one's own partner operations.
pub(super) async fn listen(room: Arc<Cabinet>) {
    let mut hints = room.store.hints();
    loop {
        let heard = tokio::select! {
            heard = hints.next() => heard,
            () = room.stop.cancelled() => return,
        };
        match heard {
            Some(Heard::Hint(hint)) => room.heard(hint),
            // Nothing is forgotten: what was looked at before the gap is looked at again before it is shown as fresh.
            Some(Heard::Gap) => {}
            None => return,
        }
    }
}
