//! Watching a balance while a guest has the page open: one watcher per guest however many pages, within ProBonus' budget.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::{Cabinet, Ready, Source, ViewError, Wish};
use crate::clock::Deadline;
use crate::model::{AccountBinding, Guest, GuestKey};

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
    /// What is told is of this account, and nobody else hears it.
    account: AccountBinding,
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
        if alone && watchers.get(&guest).is_some_and(|known| known.is(watcher)) {
            watchers.remove(&guest);
        }
        alone
    }

    /// A watcher leaves whoever listens: they come back and are told of what they may see.
    fn give_up(&self, guest: GuestKey, watcher: &Watcher) {
        let mut watchers = self.watchers();
        if watchers.get(&guest).is_some_and(|known| known.is(watcher)) {
            watchers.remove(&guest);
        }
    }
}

impl Watcher {
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.news, &other.news)
    }
}

impl Cabinet {
    /// Starts watching the guest's balance, or joins who does.
    ///
    /// # Errors
    /// When there are as many pages, of this guest or in all, as may be.
    pub fn watch(self: &Arc<Self>, guest: &Guest) -> Result<Watch, WatchError> {
        let guest = guest.up_to_date();
        let mut watchers = self.watching.watchers();
        if let Some(watcher) = watchers.get(&guest.key).filter(|known| known.account == guest.account) {
            if watcher.news.receiver_count() >= PAGES {
                return Err(WatchError::TooManyPages);
            }
            return Ok(Watch(watcher.news.subscribe()));
        }
        if watchers.len() >= GUESTS && !watchers.contains_key(&guest.key) {
            return Err(WatchError::Full);
        }
        let (sender, receiver) = watch::channel(None);
        let watcher = Watcher {
            account: guest.account,
            news: Arc::new(sender),
            nudged: Arc::new(Notify::new()),
        };
        watchers.insert(guest.key, watcher.clone());
        metrics::gauge!("cabinet_watched_guests").increment(1.0);
        let room = self.clone();
        tokio::spawn(async move { room.look_on(&guest, &watcher).await });
        Ok(Watch(receiver))
    }

    async fn look_on(self: &Arc<Self>, guest: &Guest, watcher: &Watcher) {
        // What readers are shown will do to begin with: opening a page costs ProBonus nothing more.
        let mut renew = false;
        let mut pause = FIRST;
        while !self.watching.leave(guest.key, watcher) {
            match self.look(guest, watcher, renew).await {
                Ok(true) => pause = FIRST,
                Err(ViewError::SessionExpired) => {
                    self.watching.give_up(guest.key, watcher);
                    break;
                }
                Ok(false) | Err(_) => {}
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
            self.watching.give_up(guest.key, watcher);
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
    async fn look(self: &Arc<Self>, guest: &Guest, watcher: &Watcher, renew: bool) -> Result<bool, ViewError> {
        let deadline = Deadline::within(LOOK);
        // The page waits for its first balance; whatever comes later can wait until ProBonus is better.
        let deadline = if renew { deadline.in_background() } else { deadline };
        // One look for all pages of the guest, and at most one in three seconds: a view that is merely fresh would hide what just moved.
        let guest = guest.up_to_date();
        let mut shown = self.balance(&guest, Wish { renew, deadline }).await?;
        if shown.source == Source::Stale {
            // Nobody waits for a look: a slow answer is waited for where a reader would be given the last one.
            let slot = self.guests.views(&guest).balance();
            slot.settled(deadline.instant()).await;
            let renew = false;
            shown = self.balance(&guest, Wish { renew, deadline }).await?;
        }
        let seen = Watched {
            ready: shown.ready,
            stale: shown.source == Source::Stale,
        };
        Ok(watcher.news.send_if_modified(|last| {
            let news = last.as_ref().is_none_or(|last| last.id() != seen.id());
            if news {
                *last = Some(seen);
            }
            news
        }))
    }
}
