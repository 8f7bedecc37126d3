//! Reading a view through its slot: out of memory, or by the one fetch that runs for it.

use std::ops::Deref;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::counters::Counted;
use super::slot::{Ages, Fetch, Filled, News, Running, Slot, Step};
use super::{Cabinet, Shown, Source, ViewError, Wish};
use crate::clock::{Deadline, micros};
use crate::model::Guest;

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
    async fn ask(cabinet: &Arc<Cabinet>, guest: &Guest, key: &Self::Key, wish: Wish) -> Result<Self::Kept, ViewError>;

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
        let stale_us = micros(self.config.cache.stale_for);
        Ages::new(V::fresh_us(self), stale_us, !self.store.hears_others())
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
            let fallback = slot.last(ages, self.clock.now_us()).is_some();
            let error = match running.news(deadline.instant(), fallback).await {
                News::Ended(Ok(filled)) => {
                    let source = if mine { Source::Miss } else { Source::Coalesced };
                    return Ok(Found { filled, source });
                }
                News::Ended(Err(error)) => error,
                News::Seeded => continue,
                News::Late => ViewError::Unavailable { retry_after_s: 1 },
            };
            return last_good(slot.last(ages, self.clock.now_us()), error);
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
            slot.fill(fetch, result, cabinet.ages::<V>(), cabinet.clock.now_us());
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
        wish: Wish,
    ) -> Result<Filled<V>, ViewError> {
        let ages = self.ages::<V>();
        let name = V::kept_name(self, key);
        // Alone, what this process knows is all there is to know.
        let others_may_know = self.store.is_shared() || slot.last(ages, self.clock.now_us()).is_none();
        if others_may_know && let Some((kept, as_of_us)) = self.kept::<V::Kept>(guest, &name).await {
            let made = || Filled::new(V::make(self, guest, &kept, as_of_us), as_of_us);
            if !wish.renew && self.clock.now_us() - as_of_us < ages.fresh_us {
                return Ok(made());
            }
            slot.seed(fetch, made());
        }
        let asked_at_us = self.clock.now_us();
        let deadline = wish.deadline.lasting(self.config.fetch_time);
        let kept = V::ask(self, guest, key, Wish { deadline, ..wish }).await?;
        let as_of_us = self.clock.now_us();
        // Made before it is kept: it is kept under the account that it tells.
        let made = V::make(self, guest, &kept, as_of_us);
        self.keep(guest, &name, &kept, asked_at_us, as_of_us);
        Ok(Filled::new(made, as_of_us))
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

impl super::Ready {
    /// The answer of a found view.
    pub(super) fn shown(&self, source: Source) -> Shown {
        Shown {
            ready: self.clone(),
            source,
        }
    }
}
