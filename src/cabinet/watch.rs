//! Watching a balance while a guest has the page open: one watcher per guest however many pages, within ProBonus' budget.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::{Cabinet, Ready, Source, ViewError, Wish};
use crate::clock::Deadline;
use crate::model::{Guest, GuestKey};

/// Guests watched at once; further pages ask as pages without events do.
const GUESTS: usize = 5000;

/// The balance is looked at this often at first, and less and less while nothing happens.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_mins(1);

/// A look's time.
const LOOK: Duration = Duration::from_secs(8);

/// What a watching page hears.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The balance's answer.
    pub ready: Ready,
    /// Whether ProBonus cannot be reached now.
    pub stale: bool,
}

impl Watched {
    /// The event's id: the same content has the same.
    #[must_use]
    pub fn id(&self) -> String {
        let tag = String::from_utf8_lossy(self.ready.tag());
        let tag = tag.trim_matches('"');
        if self.stale {
            format!("{tag}-stale")
        } else {
            tag.to_owned()
        }
    }
}

/// One page's ear.
pub struct Watch(watch::Receiver<Option<Watched>>);

impl Watch {
    /// News other than what `known` names; waits for it. `None` when watching ended.
    pub async fn changed_since(&mut self, known: Option<&str>) -> Option<Watched> {
        loop {
            let news = self.0.borrow_and_update().clone();
            if let Some(news) = news
                && known != Some(news.id().as_str())
            {
                return Some(news);
            }
            self.0.changed().await.ok()?;
        }
    }
}

/// Who is watched.
#[derive(Default)]
pub(super) struct Watching(Mutex<HashMap<GuestKey, Watcher>>);

#[derive(Clone)]
struct Watcher {
    news: Arc<watch::Sender<Option<Watched>>>,
    nudged: Arc<Notify>,
}

impl Watching {
    /// Something happened to the guest's account: look at once.
    pub fn nudge(&self, guest: GuestKey) {
        let watchers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watcher) = watchers.get(&guest) {
            watcher.nudged.notify_one();
        }
    }
}

impl Cabinet {
    /// Starts watching the guest's balance, or joins who does.
    ///
    /// # Errors
    /// [`ViewError::Overloaded`] when as many guests as allowed are watched.
    pub fn watch(self: &Arc<Self>, guest: &Guest) -> Result<Watch, ViewError> {
        let mut watchers = self.watching.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watcher) = watchers.get(&guest.key) {
            return Ok(Watch(watcher.news.subscribe()));
        }
        if watchers.len() >= GUESTS {
            return Err(ViewError::Overloaded);
        }
        let (sender, receiver) = watch::channel(None);
        let watcher = Watcher {
            news: Arc::new(sender),
            nudged: Arc::new(Notify::new()),
        };
        watchers.insert(guest.key, watcher.clone());
        metrics::gauge!("cabinet_watched_guests").increment(1.0);
        let (room, guest) = (self.clone(), guest.clone());
        tokio::spawn(async move { room.look_on(&guest, &watcher).await });
        Ok(Watch(receiver))
    }

    /// From now on no page is told of changes: who listens leaves.
    pub fn end_watching(&self) {
        self.watching_over.cancel();
    }

    async fn look_on(self: &Arc<Self>, guest: &Guest, watcher: &Watcher) {
        let mut pause = FIRST;
        while !self.ended(guest, watcher) {
            if self.look(guest, watcher).await {
                pause = FIRST;
            } else {
                pause = (pause * 3 / 2).min(LONGEST);
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = watcher.nudged.notified() => pause = FIRST,
                () = watcher.news.closed() => {}
                () = self.watching_over.cancelled() => break,
            }
        }
        // At a stop pages still listen: they hear that it is over.
        if self.watching_over.is_cancelled() {
            self.watching
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&guest.key);
        }
        metrics::gauge!("cabinet_watched_guests").decrement(1.0);
    }

    /// Whether nobody watches any more. Decided under the lock under which pages join, so that none joins a watcher that leaves.
    fn ended(&self, guest: &Guest, watcher: &Watcher) -> bool {
        let mut watchers = self.watching.0.lock().unwrap_or_else(PoisonError::into_inner);
        if watcher.news.receiver_count() > 0 {
            return false;
        }
        watchers.remove(&guest.key);
        true
    }

    /// Looks once; whether there was news.
    async fn look(self: &Arc<Self>, guest: &Guest, watcher: &Watcher) -> bool {
        // One look for all pages of the guest, and at most one in three seconds: a view that is merely fresh would hide what just moved.
        let wish = Wish {
            renew: true,
            deadline: Deadline::within(LOOK),
        };
        let Ok(shown) = self.balance(guest, wish).await else {
            return false;
        };
        let seen = Watched {
            ready: shown.ready,
            stale: shown.source == Source::Stale,
        };
        watcher.news.send_if_modified(|last| {
            let news = last.as_ref().is_none_or(|last| last.id() != seen.id());
            if news {
                *last = Some(seen);
            }
            news
        })
    }
}
