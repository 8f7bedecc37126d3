//! Which networks a caller's address belongs to, from a household to a provider's block, and what each may do. Counts nothing.
//!
//! Whoever has one IPv6 address has a /56 or a /48 of them, and a few neighbouring IPv4 ones are cheap: each wider network has a bound of
//! its own, which grows more slowly than the number of addresses in it.

use std::net::IpAddr;

use crate::config::{LimitsConfig, NetworkLimits};

/// The networks that an IPv4 address is counted in: their prefixes, and how many times a household's bound each has.
const IPV4: [(usize, u32); 2] = [(32, 1), (24, 4)];

/// The same for an IPv6 address.
const IPV6: [(usize, u32); 3] = [(64, 1), (56, 2), (48, 4)];

/// What one household may do; 0 is no bound.
#[derive(Clone, Copy, Debug)]
pub(super) struct HouseholdBounds {
    pub sends_hour: u32,
    pub wrong_codes_hour: u32,
    pub short_codes_day: u32,
}

/// A network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Network {
    /// The bytes that its addresses share.
    pub prefix: Vec<u8>,
    /// How many times a household's bound it has; `None`: it has none.
    growth: Option<u32>,
}

impl Network {
    /// Its bound when a household's is `bound`; 0 is none.
    pub fn grown(&self, bound: u32) -> i64 {
        self.growth.map_or(0, |growth| i64::from(bound) * i64::from(growth))
    }
}

/// The networks of a caller, the household first, each within the next.
#[derive(Clone, Debug)]
pub(super) struct CallerNetworks {
    networks: Vec<Network>,
    /// What its household may do.
    pub bounds: HouseholdBounds,
}

impl CallerNetworks {
    /// From the household to the widest.
    pub fn all(&self) -> &[Network] {
        &self.networks
    }

    /// Those around the household.
    pub fn wider(&self) -> &[Network] {
        &self.networks[1..]
    }

    /// The widest, by which strangers are told from neighbours.
    pub fn widest(&self) -> &Network {
        self.networks.last().expect("there is a household")
    }

    /// Whether the other is of the same household.
    pub fn is_household_of(&self, other: &Self) -> bool {
        self.networks[0] == other.networks[0]
    }
}

/// The configured networks.
pub(super) struct Networks {
    general: HouseholdBounds,
    listed: Vec<NetworkLimits>,
}

impl Networks {
    pub fn new(limits: &LimitsConfig) -> Self {
        Self {
            general: HouseholdBounds {
                sends_hour: limits.sends_per_ip_hour,
                wrong_codes_hour: limits.wrong_codes_per_ip_hour,
                short_codes_day: limits.short_codes_per_ip_day,
            },
            listed: limits.networks.clone(),
        }
    }

    /// The networks of `ip`. One in a listed network is counted by its household and that network alone.
    pub fn of(&self, ip: IpAddr) -> CallerNetworks {
        let ip = ip.to_canonical();
        let (octets, widths) = match ip {
            IpAddr::V4(ip) => (ip.octets().to_vec(), &IPV4[..]),
            IpAddr::V6(ip) => (ip.octets().to_vec(), &IPV6[..]),
        };
        let network = |(bits, growth): &(usize, u32)| Network {
            prefix: octets[..bits / 8].to_vec(),
            growth: Some(*growth),
        };
        let listed = self.listed.iter().filter(|entry| entry.cidr.contains(&ip));
        let Some(listed) = listed.max_by_key(|entry| entry.cidr.prefix_len()) else {
            return CallerNetworks {
                networks: widths.iter().map(network).collect(),
                bounds: self.general,
            };
        };
        let block = Network {
            prefix: listed.cidr.to_string().into_bytes(),
            growth: None,
        };
        CallerNetworks {
            networks: vec![network(&widths[0]), block],
            bounds: HouseholdBounds {
                sends_hour: listed.sends_per_ip_hour,
                wrong_codes_hour: listed.wrong_codes_per_ip_hour,
                short_codes_day: listed.short_codes_per_ip_day,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(listed: &[(&str, u32)]) -> Networks {
        let entry = |(cidr, sends): &(&str, u32)| NetworkLimits {
            cidr: cidr.parse().expect("a network"),
            sends_per_ip_hour: *sends,
            wrong_codes_per_ip_hour: 60,
            short_codes_per_ip_day: 20,
        };
        Networks {
            general: HouseholdBounds {
                sends_hour: 10,
                wrong_codes_hour: 60,
                short_codes_day: 20,
            },
            listed: listed.iter().map(entry).collect(),
        }
    }

    fn of(networks: &Networks, text: &str) -> CallerNetworks {
        networks.of(text.parse().expect("an address"))
    }

    /// How many of their networks two addresses share.
    fn shared(one: &str, other: &str) -> usize {
        let networks = networks(&[]);
        let (one, other) = (of(&networks, one), of(&networks, other));
        one.all().iter().filter(|network| other.all().contains(network)).count()
    }

    #[test]
    fn an_ipv6_household_counts_as_one_and_ipv4_in_its_clothes_as_ipv4() {
        assert_eq!(shared("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:ffff::1"), 3);
        assert_eq!(shared("2001:db8:1:200::1", "2001:db8:1:2ff::1"), 2, "a /56");
        assert_eq!(shared("2001:db8:1:200::1", "2001:db8:1:300::1"), 1, "a /48");
        assert_eq!(shared("2001:db8:1::1", "2001:db8:2::1"), 0);
        assert_eq!(shared("::ffff:192.0.2.1", "192.0.2.1"), 2);
        assert_eq!(shared("192.0.2.1", "192.0.2.2"), 1, "a /24");
        assert_eq!(shared("192.0.2.1", "192.0.3.1"), 0);
    }

    #[test]
    fn bounds_grow_with_the_network_and_a_listed_one_has_its_own() {
        let networks = networks(&[("198.51.100.0/24", 50), ("198.51.100.7/32", 300)]);
        let bounds = |text: &str| {
            let caller = of(&networks, text);
            let grown = caller
                .all()
                .iter()
                .map(|network| network.grown(caller.bounds.sends_hour));
            grown.collect::<Vec<_>>()
        };
        assert_eq!(bounds("2001:db8::1"), [10, 20, 40]);
        assert_eq!(bounds("192.0.2.1"), [10, 40]);
        assert_eq!(bounds("198.51.100.1"), [50, 0]);
        assert_eq!(bounds("198.51.100.7"), [300, 0], "the narrower one holds");
    }
}
