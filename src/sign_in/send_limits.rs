//! Who may ask for a message, to which phone, and how often. Knows neither codes nor gateways.
//!
//! Every message is counted against its phone, its range of numbers, the networks of its asker and the whole system. What everybody shares
//! a stranger can use up, so behind it something is kept for those whom a stranger cannot pretend to be: for networks that have asked for
//! little, for networks from where somebody signed in lately, for devices that signed the phone in before. The pause between two messages
//! to one phone holds for all of them.

use std::sync::Arc;
use std::time::Duration;

use super::limits::{Bound, Counters, DAY_US, Exhausted, HOUR_US, UNBOUNDED, in_force};
use super::networks::CallerNetworks;
use super::{SignInError, networks::Network};
use crate::clock::micros;
use crate::config::LimitsConfig;
use crate::model::{Guest, Phone};
use crate::store::StoreError;

/// A phone has so many messages a day beyond its bounds, for all devices that signed it in before together.
const PHONE_RESERVE: i64 = 3;

/// One of them is for whoever asks from a network that has asked for the phone no more than [`FEW_FOR_PHONE`] times today.
const PHONE_RESERVE_ELSEWHERE: i64 = 1;
const FEW_FOR_PHONE: i64 = 2;

/// The system's hour is shared out from so many messages on.
const SHARED_FROM: u32 = 100;

/// So much of it, in percent, is kept for networks that have asked for little this hour …
const KEPT_FOR_LITTLE: u32 = 20;

/// … and so much for those of them from where somebody signed in lately.
const KEPT_FOR_PROVEN: u32 = 10;

/// Little: a fifth of what a household may ask for, or two.
const LITTLE_PART: u32 = 5;
const LITTLE: i64 = 2;

/// A range of numbers has so much more of its bound, in percent, for networks that have asked for little.
const RANGE_RESERVE: u32 = 50;

/// So long after a sign-in its network counts as proven.
const PROVEN_FOR_US: i64 = 30 * DAY_US;

/// Who asks for a message.
#[derive(Clone, Copy)]
pub(super) struct Asker<'a> {
    pub guest: &'a Guest,
    pub caller: &'a CallerNetworks,
    /// On a device that signed the phone in before.
    pub is_known_device: bool,
}

/// What a message cost.
pub(super) struct Spent {
    /// The pause that is given back when it cannot be sent.
    pub pause_key: Vec<u8>,
    /// When the next message may go.
    pub next_us: i64,
}

/// Something that messages use up: what everybody shares, then what is kept for some.
struct Resource {
    ways: Vec<Vec<Bound>>,
    way: usize,
}

impl Resource {
    fn of(ways: Vec<Vec<Bound>>) -> Self {
        Self { ways, way: 0 }
    }

    fn current(&self) -> &[Bound] {
        &self.ways[self.way]
    }

    /// Whether `bound` stops this one, and there is another way.
    fn can_give_way(&self, bound: &Bound) -> bool {
        let asked = |known: &Bound| known.key == bound.key && known.most == bound.most;
        self.way + 1 < self.ways.len() && self.current().iter().any(asked)
    }
}

pub(super) struct SendLimits {
    config: LimitsConfig,
    /// Least time between two messages to one phone.
    pause: Duration,
    counters: Arc<Counters>,
}

impl SendLimits {
    pub fn new(config: LimitsConfig, pause: Duration, counters: Arc<Counters>) -> Self {
        Self {
            config,
            pause,
            counters,
        }
    }

    /// Counts one message, or nothing at all.
    ///
    /// # Errors
    /// An exhausted limit, or the store.
    pub async fn spend(&self, asker: Asker<'_>, now_us: i64) -> Result<Spent, SignInError> {
        let pause = self.pause_of(asker.guest, "phone pause");
        let spent = self.spent(&pause, now_us);
        let is_proven = self.is_proven(asker.caller).await?;
        let mut resources = self.resources(asker, &pause, is_proven);
        let Err(mut refused) = self.take_some_way(&mut resources).await? else {
            return Ok(spent);
        };
        if asker.is_known_device {
            let reserve = self.phone_bound("phone_reserve", asker.guest, PHONE_RESERVE);
            match self.counters.take(&in_force([pause, reserve])).await? {
                Ok(()) => return Ok(spent),
                // The reserve is there yet: it is only the pause that has to be waited for.
                Err((_, exhausted)) if exhausted.name == "resend" => refused = exhausted,
                Err(_) => {}
            }
        }
        self.counters.note_exhausted(&refused, asker.guest.key, asker.caller);
        Err(SignInError::TooMany(refused))
    }

    /// Counts one message of a reviewer, whom no stranger can pretend to be, against a budget of the same shape.
    ///
    /// # Errors
    /// An exhausted limit, or the store.
    pub async fn spend_of_review(&self, asker: Asker<'_>, now_us: i64) -> Result<Spent, SignInError> {
        let pause = self.pause_of(asker.guest, "review pause");
        let spent = self.spent(&pause, now_us);
        let (key, config) = (&asker.guest.key.0, &self.config);
        let hour = self
            .counters
            .bound("review_hour", &[key], config.sends_per_phone_hour.into(), HOUR_US);
        let day = self
            .counters
            .bound("review_day", &[key], config.sends_per_phone_day.into(), DAY_US);
        let (hour, day) = (hour.named("sends_per_phone_hour"), day.named("sends_per_phone_day"));
        match self.counters.take(&in_force([pause, hour, day])).await? {
            Ok(()) => Ok(spent),
            Err((_, refused)) => {
                self.counters.note_exhausted(&refused, asker.guest.key, asker.caller);
                Err(SignInError::TooMany(refused))
            }
        }
    }

    /// The phone was proven from `callers`, the first of whom had asked: the message counts no more against its range of numbers and
    /// the wider networks, and the networks are known to be guests' own.
    pub async fn prove(&self, phone: &Phone, callers: &[CallerNetworks]) {
        let mut proven = vec![self.counters.bound("sends_per_range_hour", &[range(phone)], 1, HOUR_US)];
        if let Some(asker) = callers.first() {
            proven.extend(asker.wider().iter().map(|network| self.network_hour(network, 1)));
        }
        self.counters.give_back(&proven).await;
        let marks = in_force(callers.iter().map(|caller| self.proof_of(caller)));
        // What is lost here only makes limits tighter.
        let _ = self.counters.take(&marks).await;
    }

    /// Whether somebody signed in lately from the widest network of `caller`.
    ///
    /// # Errors
    /// The store.
    pub async fn is_proven(&self, caller: &CallerNetworks) -> Result<bool, StoreError> {
        let mark = Bound {
            most: 1,
            ..self.proof_of(caller)
        };
        Ok(self.counters.exhausted(&[mark]).await?.is_some())
    }

    /// Counts by the first ways that are open; a resource that is used up gives way to what is kept behind it.
    async fn take_some_way(&self, resources: &mut [Resource]) -> Result<Result<(), Exhausted>, StoreError> {
        let mut first = None;
        loop {
            let bounds = in_force(resources.iter().flat_map(Resource::current).cloned());
            let Err((index, exhausted)) = self.counters.take(&bounds).await? else {
                return Ok(Ok(()));
            };
            let first = *first.get_or_insert(exhausted);
            match resources
                .iter_mut()
                .find(|resource| resource.can_give_way(&bounds[index]))
            {
                Some(resource) => resource.way += 1,
                None => return Ok(Err(first)),
            }
        }
    }

    /// Everything that a message uses up.
    fn resources(&self, asker: Asker<'_>, pause: &Bound, is_proven: bool) -> Vec<Resource> {
        let Asker { guest, caller, .. } = asker;
        let config = &self.config;
        let sends = caller.bounds.sends_hour;
        let networks = caller
            .all()
            .iter()
            .map(|network| self.network_hour(network, network.grown(sends)));
        let little = self.network_hour(caller.widest(), LITTLE.max(i64::from(sends / LITTLE_PART)));
        let used = Bound {
            most: UNBOUNDED,
            ..little.clone()
        };
        let range_reserve = i64::from(config.sends_per_range_hour) * i64::from(RANGE_RESERVE) / 100;
        let range = |name, most| self.counters.bound(name, &[range(&guest.phone)], most, HOUR_US);
        let ranges = vec![
            vec![range("sends_per_range_hour", config.sends_per_range_hour.into())],
            vec![range("range_reserve", range_reserve), little.clone()],
        ];
        if sends == 0 {
            // Without bounds on networks nobody is told apart: there is only what everybody shares.
            let shared = [
                vec![pause.clone()],
                self.shared_of_phone(guest),
                ranges[0].clone(),
                self.whole_system(),
            ];
            return shared.map(|bounds| Resource::of(vec![bounds])).into();
        }
        vec![
            Resource::of(vec![vec![pause.clone()]]),
            Resource::of(vec![networks.chain([used]).collect()]),
            Resource::of(self.phone_ways(guest, caller)),
            Resource::of(ranges),
            Resource::of(self.system_ways(&little, is_proven)),
        ]
    }

    fn shared_of_phone(&self, guest: &Guest) -> Vec<Bound> {
        let (hour, day) = (self.config.sends_per_phone_hour, self.config.sends_per_phone_day);
        vec![
            self.counters
                .bound("sends_per_phone_hour", &[&guest.key.0], hour.into(), HOUR_US),
            self.phone_bound("sends_per_phone_day", guest, day.into()),
        ]
    }

    fn phone_ways(&self, guest: &Guest, caller: &CallerNetworks) -> Vec<Vec<Bound>> {
        let from_network = |most| {
            let about: [&[u8]; 2] = [&guest.key.0, &caller.widest().prefix];
            self.counters.bound("phone from network", &about, most, DAY_US)
        };
        let mut shared = self.shared_of_phone(guest);
        shared.push(from_network(UNBOUNDED));
        let elsewhere = vec![
            self.phone_bound("phone_reserve", guest, PHONE_RESERVE),
            self.phone_bound("phone_reserve_elsewhere", guest, PHONE_RESERVE_ELSEWHERE),
            from_network(FEW_FOR_PHONE + 1),
        ];
        vec![shared, elsewhere]
    }

    fn system_ways(&self, little: &Bound, is_proven: bool) -> Vec<Vec<Bound>> {
        let whole = self.config.sends_system_hour;
        if whole < SHARED_FROM {
            return vec![self.whole_system()];
        }
        let part = |percent| u32::try_from(u64::from(whole) * u64::from(percent) / 100).unwrap_or(whole);
        let (for_little, for_proven) = (part(KEPT_FOR_LITTLE), part(KEPT_FOR_PROVEN));
        let mut ways = vec![
            vec![self.system_bound("sends_system_hour", whole - for_little - for_proven)],
            vec![self.system_bound("system_hour_for_little", for_little), little.clone()],
        ];
        if is_proven {
            ways.push(vec![
                self.system_bound("system_hour_for_proven", for_proven),
                little.clone(),
            ]);
        }
        ways
    }

    fn whole_system(&self) -> Vec<Bound> {
        vec![self.system_bound("sends_system_hour", self.config.sends_system_hour)]
    }

    fn system_bound(&self, name: &'static str, most: u32) -> Bound {
        self.counters.bound(name, &[b""], most.into(), HOUR_US)
    }

    fn pause_of(&self, guest: &Guest, name: &'static str) -> Bound {
        let most = i64::from(!self.pause.is_zero());
        let pause = self.counters.bound(name, &[&guest.key.0], most, micros(self.pause));
        pause.named("resend")
    }

    fn phone_bound(&self, name: &'static str, guest: &Guest, most: i64) -> Bound {
        self.counters.bound(name, &[&guest.key.0], most, DAY_US)
    }

    fn network_hour(&self, network: &Network, most: i64) -> Bound {
        self.counters
            .bound("sends_per_ip_hour", &[&network.prefix], most, HOUR_US)
    }

    fn proof_of(&self, caller: &CallerNetworks) -> Bound {
        let about: [&[u8]; 1] = [&caller.widest().prefix];
        self.counters.bound("proven network", &about, UNBOUNDED, PROVEN_FOR_US)
    }

    fn spent(&self, pause: &Bound, now_us: i64) -> Spent {
        Spent {
            pause_key: pause.key.to_vec(),
            next_us: now_us.saturating_add(micros(self.pause)),
        }
    }
}

/// The range of numbers that a phone is in: its last three digits cut.
fn range(phone: &Phone) -> &[u8] {
    let digits = phone.digits().as_bytes();
    &digits[..digits.len() - 3]
}
