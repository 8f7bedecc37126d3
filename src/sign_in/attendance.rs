//! Whoever stays connected hears when their session ends: at once where it ended, within seconds elsewhere.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::SignIn;
use crate::model::{Guest, SessionId};
use crate::store::Period;

/// While hints are heard, a session that ends without one (its time is over) is looked for this often.
const LOOK: Duration = Duration::from_mins(1);

/// While they are not, this often.
const LOOK_UNHEARD: Duration = Duration::from_secs(8);

/// The sessions of those who stay connected.
#[derive(Default)]
pub(super) struct Attending(Mutex<HashMap<SessionId, watch::Sender<()>>>);

impl Attending {
    fn sessions(&self) -> MutexGuard<'_, HashMap<SessionId, watch::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(&self, id: SessionId) -> watch::Receiver<()> {
        self.sessions()
            .entry(id)
            .or_insert_with(|| watch::channel(()).0)
            .subscribe()
    }

    /// The last one there closes the door. Called while the leaving one still counts.
    fn leave(&self, id: SessionId) {
        let mut sessions = self.sessions();
        if sessions.get(&id).is_some_and(|news| news.receiver_count() <= 1) {
            sessions.remove(&id);
        }
    }

    /// Something happened to this session.
    pub fn tell(&self, id: SessionId) {
        if let Some(news) = self.sessions().get(&id) {
            news.send_replace(());
        }
    }

    /// Something may have happened to any of them.
    pub fn tell_all(&self) {
        for news in self.sessions().values() {
            news.send_replace(());
        }
    }
}

/// One connection that stays for as long as its session.
pub struct Attendance {
    room: Arc<SignIn>,
    guest: Guest,
    session: SessionId,
    news: watch::Receiver<()>,
    /// Something happened, and the store was not asked yet.
    doubted: bool,
    look_at: Instant,
}

impl SignIn {
    /// Stays with a session.
    pub fn attend(self: &Arc<Self>, guest: Guest, session: SessionId) -> Attendance {
        Attendance {
            news: self.attending.join(session),
            room: self.clone(),
            guest,
            session,
            // It may have ended between the request's being let in and now.
            doubted: true,
            look_at: Instant::now(),
        }
    }
}

impl Attendance {
    /// Resolves when the session is over. Nothing is lost when this is dropped halfway and called again.
    pub async fn ended(&mut self) {
        loop {
            if self.is_over().await {
                return;
            }
            tokio::select! {
                _ = self.news.changed() => self.doubted = true,
                () = tokio::time::sleep_until(self.look_at) => {}
            }
        }
    }

    /// Whether the session is over; asks the store only when something happened or nothing was heard for long.
    pub async fn is_over(&mut self) -> bool {
        self.doubted |= self.news.has_changed().unwrap_or(true);
        if !self.doubted && Instant::now() < self.look_at {
            return false;
        }
        self.news.mark_unchanged();
        let listed = self.room.sessions(&self.guest).await;
        let heard = self.room.store.period() != Period::NONE;
        self.look_at = Instant::now() + if heard { LOOK } else { LOOK_UNHEARD };
        self.doubted = false;
        // A store that is down ends nobody's session.
        listed.is_ok_and(|sessions| sessions.iter().all(|session| session.id != self.session))
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        self.room.attending.leave(self.session);
    }
}
