//! The slots of all guests in memory, and reading a view through its slot.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use moka::sync::Cache;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::checks::{CheckSeen, Lookups};
use super::counters::Counted;
use super::history::{HistorySeen, WholeHistorySeen};
use super::slot::{Ages, Fetch, Filled, PATIENCE, Slot, Step, wait};
use super::views::{AccountSeen, BalanceSeen};
use super::{Cabinet, Shown, Source, ViewError, Wish};
use crate::clock::Deadline;
use crate::model::{AccountId, CheckId, Guest, GuestKey};
use crate::store::Signal;

/// Without signals of other replicas nothing is shown as fresh for longer than this (µs).
const DEAF_US: i64 = 10_000_000;

/// Checks of one guest that are remembered.
const CHECKS: usize = 32;

/// What one guest has in memory.
#[derive(Default)]
pub(super) struct GuestSlots {
    pub account: Arc<Slot<AccountSeen>>,
    pub balance: Arc<Slot<BalanceSeen>>,
    pub history: Arc<Slot<HistorySeen>>,
    pub whole_history: Arc<Slot<WholeHistorySeen>>,
    checks: Mutex<HashMap<CheckId, Arc<Slot<CheckSeen>>>>,
    pub lookups: Lookups,
}

impl GuestSlots {
    /// The slot of a check; beyond the bound another one is forgotten.
    pub fn check(&self, id: &CheckId) -> Arc<Slot<CheckSeen>> {
        let mut checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = checks.get(id) {
            return slot.clone();
        }
        if checks.len() >= CHECKS
            && let Some(other) = checks.keys().next().cloned()
        {
            checks.remove(&other);
        }
        checks.entry(id.clone()).or_default().clone()
    }

    /// A write happened. Checks stay: what was eaten does not change.
    fn outdate(&self) {
        self.account.outdate();
        self.balance.outdate();
        self.history.outdate();
        self.whole_history.outdate();
    }
}

/// All guests in memory, the longest unseen falling out.
pub(super) struct Guests {
    slots: Cache<GuestKey, Arc<GuestSlots>, foldhash::fast::RandomState>,
    /// Whose an account is: partners' operations name accounts.
    owners: Cache<AccountId, GuestKey, foldhash::fast::RandomState>,
}

impl Guests {
    pub fn new(capacity: u64) -> Self {
        Self {
            slots: Cache::builder()
                .max_capacity(capacity)
                .build_with_hasher(foldhash::fast::RandomState::default()),
            owners: Cache::builder()
                .max_capacity(capacity)
                .build_with_hasher(foldhash::fast::RandomState::default()),
        }
    }

    pub fn slots(&self, guest: GuestKey) -> Arc<GuestSlots> {
        match self.slots.get(&guest) {
            Some(slots) => slots,
            None => self.slots.get_with(guest, Arc::default),
        }
    }

    pub fn owns(&self, account: &AccountId, guest: GuestKey) {
        if self.owners.get(account) != Some(guest) {
            self.owners.insert(account.clone(), guest);
        }
    }
}

/// A kind of view: how it is asked for, kept, and made.
#[async_trait]
pub(super) trait View: Send + Sync + Sized + 'static {
    /// What the store keeps of it.
    type Kept: Serialize + DeserializeOwned + Send;
    /// What names it among the guest's views of this kind.
    type Key: Clone + Send + Sync + 'static;

    /// Which of the counted views it is.
    const COUNTED: Counted;

    /// Its name in the store.
    fn kept_name(cabinet: &Cabinet, key: &Self::Key) -> String;

    /// How fresh it must be, in microseconds.
    fn fresh_us(cabinet: &Cabinet) -> i64;

    /// Asks ProBonus.
    async fn ask(
        cabinet: &Arc<Cabinet>,
        guest: &Guest,
        key: &Self::Key,
        deadline: Deadline,
    ) -> Result<Self::Kept, ViewError>;

    /// Makes the view, with its bytes.
    fn make(cabinet: &Cabinet, guest: &Guest, kept: &Self::Kept, as_of_us: i64) -> Self;
}

/// A value found, and how.
pub(super) struct Found<V> {
    pub filled: Arc<Filled<V>>,
    pub source: Source,
}

impl Cabinet {
    pub(super) fn ages<V: View>(&self) -> Ages {
        let deaf = !self.store.hears_others();
        let fresh_us = V::fresh_us(self);
        Ages {
            fresh_us: if deaf { fresh_us.min(DEAF_US) } else { fresh_us },
            stale_us: i64::try_from(self.config.cache.stale_for.as_micros()).unwrap_or(i64::MAX),
            deaf,
        }
    }

    /// Reads a view through its slot.
    pub(super) async fn find<V: View>(
        self: &Arc<Self>,
        guest: &Guest,
        slot: &Arc<Slot<V>>,
        key: &V::Key,
        wish: Wish,
    ) -> Result<Found<V>, ViewError> {
        let found = self.find_uncounted(guest, slot, key, wish).await;
        let source = found.as_ref().ok().map(|found| found.source);
        self.counters.count(V::COUNTED, source);
        found
    }

    async fn find_uncounted<V: View>(
        self: &Arc<Self>,
        guest: &Guest,
        slot: &Arc<Slot<V>>,
        key: &V::Key,
        wish: Wish,
    ) -> Result<Found<V>, ViewError> {
        let ages = self.ages::<V>();
        let hit = |filled| {
            Ok(Found {
                filled,
                source: Source::Hit,
            })
        };
        let (receiver, mine) = match slot.step(ages, wish.renew, self.clock.now_us()) {
            Step::Show(filled) => return hit(filled),
            Step::ShowAndFetch(filled, fetch) => {
                self.fetch(guest, slot, key, fetch, false);
                return hit(filled);
            }
            Step::Failed(last, error) => return last_good(last, error),
            Step::Wait(receiver, fetch) => {
                let mine = fetch.is_some();
                if let Some(fetch) = fetch {
                    self.fetch(guest, slot, key, fetch, wish.renew);
                }
                (receiver, mine)
            }
        };
        let until = if slot.last(ages, self.clock.now_us()).is_some() {
            wish.deadline.at_most(PATIENCE)
        } else {
            wish.deadline
        };
        match wait(receiver, until.instant()).await {
            Some(Ok(filled)) => Ok(Found {
                filled,
                source: if mine { Source::Miss } else { Source::Coalesced },
            }),
            Some(Err(error)) => last_good(slot.last(ages, self.clock.now_us()), error),
            None => {
                let late = ViewError::Unavailable { retry_after_s: 1 };
                last_good(slot.last(ages, self.clock.now_us()), late)
            }
        }
    }

    /// Starts the one fetch of a slot. It goes on whoever leaves.
    fn fetch<V: View>(
        self: &Arc<Self>,
        guest: &Guest,
        slot: &Arc<Slot<V>>,
        key: &V::Key,
        fetch: Fetch<V>,
        renew: bool,
    ) {
        let (cabinet, guest, slot, key) = (self.clone(), guest.clone(), slot.clone(), key.clone());
        let span = tracing::Span::current();
        let work = async move {
            let result = cabinet.fetched(&guest, &slot, &key, &fetch, renew).await;
            slot.fill(fetch, result, cabinet.clock.now_us());
        };
        tokio::spawn(tracing::Instrument::instrument(work, span));
    }

    async fn fetched<V: View>(
        self: &Arc<Self>,
        guest: &Guest,
        slot: &Arc<Slot<V>>,
        key: &V::Key,
        fetch: &Fetch<V>,
        renew: bool,
    ) -> Result<Filled<V>, ViewError> {
        let ages = self.ages::<V>();
        let name = V::kept_name(self, key);
        if slot.last(ages, self.clock.now_us()).is_none()
            && let Some((kept, as_of_us)) = self.kept::<V::Kept>(guest, &name).await
        {
            let made = || Filled {
                value: V::make(self, guest, &kept, as_of_us),
                as_of_us,
            };
            if !renew && self.clock.now_us() - as_of_us < ages.fresh_us {
                return Ok(made());
            }
            slot.seed(fetch.epoch, made());
        }
        let asked_at_us = self.clock.now_us();
        let deadline = Deadline::within(self.config.fetch_time);
        let kept = V::ask(self, guest, key, deadline).await?;
        let as_of_us = self.clock.now_us();
        self.keep(guest, &name, &kept, asked_at_us, as_of_us);
        Ok(Filled {
            value: V::make(self, guest, &kept, as_of_us),
            as_of_us,
        })
    }

    /// A write happened for this guest: on every replica what was asked for before is outdated.
    pub(super) async fn changed(&self, guest: &Guest) {
        let slots = self.guests.slots(guest.key);
        slots.outdate();
        if self
            .store
            .outdate_views(&guest.key.0, self.clock.now_us())
            .await
            .is_err()
        {
            tracing::warn!("kept views could not be removed after a write; they are at most as old as their freshness");
        }
        if self.store.tell(Signal::GuestChanged(guest.key)).await.is_err() {
            tracing::warn!("the other replicas could not be told of a write; they find out within ten seconds");
        }
    }

    fn heard(&self, signal: &Signal) {
        let outdate = |guest: &GuestKey| {
            if let Some(slots) = self.guests.slots.get(guest) {
                slots.outdate();
            }
            self.watching.nudge(*guest);
        };
        match signal {
            Signal::GuestChanged(guest) => outdate(guest),
            Signal::AccountChanged(account) => {
                if let Some(guest) = self.guests.owners.get(account) {
                    outdate(&guest);
                }
            }
            // What a missed signal could have corrected must not be shown as fresh; it may still be shown as the last good.
            Signal::Lost => self.guests.slots.invalidate_all(),
            Signal::SessionChanged(_) => {}
        }
    }
}

fn last_good<V>(last: Option<Arc<Filled<V>>>, error: ViewError) -> Result<Found<V>, ViewError> {
    match last {
        Some(filled) if error.may_show_last() => Ok(Found {
            filled,
            source: Source::Stale,
        }),
        _ => Err(error),
    }
}

/// Hears other replicas, and this one's own partner operations.
pub(super) async fn listen(room: Arc<Cabinet>) {
    let mut signals = room.store.signals();
    loop {
        let signal = tokio::select! {
            signal = signals.next() => signal,
            () = room.stop.cancelled() => return,
        };
        match signal {
            Some(signal) => room.heard(&signal),
            None => return,
        }
    }
}

impl super::Ready {
    /// The answer of a found view.
    pub(super) fn shown(&self, source: Source) -> Shown {
        Shown {
            ready: self.clone(),
            source,
        }
    }
}
