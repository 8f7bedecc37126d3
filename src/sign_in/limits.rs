//! Which limits a message and a wrong code are counted against.

use std::net::IpAddr;
use std::time::Duration;

use super::{SignIn, SignInError};
use crate::clock::micros;
use crate::keys::{Purpose, Tag};
use crate::model::{Guest, GuestKey, Phone};
use crate::store::{Count, Limit};

const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;

/// A device that signed in before may ask for so many messages a day when strangers have used up what there is.
const RESERVE_DAY: u32 = 3;

/// And so many wrong codes may come from it.
const WRONG_RESERVE_DAY: u32 = 10;

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

/// What a message cost.
pub(super) struct Spent {
    /// The cooldowns that are given back when it cannot be sent.
    pub cooldown_keys: Vec<u8>,
    /// When the next message may go.
    pub next_us: i64,
}

/// A limit with its name in the configuration.
#[derive(Clone)]
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
    /// A device that signed in before has a small reserve of its own behind all of them: no stranger can use it up. Its pause between
    /// two messages holds either way.
    pub(super) async fn spend_message(
        &self,
        guest: &Guest,
        ip: IpAddr,
        device: Option<[u8; 12]>,
    ) -> Result<Spent, SignInError> {
        let own_pause = device.map(|device| self.pause("device pause", &device));
        let mut usual = self.message_limits(guest, ip);
        let mut cooldown_keys = usual[0].key.to_vec();
        usual.extend(own_pause.clone());
        match (self.count(usual).await, device, own_pause) {
            (Err(SignInError::TooMany(exhausted)), Some(device), Some(own_pause)) => {
                cooldown_keys = own_pause.key.to_vec();
                let reserve = self.limit("device_reserve", &device, RESERVE_DAY, DAY_US);
                self.count(vec![own_pause, reserve])
                    .await
                    .map_err(|error| match error {
                        SignInError::TooMany(_) => SignInError::TooMany(exhausted),
                        other => other,
                    })?;
            }
            (counted, _, own_pause) => {
                counted?;
                cooldown_keys.extend(own_pause.into_iter().flat_map(|pause| pause.key));
            }
        }
        Ok(Spent {
            cooldown_keys,
            next_us: self.clock.now_us().saturating_add(micros(self.config.resend)),
        })
    }

    /// The pause between two messages, as `who` keeps it.
    fn pause(&self, who: &'static str, about: &[u8]) -> Named {
        let most = u32::from(!self.config.resend.is_zero());
        Named {
            name: "resend",
            ..self.limit(who, about, most, micros(self.config.resend))
        }
    }

    /// What a message to `guest` is counted against; the pause first.
    fn message_limits(&self, guest: &Guest, ip: IpAddr) -> Vec<Named> {
        let limits = &self.config.limits;
        let (key, range) = (&guest.key.0, range(&guest.phone));
        vec![
            self.pause("phone pause", key),
            self.limit("sends_per_phone_hour", key, limits.sends_per_phone_hour, HOUR_US),
            self.limit("sends_per_phone_day", key, limits.sends_per_phone_day, DAY_US),
            self.limit("sends_per_range_hour", range, limits.sends_per_range_hour, HOUR_US),
            self.limit("sends_per_ip_hour", &address(ip), limits.sends_per_ip_hour, HOUR_US),
            self.limit("sends_system_hour", b"", limits.sends_system_hour, HOUR_US),
        ]
    }

    async fn count(&self, mut named: Vec<Named>) -> Result<(), SignInError> {
        named.retain(|limit| limit.most > 0);
        let limits: Vec<Limit> = named.iter().map(Named::limit).collect();
        let now_us = self.clock.now_us();
        match self.store.take(&limits, now_us).await? {
            Count::Taken => Ok(()),
            Count::Exhausted { index, ends_at_us } => {
                note_exhausted(named[index].name);
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

    /// The reserve for wrong codes of a device that signed in before.
    pub(super) fn wrong_code_reserve(&self, device: &[u8; 12]) -> WrongCodes {
        WrongCodes(vec![self.limit(
            "wrong_codes_per_device_day",
            device,
            WRONG_RESERVE_DAY,
            DAY_US,
        )])
    }

    /// A proven message does not count against its range of numbers.
    pub(super) async fn give_back_range(&self, phone: &Phone) {
        let limit = self.limit("sends_per_range_hour", range(phone), 1, HOUR_US);
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

    /// The one at `index` is exhausted.
    pub fn exhausted(&self, index: usize, ends_at_us: i64, now_us: i64) -> SignInError {
        let limit = &self.0[index];
        note_exhausted(limit.name);
        SignInError::TooMany(exhausted(limit, ends_at_us, now_us))
    }
}

fn note_exhausted(limit: &'static str) {
    tracing::info!(target: "security", event = "limit_exhausted", limit);
    metrics::counter!("cabinet_limits_exhausted_total", "limit" => limit).increment(1);
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

/// The range of numbers that a phone is in: its last three digits cut.
fn range(phone: &Phone) -> &[u8] {
    let digits = phone.digits().as_bytes();
    &digits[..digits.len() - 3]
}

/// The part of an address that one household has: all of an IPv4 address, the /64 of an IPv6 one.
fn address(ip: IpAddr) -> Vec<u8> {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets()[..8].to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_household_counts_as_one_and_ipv4_in_its_clothes_as_ipv4() {
        let of = |text: &str| address(text.parse().expect("an address"));
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
