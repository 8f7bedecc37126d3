//! Which limits a message and a wrong code are counted against.

use std::net::IpAddr;
use std::time::Duration;

use super::{SignIn, SignInError};
use crate::keys::{Purpose, Tag};
use crate::model::{GuestKey, Phone};
use crate::store::{Count, Limit};

const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;

/// A device that signed in before may ask for so many messages when strangers have used up the phone's.
const RESERVE_DAY: u32 = 3;

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

/// What a message cost, to be given back when it is due.
pub(super) struct Spent {
    pub cooldown_key: Tag,
    /// When the next message may go.
    pub next_us: i64,
}

/// A limit with its name in the configuration.
struct Named {
    name: &'static str,
    key: Tag,
    most: u32,
    window_us: i64,
}

impl Named {
    fn limit(&self) -> Limit<'_> {
        Limit {
            key: &self.key,
            most: self.most.into(),
            window_us: self.window_us,
        }
    }
}

impl SignIn {
    fn limit(&self, name: &'static str, about: &[u8], most: u32, window_us: i64) -> Named {
        Named {
            name,
            key: self.keys.mac(Purpose::Limit, &[name.as_bytes(), about]),
            most,
            window_us,
        }
    }

    /// Counts one message against everything it concerns, or against nothing when one limit is exhausted.
    ///
    /// A device that signed in before has a small reserve of its own behind the phone's limits.
    pub(super) async fn spend_message(
        &self,
        phone: &Phone,
        guest: &GuestKey,
        ip: IpAddr,
        device: Option<[u8; 12]>,
    ) -> Result<Spent, SignInError> {
        let limits = &self.config.limits;
        let range = &phone.digits()[..phone.digits().len() - 3];
        let pause = |name, about: &[u8]| {
            let most = u32::from(!self.config.resend.is_zero());
            self.limit(name, about, most, micros(self.config.resend))
        };
        let cooldown = pause("resend", &guest.0);
        let cooldown_key = cooldown.key;
        let about_address = || {
            [
                self.limit("sends_per_ip_hour", &address(ip), limits.sends_per_ip_hour, HOUR_US),
                self.limit("sends_system_hour", b"", limits.sends_system_hour, HOUR_US),
            ]
        };
        let about_phone = [
            cooldown,
            self.limit(
                "sends_per_range_hour",
                range.as_bytes(),
                limits.sends_per_range_hour,
                HOUR_US,
            ),
            self.limit("sends_per_phone_day", &guest.0, limits.sends_per_phone_day, DAY_US),
            self.limit("sends_per_phone_hour", &guest.0, limits.sends_per_phone_hour, HOUR_US),
        ];
        let usual = self.count(about_address().into_iter().chain(about_phone)).await;
        match (usual, device) {
            (Err(SignInError::TooMany(exhausted)), Some(device)) => {
                let reserve = [
                    pause("device_resend", &device),
                    self.limit("device_reserve", &device, RESERVE_DAY, DAY_US),
                ];
                let reserved = self.count(about_address().into_iter().chain(reserve)).await;
                reserved.map_err(|_| SignInError::TooMany(exhausted))?;
            }
            (usual, _) => usual?,
        }
        Ok(Spent {
            cooldown_key,
            next_us: self.clock.now_us().saturating_add(micros(self.config.resend)),
        })
    }

    async fn count(&self, limits: impl Iterator<Item = Named>) -> Result<(), SignInError> {
        let named: Vec<Named> = limits.filter(|limit| limit.most > 0).collect();
        let limits: Vec<Limit> = named.iter().map(Named::limit).collect();
        let now_us = self.clock.now_us();
        match self.store.take(&limits, now_us).await? {
            Count::Taken => Ok(()),
            Count::Exhausted { index, ends_at_us } => {
                let name = named[index].name;
                tracing::info!(target: "security", event = "limit_exhausted", limit = name);
                metrics::counter!("cabinet_limits_exhausted_total", "limit" => name).increment(1);
                Err(SignInError::TooMany(exhausted(&named[index], ends_at_us, now_us)))
            }
        }
    }

    /// The limits that a wrong code is counted against.
    pub(super) fn wrong_code_limits(&self, guest: &GuestKey, ip: IpAddr) -> WrongCodes {
        let limits = &self.config.limits;
        WrongCodes(
            [
                self.limit(
                    "wrong_codes_per_phone_day",
                    &guest.0,
                    limits.wrong_codes_per_phone_day,
                    DAY_US,
                ),
                self.limit(
                    "wrong_codes_per_ip_hour",
                    &address(ip),
                    limits.wrong_codes_per_ip_hour,
                    HOUR_US,
                ),
            ]
            .into_iter()
            .filter(|limit| limit.most > 0)
            .collect(),
        )
    }

    /// A proven message does not count against its range of numbers.
    pub(super) async fn give_back_range(&self, phone: &Phone) {
        let range = &phone.digits()[..phone.digits().len() - 3];
        let limit = self.limit("sends_per_range_hour", range.as_bytes(), 1, HOUR_US);
        // Only the limit gets tighter when this is lost.
        let _ = self.store.give_back(&limit.key, self.clock.now_us()).await;
    }
}

/// Limits on wrong codes.
pub(super) struct WrongCodes(Vec<Named>);

impl WrongCodes {
    pub fn limits(&self) -> Vec<Limit<'_>> {
        self.0.iter().map(Named::limit).collect()
    }

    /// The first of them, for the caller to know what it is about.
    pub fn exhausted(&self, ends_at_us: i64, now_us: i64) -> SignInError {
        tracing::info!(target: "security", event = "limit_exhausted", limit = "wrong_codes");
        metrics::counter!("cabinet_limits_exhausted_total", "limit" => "wrong_codes").increment(1);
        SignInError::TooMany(exhausted(&self.0[0], ends_at_us, now_us))
    }
}

fn exhausted(limit: &Named, ends_at_us: i64, now_us: i64) -> Exhausted {
    let micros = |us: i64| Duration::from_micros(u64::try_from(us).unwrap_or(0));
    Exhausted {
        name: limit.name,
        most: limit.most.into(),
        window: micros(limit.window_us),
        retry_after: micros(ends_at_us - now_us).max(Duration::from_secs(1)),
    }
}

/// The part of an address that one household has: all of an IPv4 address, the /64 of an IPv6 one.
fn address(ip: IpAddr) -> Vec<u8> {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets()[..8].to_vec(),
    }
}

pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
