//! The slots of all guests in memory, bounded by what they hold.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use quick_cache::sync::{Cache, EntryAction};
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};

use super::checks::{CheckSeen, Lookups};
use super::history::{HistorySeen, WholeHistorySeen};
use super::home::HomeSeen;
use super::reading::View;
use super::slot::Slot;
use super::views::{AccountSeen, BalanceSeen};
use super::written::Written;
use crate::keys::Tag;
use crate::model::{CheckId, GuestKey};
use crate::store::Generation;

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
    pub written: Written,
    pub lookups: Lookups,
    /// The keyed hash of the guest's account, once it is known.
    subject: Mutex<Option<Tag>>,
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

    /// A write moved the guest's generation; `None`: which one it is cannot be told. Checks stay: what was eaten does not change.
    pub fn outdate(&self, written: Option<Generation>) {
        self.account.outdate(written);
        self.balance.outdate(written);
        self.history.outdate(written);
        self.whole_history.outdate(written);
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

/// Whose an account is, by its keyed hash: partners' operations name accounts.
type Owners = Arc<Mutex<HashMap<Tag, GuestKey, RandomState>>>;

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
        if let Some(account) = lock(&slots.subject).take() {
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
    /// The last write of any account that was heard of; zero: none.
    account_written: AtomicI64,
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
            account_written: AtomicI64::new(0),
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
    pub fn owns(&self, account: Tag, guest: GuestKey) {
        let slots = self.slots(guest);
        let mut known = lock(&slots.subject);
        if *known == Some(account) {
            return;
        }
        let mut owners = lock(&self.owners);
        if let Some(former) = known.replace(account) {
            owners.remove(&former);
        }
        owners.insert(account, guest);
        drop((known, owners));
        // Fallen out meanwhile: nobody else would take it back.
        if !self.slots.contains_key(&guest) {
            lock(&self.owners).remove(&account);
        }
    }

    /// The guest's account, when it is known.
    pub fn account(&self, guest: &GuestKey) -> Option<Tag> {
        *lock(&self.present(guest)?.subject)
    }

    /// Weighs the guest anew after something was filled.
    pub fn weigh(&self, guest: GuestKey) {
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
    pub fn present(&self, guest: &GuestKey) -> Option<Arc<GuestSlots>> {
        self.slots.peek(guest)
    }

    /// Whose an account is.
    pub fn owner(&self, account: &Tag) -> Option<GuestKey> {
        lock(&self.owners).get(account).copied()
    }

    /// Notes that some account was written.
    pub fn note_account_written(&self, written: Generation) {
        self.account_written.fetch_max(written.0, Ordering::SeqCst);
    }

    /// The last write of any account that was heard of.
    pub fn account_written(&self) -> Option<Generation> {
        let written = self.account_written.load(Ordering::SeqCst);
        (written > 0).then_some(Generation(written))
    }
}
