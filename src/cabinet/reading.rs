//! Reading a view through its slot: out of memory, or by the one fetch that runs for it.

use std::ops::Deref;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::counters::Counted;
use super::saved::Read;
use super::slot::{Ages, Current, Fetch, Filled, News, Running, Slot, Step};
use super::{Cabinet, Shown, Source, ViewError, Wish};
use crate::clock::{Deadline, micros};
use crate::keys::Tag;
use crate::model::{AccountBinding, Guest};
use crate::store::{Checked, Generation};

/// A kind of view: how it is asked for, kept, and made.
#[async_trait]
pub(super) trait View: Send + Sync + Sized + 'static {
    /// What the store keeps of it.
    type Kept: Serialize + DeserializeOwned + Send;
    /// What names it among the guest's views of this kind.
    type Key: Clone + Send + Sync + 'static;

    /// Which of the counted views it is.
    const COUNTED: Counted;

    /// Whether it tells whose account the guest has.
    const NAMES_ACCOUNT: bool = false;

    /// Its name in the store.
    fn kept_name(cabinet: &Cabinet, key: &Self::Key) -> String;

    /// How fresh it must be, in microseconds.
    fn fresh_us(cabinet: &Cabinet) -> i64;

    /// Asks ProBonus.
    async fn ask(cabinet: &Arc<Cabinet>, guest: &Guest, key: &Self::Key, wish: Wish) -> Result<Self::Kept, ViewError>;

    /// Makes the view, with its bytes.
    fn make(cabinet: &Cabinet, guest: &Guest, kept: &Self::Kept, as_of_us: i64) -> Self;

    /// Bytes it takes, about.
    fn weight(&self) -> usize;

    /// The account that it is of.
    fn account(&self, guest: &Guest) -> AccountBinding {
        guest.account
    }
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
        Ages {
            fresh_us: V::fresh_us(self),
            stale_us: micros(self.config.cache.stale_for),
            period: self.store.period(),
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

    pub(super) async fn find_uncounted<V: View>(
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
        match slot.step(ages, wish.renew, self.clock.steady_us()) {
            Step::Show(filled) => hit(filled),
            Step::ShowAndFetch(filled, fetch) => {
                let deadline = wish.deadline.in_background();
                self.fetch(guest, slot, key, fetch, Wish { renew: false, deadline });
                hit(filled)
            }
            Step::Failed(last, error) => last_good(last, error),
            Step::Wait(running, fetch) => {
                let mine = fetch.is_some();
                if let Some(fetch) = fetch {
                    self.fetch(guest, slot, key, fetch, wish);
                }
                // In a box of its own, so that who need not wait does not carry the room for it.
                Box::pin(self.waited(slot, ages, running, mine, wish.deadline)).await
            }
        }
    }

    /// Waits for the fetch under way, until the deadline, or not so long when there is something to fall back on.
    async fn waited<V: View>(
        &self,
        slot: &impl ToSlot<V>,
        ages: Ages,
        mut running: Running<V>,
        mine: bool,
        deadline: Deadline,
    ) -> Result<Found<V>, ViewError> {
        loop {
            let fallback = slot.last(ages, self.clock.steady_us()).is_some();
            let error = match running.news(deadline.instant(), fallback).await {
                News::Ended(Ok(filled)) => {
                    let source = if mine { Source::Miss } else { Source::Coalesced };
                    return Ok(Found { filled, source });
                }
                News::Ended(Err(error)) => error,
                News::Seeded => continue,
                News::Late => ViewError::Unavailable { retry_after_s: 1 },
            };
            return last_good(slot.last(ages, self.clock.steady_us()), error);
        }
    }

    /// Starts the one fetch of a slot. It goes on whoever leaves, longer than `wish` waits.
    fn fetch<V: View>(
        self: &Arc<Self>,
        guest: &Guest,
        slot: &impl ToSlot<V>,
        key: &V::Key,
        fetch: Fetch<V>,
        wish: Wish,
    ) {
        let (cabinet, guest, slot, key) = (self.clone(), guest.clone(), slot.clone(), key.clone());
        let span = tracing::Span::current();
        let work = async move {
            let result = cabinet.fetched(&guest, &slot, &key, &fetch, wish).await;
            slot.fill(fetch, result, cabinet.clock.steady_us());
            cabinet.guests.weigh(guest.key);
        };
        tokio::spawn(tracing::Instrument::instrument(work, span));
    }

    /// What the fetch finds: what is known and still current, what another replica left in the store, or what ProBonus says now.
    async fn fetched<V: View>(
        self: &Arc<Self>,
        guest: &Guest,
        slot: &impl ToSlot<V>,
        key: &V::Key,
        fetch: &Fetch<V>,
        wish: Wish,
    ) -> Result<Current<V>, ViewError> {
        let ages = self.ages::<V>();
        let name = V::kept_name(self, key);
        let before = self.before_asking(guest);
        let now_us = before.checked.at_us;
        // Alone, what this process knows is all there is to know.
        let others_may_know = self.store.is_shared() || slot.last(ages, now_us).is_none();
        let known = self.known(guest, others_may_know.then_some(name.as_str())).await;
        let Some(known) = known else {
            return self.asked(guest, key, &name, before, None, wish).await;
        };
        let generation = Some(known.generation);
        slot.asks_under(fetch, known.generation);
        let fresh = slot.fresh(ages, now_us).filter(|_| !wish.renew);
        if let Some(fresh) = fresh.filter(|fresh| fresh.generation >= known.written.max(Some(FIRST))) {
            return Ok(Current {
                generation,
                checked: before.checked,
                ..fresh
            });
        }
        if let Some((kept, read)) = self.opened::<V::Kept>(guest, &name, &known, ages.fresh_us) {
            let made = V::make(self, guest, &kept, read.as_of_us);
            let copy = self.current(guest, made, read, generation, before);
            if !wish.renew && now_us - read.steady_us < ages.fresh_us {
                return Ok(copy);
            }
            slot.seed(fetch, copy);
        }
        self.asked(guest, key, &name, before, generation, wish).await
    }

    /// Asks ProBonus, under a generation of the store if that is known.
    async fn asked<V: View>(
        self: &Arc<Self>,
        guest: &Guest,
        key: &V::Key,
        name: &str,
        before: Before,
        generation: Option<Generation>,
        wish: Wish,
    ) -> Result<Current<V>, ViewError> {
        let deadline = wish.deadline.lasting(self.config.fetch_time);
        let kept = V::ask(self, guest, key, Wish { deadline, ..wish }).await?;
        let read = self.read_now();
        // Made before it is kept: it is kept under the account that it tells.
        let made = V::make(self, guest, &kept, read.as_of_us);
        if let Some(generation) = generation {
            self.keep(guest, made.account(guest), name, &kept, read, generation);
        }
        Ok(self.current(guest, made, read, generation, before))
    }

    /// Taken before the store is asked: from here on hints tell.
    fn before_asking(&self, guest: &Guest) -> Before {
        Before {
            account: self.guests.account(&guest.key),
            checked: Checked {
                at_us: self.clock.steady_us(),
                period: self.store.period(),
            },
        }
    }

    /// What was read under `generation`. If it told whose account the guest has, hints of that account may have gone to nobody: then the
    /// store is asked once more.
    fn current<V: View>(
        &self,
        guest: &Guest,
        value: V,
        read: Read,
        generation: Option<Generation>,
        before: Before,
    ) -> Current<V> {
        let account = match value.account(guest) {
            AccountBinding::Account(account) => Some(account),
            AccountBinding::Unknown | AccountBinding::Absent => None,
        };
        if let Some(account) = account.filter(|_| V::NAMES_ACCOUNT) {
            self.guests.views_of(guest.key, account);
        }
        let missed = account != before.account && self.guests.account_written() > generation;
        Current {
            filled: Arc::new(Filled::new(value, read.as_of_us, read.steady_us)),
            generation,
            checked: if missed { Checked::NEVER } else { before.checked },
        }
    }
}

/// What was the case before the store and ProBonus were asked.
#[derive(Clone, Copy)]
struct Before {
    account: Option<Tag>,
    checked: Checked,
}

/// The generation of before any write.
const FIRST: Generation = Generation(0);

fn last_good<V>(last: Option<Arc<Filled<V>>>, error: ViewError) -> Result<Found<V>, ViewError> {
    match last {
        Some(filled) if error.may_show_last() => Ok(Found {
            filled,
            source: Source::Stale,
        }),
        _ => Err(error),
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
