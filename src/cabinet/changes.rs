//! Invalidation: a write moves generations in the store, and what is in memory of before goes, here and on every other replica.

use std::sync::Arc;
use std::time::Duration;

use super::Cabinet;
use crate::model::{Guest, GuestKey};
use crate::store::{Generation, Heard, Hint, StoreError, Subject};

/// A write that could not be noted is noted as soon as the store is back; it is tried this often.
const AGAIN: Duration = Duration::from_secs(1);

/// By then everything that was read before it has been asked for again.
const GIVE_UP: Duration = Duration::from_mins(10);

impl Cabinet {
    /// A write happened for this guest: on every replica what was asked for before is outdated.
    pub(super) async fn changed(self: &Arc<Self>, guest: &Guest) {
        let moved = self.move_generations(guest.key).await;
        self.outdate(guest, moved);
    }

    /// A write moved the guest's generation, or would have: what is in memory of before goes.
    pub(super) fn outdate(self: &Arc<Self>, guest: &Guest, moved: Result<Generation, StoreError>) {
        self.guests.slots(guest.key).outdate(moved.as_ref().ok().copied());
        if moved.is_err() {
            tracing::warn!("a write could not be noted in the store; other replicas hear of it when the store is back");
            self.tasks.spawn(note_later(self.clone(), guest.key));
        }
    }

    async fn move_generations(&self, guest: GuestKey) -> Result<Generation, StoreError> {
        let account = self.guests.account(&guest).map(Subject::Account);
        let subjects: Vec<Subject> = account.into_iter().chain([Subject::Guest(guest)]).collect();
        self.store.move_generations(&subjects, self.clock.now_us()).await
    }

    fn heard(&self, hint: Hint) {
        let outdate = |guest: GuestKey, written: Generation| {
            if let Some(slots) = self.guests.present(&guest) {
                slots.outdate(Some(written));
            }
            self.watching.nudge(guest);
        };
        match hint {
            Hint::GuestWritten(guest, written) => outdate(guest, written),
            Hint::AccountWritten(account, written) => {
                // First noted, then looked for: whoever learns meanwhile whose the account is finds one or the other.
                self.guests.note_account_written(written);
                if let Some(guest) = self.guests.owner(&account) {
                    outdate(guest, written);
                }
            }
            Hint::SessionEnded(_) => {}
        }
    }
}

async fn note_later(room: Arc<Cabinet>, guest: GuestKey) {
    let noted = async {
        loop {
            tokio::time::sleep(AGAIN).await;
            if let Ok(written) = room.move_generations(guest).await {
                room.guests.slots(guest).outdate(Some(written));
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
