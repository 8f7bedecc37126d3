//! What is counted and what an exhausted count is told as. Knows neither messages nor codes.

use std::sync::Arc;
use std::time::Duration;

use super::networks::CallerNetworks;
use crate::clock::Clock;
use crate::keys::{Keys, Purpose, Tag, hex};
use crate::model::GuestKey;
use crate::store::{Count, Limit, SharedStore, StoreError};

pub(super) const HOUR_US: i64 = 3_600_000_000;
pub(super) const DAY_US: i64 = 24 * HOUR_US;

/// Counted without a bound: others count the same against one.
pub(super) const UNBOUNDED: i64 = i64::MAX;

/// An exhausted limit, as the caller may know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// Its name in the configuration, or `resend`.
    pub name: &'static str,
    /// How many it allows.
    pub most: i64,
    /// In how long.
    pub window: Duration,
    /// When to come again.
    pub retry_after: Duration,
}

/// A bound on how often something happens.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    /// Its name in the configuration.
    pub name: &'static str,
    /// The keyed hash of what is bounded.
    pub key: Tag,
    /// At most so many in a window; below 1: no bound, nothing is counted.
    pub most: i64,
    pub window_us: i64,
}

impl Bound {
    fn limit(&self) -> Limit<'_> {
        Limit {
            key: &self.key,
            most: self.most,
            window_us: self.window_us,
        }
    }

    /// The same under the name of the setting it is made of.
    pub fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// How its exhaustion is told.
    pub fn exhausted(&self, ends_at_us: i64, now_us: i64) -> Exhausted {
        let micros = |us: i64| Duration::from_micros(u64::try_from(us).unwrap_or(0));
        Exhausted {
            name: self.name,
            most: self.most,
            window: micros(self.window_us),
            retry_after: micros(ends_at_us - now_us).max(Duration::from_secs(1)),
        }
    }
}

/// What the store counts against: bounds that are in force.
pub(super) fn limits(bounds: &[Bound]) -> Vec<Limit<'_>> {
    bounds.iter().map(Bound::limit).collect()
}

/// Each key once with its narrowest bound, and none without one.
pub(super) fn in_force(bounds: impl IntoIterator<Item = Bound>) -> Vec<Bound> {
    let mut merged: Vec<Bound> = Vec::new();
    for bound in bounds.into_iter().filter(|bound| bound.most > 0) {
        match merged.iter_mut().find(|known| known.key == bound.key) {
            Some(known) if known.most > bound.most => *known = bound,
            Some(_) => {}
            None => merged.push(bound),
        }
    }
    merged
}

/// Counts, over all replicas. When the store cannot be asked the answer is no.
pub(super) struct Counters {
    keys: Arc<Keys>,
    store: SharedStore,
    clock: Clock,
}

impl Counters {
    pub fn new(keys: Arc<Keys>, store: SharedStore, clock: Clock) -> Self {
        Self { keys, store, clock }
    }

    /// A bound on what `about` names, together with its own name.
    pub fn bound(&self, name: &'static str, about: &[&[u8]], most: i64, window_us: i64) -> Bound {
        let parts: Vec<&[u8]> = std::iter::once(name.as_bytes()).chain(about.iter().copied()).collect();
        Bound {
            name,
            key: self.keys.mac(Purpose::Limit, &parts),
            most,
            window_us,
        }
    }

    /// Counts one against all of `bounds`, or against none when one is exhausted: which one, and how that is told.
    pub async fn take(&self, bounds: &[Bound]) -> Result<Result<(), (usize, Exhausted)>, StoreError> {
        let now_us = self.clock.now_us();
        Ok(match self.store.take(&limits(bounds), now_us).await? {
            Count::Taken => Ok(()),
            Count::Exhausted { index, ends_at_us } => Err((index, bounds[index].exhausted(ends_at_us, now_us))),
        })
    }

    /// How an exhausted one of `bounds` is told, if there is one. Counts nothing.
    pub async fn exhausted(&self, bounds: &[Bound]) -> Result<Option<Exhausted>, StoreError> {
        let now_us = self.clock.now_us();
        let found = self.store.exhausted(&limits(bounds), now_us).await?;
        Ok(found.map(|(index, ends_at_us)| bounds[index].exhausted(ends_at_us, now_us)))
    }

    /// Gives one count back of each. When that is lost, limits only get tighter.
    pub async fn give_back(&self, bounds: &[Bound]) {
        let keys: Vec<&[u8]> = bounds.iter().map(|bound| &bound.key[..]).collect();
        let _ = self.store.give_back(&keys, self.clock.now_us()).await;
    }

    /// Tells the operator of an exhausted limit: by fingerprints, never by phone or address.
    pub fn note_exhausted(&self, exhausted: &Exhausted, guest: GuestKey, caller: &CallerNetworks) {
        let network = self.keys.mac(Purpose::Limit, &[b"network", &caller.widest().prefix]);
        let (limit, network) = (exhausted.name, hex(&network[..4]));
        tracing::info!(target: "security", event = "limit_exhausted", limit, ?guest, network);
        metrics::counter!("cabinet_limits_exhausted_total", "limit" => limit).increment(1);
    }
}
