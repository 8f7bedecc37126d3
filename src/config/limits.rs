//! How many messages and wrong codes are taken, from whom and for whom.

use ipnet::IpNet;

use super::reader::{Problems, Section, network};

/// `[auth.limits]`; 0 switches one off.
#[derive(Clone, Debug)]
pub struct LimitsConfig {
    /// Messages to one phone in an hour (`5`).
    pub sends_per_phone_hour: u32,
    /// Messages to one phone in a day (`10`).
    pub sends_per_phone_day: u32,
    /// Messages asked for by one address (IPv6: /64) in an hour (`10`); its wider networks have growing bounds made of this one.
    pub sends_per_ip_hour: u32,
    /// Unproven messages to one range of numbers (last three digits cut) in an hour (`20`).
    pub sends_per_range_hour: u32,
    /// Messages in all in an hour (`1000`).
    pub sends_system_hour: u32,
    /// Wrong codes for one phone from one network in a day (`20`).
    pub wrong_codes_per_phone_day: u32,
    /// Wrong codes from one address in an hour (`60`); its wider networks have growing bounds made of this one.
    pub wrong_codes_per_ip_hour: u32,
    /// Wrong four-digit codes from one address in a day, for all phones together (`10`); its wider networks have growing bounds.
    pub short_codes_per_ip_day: u32,
    /// Wrong four-digit codes in all in a day, after which networks without a sign-in of the last month have one each (`100`).
    pub short_codes_system_day: u32,
    /// `[[auth.limits.networks]]`: networks with bounds of their own.
    pub networks: Vec<NetworkLimits>,
}

/// A network whose addresses have bounds of their own: a restaurant's Wi-Fi, where all guests share one address.
#[derive(Clone, Debug)]
pub struct NetworkLimits {
    /// `cidr`: which network.
    pub cidr: IpNet,
    /// Instead of the general one.
    pub sends_per_ip_hour: u32,
    /// Instead of the general one.
    pub wrong_codes_per_ip_hour: u32,
    /// Instead of the general one.
    pub short_codes_per_ip_day: u32,
}

impl LimitsConfig {
    pub(super) fn read(mut section: Section, problems: &mut Problems) -> Self {
        let networks = section.sections("networks", problems);
        let mut limits = Self {
            sends_per_phone_hour: limit(&mut section, "sends_per_phone_hour", 5, problems),
            sends_per_phone_day: limit(&mut section, "sends_per_phone_day", 10, problems),
            sends_per_ip_hour: limit(&mut section, "sends_per_ip_hour", 10, problems),
            sends_per_range_hour: limit(&mut section, "sends_per_range_hour", 20, problems),
            sends_system_hour: limit(&mut section, "sends_system_hour", 1000, problems),
            wrong_codes_per_phone_day: limit(&mut section, "wrong_codes_per_phone_day", 20, problems),
            wrong_codes_per_ip_hour: limit(&mut section, "wrong_codes_per_ip_hour", 60, problems),
            short_codes_per_ip_day: limit(&mut section, "short_codes_per_ip_day", 10, problems),
            short_codes_system_day: limit(&mut section, "short_codes_system_day", 100, problems),
            networks: Vec::new(),
        };
        section.finish(problems);
        for entry in networks {
            limits.networks.extend(NetworkLimits::read(entry, &limits, problems));
        }
        limits
    }
}

impl NetworkLimits {
    /// What is left out is as everywhere else.
    fn read(mut section: Section, general: &LimitsConfig, problems: &mut Problems) -> Option<Self> {
        let path = section.name("cidr");
        let text = section.required_text("cidr", "an address or a network such as 203.0.113.0/24", problems);
        let cidr = network(&text);
        if cidr.is_none() && !text.is_empty() {
            problems.add(
                &path,
                format_args!("{text} is not an address or network such as 203.0.113.0/24"),
            );
        }
        if let Some(cidr) = cidr
            && general.networks.iter().any(|known| known.cidr == cidr)
        {
            problems.add(&path, format_args!("{cidr} stands there twice"));
        }
        let sends = general.sends_per_ip_hour;
        let sends_per_ip_hour = limit(&mut section, "sends_per_ip_hour", sends, problems);
        let wrong = general.wrong_codes_per_ip_hour;
        let wrong_codes_per_ip_hour = limit(&mut section, "wrong_codes_per_ip_hour", wrong, problems);
        let short = general.short_codes_per_ip_day;
        let short_codes_per_ip_day = limit(&mut section, "short_codes_per_ip_day", short, problems);
        section.finish(problems);
        Some(Self {
            cidr: cidr?,
            sends_per_ip_hour,
            wrong_codes_per_ip_hour,
            short_codes_per_ip_day,
        })
    }
}

fn limit(section: &mut Section, key: &str, default: u32, problems: &mut Problems) -> u32 {
    u32::try_from(section.number(key, default.into(), 0..=1_000_000_000, problems)).unwrap_or(default)
}
