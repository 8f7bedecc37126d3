//! Watching a balance while a guest has the page open: one watcher per guest however many pages, within ProBonus' budget.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::{Cabinet, Ready, Source, Wish};
use crate::clock::Deadline;
use crate::model::{Guest, GuestKey};

/// Guests watched at once; further pages ask as pages without events do.
const GUESTS: usize = 5000;

/// Pages that one guest may have watching at once.
pub const PAGES: usize = 8;

/// The balance is looked at this often at first, and less and less while nothing happens.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_mins(1);

/// A look's time.
const LOOK: Duration = Duration::from_secs(8);

/// Why a page may not watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchError {
    /// The guest has as many pages watching as one may have.
    TooManyPages,
    /// As many guests are watched as can be.
    Full,
}

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
    fn watchers(&self) -> MutexGuard<'_, HashMap<GuestKey, Watcher>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened to the guest's account: look at once.
    pub fn nudge(&self, guest: GuestKey) {
        if let Some(watcher) = self.watchers().get(&guest) {
            watcher.nudged.notify_one();
        }
    }

    /// A watcher leaves unless somebody listens. Decided under the lock under which pages join, so that none joins one that leaves.
    fn leave(&self, guest: GuestKey, watcher: &Watcher) -> bool {
        let mut watchers = self.watchers();
        let alone = watcher.news.receiver_count() == 0;
        if alone {
            watchers.remove(&guest);
        }
        alone
    }
}

impl Cabinet {
    /// Starts watching the guest's balance, or joins who does.
    ///
    /// # Errors
    /// When there are as many pages, of this guest or in all, as may be.
    pub fn watch(self: &Arc<Self>, guest: &Guest) -> Result<Watch, WatchError> {
        let mut watchers = self.watching.watchers();
        if let Some(watcher) = watchers.get(&guest.key) {
            if watcher.news.receiver_count() >= PAGES {
                return Err(WatchError::TooManyPages);
            }
            return Ok(Watch(watcher.news.subscribe()));
        }
        if watchers.len() >= GUESTS {
            return Err(WatchError::Full);
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

    async fn look_on(self: &Arc<Self>, guest: &Guest, watcher: &Watcher) {
        // What readers are shown will do to begin with: opening a page costs ProBonus nothing more.
        let mut renew = false;
        let mut pause = FIRST;
        while !self.watching.leave(guest.key, watcher) {
            if self.look(guest, watcher, renew).await {
                pause = FIRST;
            }
            renew = true;
            tokio::select! {
                () = tokio::time::sleep(pause.max(self.turn())) => pause = (pause * 3 / 2).min(LONGEST),
                () = watcher.nudged.notified() => pause = FIRST,
                () = watcher.news.closed() => {}
                () = self.stop.cancelled() => break,
            }
        }
        // At a stop pages still listen: they hear that it is over.
        if self.stop.is_cancelled() {
            self.watching.watchers().remove(&guest.key);
        }
        metrics::gauge!("cabinet_watched_guests").decrement(1.0);
    }

    /// How long a round through all watched guests takes when no more of them are looked at in a second than ProBonus should bear.
    fn turn(&self) -> Duration {
        let guests = self.watching.watchers().len();
        let most = u32::try_from(self.config.looks_per_second.max(1)).unwrap_or(u32::MAX);
        Duration::from_secs(1) * u32::try_from(guests).unwrap_or(u32::MAX) / most
    }

    /// Looks once; whether there was news.
    async fn look(self: &Arc<Self>, guest: &Guest, watcher: &Watcher, renew: bool) -> bool {
        let deadline = Deadline::within(LOOK);
        // The page waits for its first balance; whatever comes later can wait until ProBonus is better.
        let deadline = if renew { deadline.in_background() } else { deadline };
        // One look for all pages of the guest, and at most one in three seconds: a view that is merely fresh would hide what just moved.
        let mut shown = self.balance(guest, Wish { renew, deadline }).await;
        if shown.as_ref().is_ok_and(|shown| shown.source == Source::Stale) {
            // Nobody waits for a look: a slow answer is waited for where a reader would be given the last one.
            let slot = self.guests.slots(guest.key).balance();
            slot.settled(deadline.instant()).await;
            let renew = false;
            shown = self.balance(guest, Wish { renew, deadline }).await;
        }
        let Ok(shown) = shown else { return false };
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
