//! What is in memory of all guests, bounded by what they hold.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use quick_cache::sync::{Cache, EntryAction};
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};

use super::checks::{CheckSeen, Lookups};
use super::history::{HistorySeen, WholeHistorySeen};
use super::home::HomeSeen;
use super::owners::{Owners, Place};
use super::reading::View;
use super::slot::Slot;
use super::views::{AccountSeen, BalanceSeen};
use super::written::Written;
use crate::keys::Tag;
use crate::model::{AccountBinding, CheckId, Guest, GuestKey};
use crate::store::Generation;

/// Checks of one guest that are remembered.
const CHECKS: usize = 32;

/// What the room for one guest holds, in bytes. Who has more in memory counts as several guests.
const ROOM: usize = 16 * 1024;

/// What one guest has in memory: which account their phone has, and what is known of that.
#[derive(Default)]
pub(super) struct GuestSlots {
    account: Slot<AccountSeen>,
    views: Mutex<Arc<AccountViews>>,
    pub written: Written,
    /// Since when ProBonus has said that the account known before is gone; 0: it has not.
    pub gone_since_us: AtomicI64,
    /// For how many guests this one counts.
    rooms: AtomicU64,
}

/// What a guest sees of one account. Another account behind their phone has views of its own.
#[derive(Default)]
pub(super) struct AccountViews {
    /// The keyed hash of the account; views of none are nobody's and not kept.
    account: Option<Tag>,
    balance: Slot<BalanceSeen>,
    history: Slot<HistorySeen>,
    whole_history: Slot<WholeHistorySeen>,
    checks: Mutex<BTreeMap<CheckId, Arc<Slot<CheckSeen>>>>,
    pub home: HomeSeen,
    pub lookups: Lookups,
}

/// One slot of several; keeps all of them.
pub(super) struct Part<S, V> {
    whole: Arc<S>,
    part: fn(&S) -> &Slot<V>,
}

impl<S, V> Deref for Part<S, V> {
    type Target = Slot<V>;

    fn deref(&self) -> &Slot<V> {
        (self.part)(&self.whole)
    }
}

impl<S, V> Clone for Part<S, V> {
    fn clone(&self) -> Self {
        let whole = self.whole.clone();
        Self { whole, ..*self }
    }
}

impl GuestSlots {
    pub fn account(self: Arc<Self>) -> Part<Self, AccountSeen> {
        Part {
            whole: self,
            part: |slots| &slots.account,
        }
    }

    /// The keyed hash of the account whose views are in memory.
    fn owned(&self) -> Option<Tag> {
        lock(&self.views).account
    }

    /// A write moved the guest's generation; `None`: which one it is cannot be told. Checks stay: what was eaten does not change.
    pub fn outdate(&self, written: Option<Generation>) {
        self.account.outdate(written);
        let views = lock(&self.views).clone();
        views.balance.outdate(written);
        views.history.outdate(written);
        views.whole_history.outdate(written);
    }

    /// Bytes it takes, about.
    fn weight(&self) -> usize {
        size_of::<Self>() + self.account.weight(View::weight) + lock(&self.views).weight()
    }
}

impl AccountViews {
    pub fn balance(self: Arc<Self>) -> Part<Self, BalanceSeen> {
        Part {
            whole: self,
            part: |views| &views.balance,
        }
    }

    pub fn history(self: Arc<Self>) -> Part<Self, HistorySeen> {
        Part {
            whole: self,
            part: |views| &views.history,
        }
    }

    pub fn whole_history(self: Arc<Self>) -> Part<Self, WholeHistorySeen> {
        Part {
            whole: self,
            part: |views| &views.whole_history,
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

    fn weight(&self) -> usize {
        let checks: usize = lock(&self.checks).values().map(|slot| slot.weight(View::weight)).sum();
        size_of::<Self>()
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

fn place(slots: &Arc<GuestSlots>) -> Place {
    Arc::as_ptr(slots).addr()
}

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
        if let Some(account) = slots.owned() {
            self.0.remove(&account, guest, place(&slots));
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

    /// The views of the account that the guest's session was opened under.
    pub fn views(&self, guest: &Guest) -> Arc<AccountViews> {
        match guest.account {
            AccountBinding::Account(account) => self.views_of(guest.key, account),
            AccountBinding::Unknown | AccountBinding::Absent => Arc::default(),
        }
    }

    /// The views of this account behind the guest's phone. Those of a former one are forgotten; whoever writes the account finds its guest
    /// from now on.
    pub fn views_of(&self, guest: GuestKey, account: Tag) -> Arc<AccountViews> {
        let slots = self.slots(guest);
        let mut views = lock(&slots.views);
        if views.account == Some(account) {
            return views.clone();
        }
        let place = place(&slots);
        if let Some(former) = views.account {
            self.owners.remove(&former, guest, place);
        }
        let account_views = AccountViews {
            account: Some(account),
            ..AccountViews::default()
        };
        *views = Arc::new(account_views);
        self.owners.add(account, guest, place);
        let found = views.clone();
        drop(views);
        // Fallen out meanwhile: nobody else would take it back.
        if self.slots.peek(&guest).is_none_or(|now| !Arc::ptr_eq(&now, &slots)) {
            self.owners.remove(&account, guest, place);
        }
        found
    }

    /// The account whose views are in memory.
    pub fn account(&self, guest: &GuestKey) -> Option<Tag> {
        self.present(guest)?.owned()
    }

    /// Forgets the views of whatever account was behind the guest's phone.
    pub fn forget_views(&self, guest: GuestKey) {
        let Some(slots) = self.present(&guest) else { return };
        let former = std::mem::take(&mut *lock(&slots.views));
        if let Some(account) = former.account {
            self.owners.remove(&account, guest, place(&slots));
        }
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

    /// Everybody in memory whose account it is.
    pub fn owners(&self, account: &Tag) -> Vec<GuestKey> {
        self.owners.of(account)
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
