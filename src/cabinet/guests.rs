//! The slots of all guests in memory, and reading a view through its slot.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use foldhash::fast::RandomState;
use quick_cache::sync::{Cache, EntryAction};
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::checks::{CheckSeen, Lookups};
use super::counters::Counted;
use super::history::{HistorySeen, WholeHistorySeen};
use super::home::HomeSeen;
use super::slot::{Ages, Fetch, Filled, Outcome, PATIENCE, Slot, Step, wait};
use super::views::{AccountSeen, BalanceSeen};
use super::{Cabinet, Shown, Source, ViewError, Wish};
use crate::clock::Deadline;
use crate::model::{AccountId, CheckId, Guest, GuestKey};
use crate::store::Signal;

/// Without signals of other replicas nothing is shown as fresh for longer than this (µs).
const DEAF_US: i64 = 10_000_000;

/// Checks of one guest that are remembered.
const CHECKS: usize = 32;

/// What the room for one guest holds, in bytes. Who has more in memory counts as several guests.
const ROOM: usize = 16 * 1024;

/// What one guest has in memory.
#[derive(Default)]
pub(super) struct GuestSlots {
    account: Slot<AccountSeen>,
    balance: Slot<BalanceSeen>,
    history: Slot<HistorySeen>,
    whole_history: Slot<WholeHistorySeen>,
    checks: Mutex<BTreeMap<CheckId, Arc<Slot<CheckSeen>>>>,
    pub home: HomeSeen,
    pub lookups: Lookups,
    /// The guest's account, once it is known.
    account_id: Mutex<Option<AccountId>>,
    /// For how many guests this one counts.
    rooms: AtomicU64,
}

/// One of a guest's slots; keeps all of them.
pub(super) struct Part<V> {
    slots: Arc<GuestSlots>,
    part: fn(&GuestSlots) -> &Slot<V>,
}

impl<V> Deref for Part<V> {
    type Target = Slot<V>;

    fn deref(&self) -> &Slot<V> {
        (self.part)(&self.slots)
    }
}

impl<V> Clone for Part<V> {
    fn clone(&self) -> Self {
        let slots = self.slots.clone();
        Self { slots, ..*self }
    }
}

impl GuestSlots {
    pub fn account(self: Arc<Self>) -> Part<AccountSeen> {
        Part {
            slots: self,
            part: |slots| &slots.account,
        }
    }

    pub fn balance(self: Arc<Self>) -> Part<BalanceSeen> {
        Part {
            slots: self,
            part: |slots| &slots.balance,
        }
    }

    pub fn history(self: Arc<Self>) -> Part<HistorySeen> {
        Part {
            slots: self,
            part: |slots| &slots.history,
        }
    }

    pub fn whole_history(self: Arc<Self>) -> Part<WholeHistorySeen> {
        Part {
            slots: self,
            part: |slots| &slots.whole_history,
        }
    }

    /// The slot of a check; beyond the bound another one is forgotten.
    pub fn check(&self, id: &CheckId) -> Arc<Slot<CheckSeen>> {
        let mut checks = lock(&self.checks);
        if let Some(slot) = checks.get(id) {
            return slot.clone();
        }
        if checks.len() >= CHECKS {
            checks.pop_first();
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

    /// Bytes it takes, about.
    fn weight(&self) -> usize {
        let checks: usize = lock(&self.checks).values().map(|slot| slot.weight(View::weight)).sum();
        size_of::<Self>()
            + self.account.weight(View::weight)
            + self.balance.weight(View::weight)
            + self.history.weight(View::weight)
            + self.whole_history.weight(View::weight)
            + self.home.weight()
            + checks
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whose an account is: partners' operations name accounts.
type Owners = Arc<Mutex<HashMap<AccountId, GuestKey, RandomState>>>;

/// A guest weighs as many rooms as they take.
#[derive(Clone)]
struct Rooms;

impl Weighter<GuestKey, Arc<GuestSlots>> for Rooms {
    fn weight(&self, _: &GuestKey, slots: &Arc<GuestSlots>) -> u64 {
        slots.rooms.load(Ordering::Relaxed).max(1)
    }
}

/// Who falls out of memory owns nothing there.
#[derive(Clone)]
struct Leaving(Owners);

impl Lifecycle<GuestKey, Arc<GuestSlots>> for Leaving {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), guest: GuestKey, slots: Arc<GuestSlots>) {
        if let Some(account) = lock(&slots.account_id).take() {
            let mut owners = lock(&self.0);
            if owners.get(&account) == Some(&guest) {
                owners.remove(&account);
            }
        }
    }
}

/// All guests in memory, the longest unseen falling out.
pub(super) struct Guests {
    slots: Cache<GuestKey, Arc<GuestSlots>, Rooms, RandomState, Leaving>,
    owners: Owners,
    /// No guest counts for more than this, so that each finds room.
    most_rooms: u64,
}

impl Guests {
    /// Room for `capacity` usual guests.
    pub fn new(capacity: u64) -> Self {
        let owners = Owners::default();
        let options = OptionsBuilder::new()
            .estimated_items_capacity(usize::try_from(capacity).unwrap_or(usize::MAX))
            .weight_capacity(capacity)
            .build()
            .expect("both capacities are given");
        let slots = Cache::with_options(options, Rooms, RandomState::default(), Leaving(owners.clone()));
        Self {
            most_rooms: (slots.shard_capacity() / 4).max(1),
            slots,
            owners,
        }
    }

    pub fn slots(&self, guest: GuestKey) -> Arc<GuestSlots> {
        match self.slots.get(&guest) {
            Some(slots) => slots,
            None => self
                .slots
                .get_or_insert_with(&guest, || Ok::<_, std::convert::Infallible>(Arc::default()))
                .unwrap_or_else(|never| match never {}),
        }
    }

    /// Remembers whose the account is, for as long as its guest is in memory.
    pub fn owns(&self, account: &AccountId, guest: GuestKey) {
        let slots = self.slots(guest);
        let mut known = lock(&slots.account_id);
        if known.as_ref() == Some(account) {
            return;
        }
        let mut owners = lock(&self.owners);
        if let Some(former) = known.replace(account.clone()) {
            owners.remove(&former);
        }
        owners.insert(account.clone(), guest);
        drop((known, owners));
        // Fallen out meanwhile: nobody else would take it back.
        if !self.slots.contains_key(&guest) {
            lock(&self.owners).remove(account);
        }
    }

    /// Weighs the guest anew after something was filled.
    fn weigh(&self, guest: GuestKey) {
        let Some(seen) = self.slots.peek(&guest) else { return };
        let rooms = seen.weight().div_ceil(ROOM) as u64;
        let rooms = rooms.clamp(1, self.most_rooms);
        if seen.rooms.load(Ordering::Relaxed).max(1) != rooms {
            let _ = self.slots.entry(&guest, Some(std::time::Duration::ZERO), |_, slots| {
                slots.rooms.store(rooms, Ordering::Relaxed);
                EntryAction::Retain(())
            });
        }
    }

    /// What is in memory of a guest; nobody is let in by asking.
    fn present(&self, guest: &GuestKey) -> Option<Arc<GuestSlots>> {
        self.slots.peek(guest)
    }

    fn owner(&self, account: &AccountId) -> Option<GuestKey> {
        lock(&self.owners).get(account).copied()
    }

    fn forget_all(&self) {
        self.slots.clear();
        lock(&self.owners).clear();
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

    /// Bytes it takes, about.
    fn weight(&self) -> usize;
}

/// A way to one slot: as a part of its guest's, or by itself.
pub(super) trait ToSlot<V>: Deref<Target = Slot<V>> + Clone + Send + Sync + 'static {}

impl<V, S: Deref<Target = Slot<V>> + Clone + Send + Sync + 'static> ToSlot<V> for S {}

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
        slot: &impl ToSlot<V>,
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
        slot: &impl ToSlot<V>,
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
        match slot.step(ages, wish.renew, self.clock.now_us()) {
            Step::Show(filled) => hit(filled),
            Step::ShowAndFetch(filled, fetch) => {
                self.fetch(guest, slot, key, fetch, false);
                hit(filled)
            }
            Step::Failed(last, error) => last_good(last, error),
            Step::Wait(receiver, fetch) => {
                let mine = fetch.is_some();
                if let Some(fetch) = fetch {
                    self.fetch(guest, slot, key, fetch, wish.renew);
                }
                // In a box of its own, so that who need not wait does not carry the room for it.
                Box::pin(self.waited(slot, ages, receiver, mine, wish.deadline)).await
            }
        }
    }

    /// Waits for the fetch under way, until the deadline, or not so long when there is something to fall back on.
    async fn waited<V: View>(
        &self,
        slot: &impl ToSlot<V>,
        ages: Ages,
        receiver: tokio::sync::watch::Receiver<Outcome<V>>,
        mine: bool,
        deadline: Deadline,
    ) -> Result<Found<V>, ViewError> {
        let until = if slot.last(ages, self.clock.now_us()).is_some() {
            deadline.at_most(PATIENCE)
        } else {
            deadline
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
        slot: &impl ToSlot<V>,
        key: &V::Key,
        fetch: Fetch<V>,
        renew: bool,
    ) {
        let (cabinet, guest, slot, key) = (self.clone(), guest.clone(), slot.clone(), key.clone());
        let span = tracing::Span::current();
        let work = async move {
            let result = cabinet.fetched(&guest, &slot, &key, &fetch, renew).await;
            slot.fill(fetch, result, cabinet.clock.now_us());
            cabinet.guests.weigh(guest.key);
        };
        tokio::spawn(tracing::Instrument::instrument(work, span));
    }

    async fn fetched<V: View>(
        self: &Arc<Self>,
        guest: &Guest,
        slot: &impl ToSlot<V>,
        key: &V::Key,
        fetch: &Fetch<V>,
        renew: bool,
    ) -> Result<Filled<V>, ViewError> {
        let ages = self.ages::<V>();
        let name = V::kept_name(self, key);
        if slot.last(ages, self.clock.now_us()).is_none()
            && let Some((kept, as_of_us)) = self.kept::<V::Kept>(guest, &name).await
        {
            let made = || Filled::new(V::make(self, guest, &kept, as_of_us), as_of_us);
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
        Ok(Filled::new(V::make(self, guest, &kept, as_of_us), as_of_us))
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
            if let Some(slots) = self.guests.present(guest) {
                slots.outdate();
            }
            self.watching.nudge(*guest);
        };
        match signal {
            Signal::GuestChanged(guest) => outdate(guest),
            Signal::AccountChanged(account) => {
                if let Some(guest) = self.guests.owner(account) {
                    outdate(&guest);
                }
            }
            // What a missed signal could have corrected must not be shown as fresh; it may still be shown as the last good.
            Signal::Lost => self.guests.forget_all(),
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
