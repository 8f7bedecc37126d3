//! How many wrong codes are taken, and from whom. Knows neither messages nor gateways.
//!
//! A right six-digit code opens its challenge while that has tries left, whatever strangers typed elsewhere. Wrong ones count against
//! those who type them: by the networks of whoever gives them back and of whoever asked for the challenge; beyond a bound each is the last
//! one of its challenge. What is left is bounded by how many challenges there can be: see `docs/operations.md` for what guessing amounts
//! to. Four digits are few, so that they are counted over all phones, and beyond a bound none is looked at.

use std::sync::Arc;

use super::SignInError;
use super::limits::{Bound, Counters, DAY_US, HOUR_US, UNBOUNDED, in_force};
use super::networks::CallerNetworks;
use crate::config::LimitsConfig;
use crate::model::GuestKey;

/// A phone takes so many wrong codes a day from all networks together before no more challenges are made for it, and so many times what
/// it takes from one network. The usual bounds on messages leave no room for as many.
const WRONG_IN_ALL: i64 = 100;
const TIMES_PER_PHONE: i64 = 5;

/// Of the wrong short codes that a network without a sign-in of the last month may have when the system's are used up.
const SHORT_WHEN_USED_UP: i64 = 1;

pub(super) struct GuessLimits {
    config: LimitsConfig,
    counters: Arc<Counters>,
}

impl GuessLimits {
    pub fn new(config: LimitsConfig, counters: Arc<Counters>) -> Self {
        Self { config, counters }
    }

    /// Refuses a challenge for a phone for which too many wrong codes were typed today.
    ///
    /// # Errors
    /// The exhausted limit, or the store.
    pub async fn check_phone(&self, guest: GuestKey, caller: &CallerNetworks) -> Result<(), SignInError> {
        let most = i64::from(self.config.wrong_codes_per_phone_day);
        let in_all = self.in_all(guest, (most * TIMES_PER_PHONE).max(WRONG_IN_ALL));
        let bounds = if most > 0 { vec![in_all] } else { Vec::new() };
        let Some(exhausted) = self.counters.exhausted(&bounds).await? else {
            return Ok(());
        };
        self.counters.note_exhausted(&exhausted, guest, caller);
        Err(SignInError::TooMany(exhausted))
    }

    /// What a wrong code for the phone is counted against when `callers` asked for it and gave it back.
    pub fn of_wrong_code(&self, guest: GuestKey, callers: &[CallerNetworks]) -> Vec<Bound> {
        let most = i64::from(self.config.wrong_codes_per_phone_day);
        let in_all = self.in_all(guest, if most > 0 { UNBOUNDED } else { 0 });
        let of_caller = |caller: &CallerNetworks| {
            let about: [&[u8]; 2] = [&guest.0, &caller.widest().prefix];
            let of_phone = self.counters.bound("wrong_codes_per_phone_day", &about, most, DAY_US);
            let of_networks = self.of_networks(
                "wrong_codes_per_ip_hour",
                caller,
                caller.bounds.wrong_codes_hour,
                HOUR_US,
            );
            of_networks.into_iter().chain([of_phone]).collect::<Vec<_>>()
        };
        in_force(callers.iter().flat_map(of_caller).chain([in_all]))
    }

    /// What any short code is counted against before it is looked at: the first way that is open counts.
    pub fn of_short_code(&self, callers: &[CallerNetworks], are_proven: bool) -> Vec<Vec<Bound>> {
        let name = "short_codes_per_ip_day";
        let of_networks = |most: fn(&CallerNetworks) -> i64| {
            callers.iter().flat_map(move |caller| {
                let mut bounds = self.of_networks(name, caller, caller.bounds.short_codes_day, DAY_US);
                let widest = self
                    .counters
                    .bound(name, &[&caller.widest().prefix], most(caller), DAY_US);
                bounds.push(widest);
                bounds
            })
        };
        let system = i64::from(self.config.short_codes_system_day);
        let system = self.counters.bound("short_codes_system_day", &[b""], system, DAY_US);
        if system.most == 0 {
            return vec![in_force(of_networks(|_| 0))];
        }
        let when_used_up: fn(&CallerNetworks) -> i64 = if are_proven { |_| 0 } else { |_| SHORT_WHEN_USED_UP };
        vec![
            in_force(of_networks(|_| 0).chain([system])),
            in_force(of_networks(when_used_up)),
        ]
    }

    fn of_networks(&self, name: &'static str, caller: &CallerNetworks, household: u32, window_us: i64) -> Vec<Bound> {
        let bound = |network: &super::networks::Network| {
            self.counters
                .bound(name, &[&network.prefix], network.grown(household), window_us)
        };
        caller.all().iter().map(bound).collect()
    }

    fn in_all(&self, guest: GuestKey, most: i64) -> Bound {
        let in_all = self.counters.bound("wrong codes in all", &[&guest.0], most, DAY_US);
        in_all.named("wrong_codes_per_phone_day")
    }
}
