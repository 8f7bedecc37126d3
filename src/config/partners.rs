//! Partner systems: their keys (as hashes), what they may do and how much.

use std::collections::BTreeMap;

use super::key_hash::{key_hash, required_key_hash};
use super::reader::{Problems, Section};
use crate::model::Money;

/// `[partners.<name>]`.
#[derive(Clone, Debug)]
pub struct PartnerConfig {
    /// `key_sha256`: SHA-256 of the key, in hexadecimal, as `guest-cabinet hash-key` prints it. Required.
    pub key_sha256: [u8; 32],
    /// `key_sha256_previous`: the hash of the key before, which stays good while the key is being rotated.
    pub key_sha256_previous: Option<[u8; 32]>,
    /// `scopes`, of `checks`, `refills`, `guests`. Required.
    pub scopes: Vec<Scope>,
    /// `max_refill`: greatest single refill, in kopecks (none).
    pub max_refill: Option<Money>,
    /// `max_daily_refill`: greatest sum of refills in a business day, in kopecks (none).
    pub max_daily_refill: Option<Money>,
    /// `max_check_accrual`: most bonuses that one check gives, in kopecks (none).
    pub max_check_accrual: Option<Money>,
    /// `max_daily_check_accrual`: most bonuses that checks give in a business day, in kopecks (none).
    pub max_daily_check_accrual: Option<Money>,
    /// `max_check_spend`: most bonuses that one check is paid with, in kopecks (none).
    pub max_check_spend: Option<Money>,
    /// `max_daily_check_spend`: most bonuses that checks are paid with in a business day, in kopecks (none).
    pub max_daily_check_spend: Option<Money>,
    /// `max_accrual_percent`: most bonuses that a check gives, in percent of the money paid (`100`).
    pub max_accrual_percent: u32,
    /// `accrual_without_payment`: whether a check with nothing paid may give bonuses (`false`).
    pub accrual_without_payment: bool,
    /// `restaurants`: restaurant codes this partner may book for (all).
    pub restaurants: Option<Vec<i64>>,
    /// `units`: unit codes this partner may book for (all).
    pub units: Option<Vec<i64>>,
    /// `calls_per_minute`: calls in a minute (`6000`; 0 switches it off).
    pub calls_per_minute: u32,
}

/// What a partner's key opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Outside checks.
    Checks,
    /// Refills.
    Refills,
    /// Account groups.
    Guests,
}

pub(super) fn read(mut section: Section, problems: &mut Problems) -> BTreeMap<String, PartnerConfig> {
    let mut partners = BTreeMap::new();
    for (name, entry) in section.named_sections(problems) {
        if let Some(partner) = PartnerConfig::read(entry, problems) {
            partners.insert(name, partner);
        }
    }
    let mut keys: Vec<_> = partners
        .values()
        .flat_map(|partner: &PartnerConfig| partner.key_hashes().copied())
        .collect();
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) {
        problems.add("partners", "two partners share one key: give each its own");
    }
    partners
}

impl PartnerConfig {
    /// The hashes of the keys that are good.
    pub fn key_hashes(&self) -> impl Iterator<Item = &[u8; 32]> {
        std::iter::once(&self.key_sha256).chain(&self.key_sha256_previous)
    }

    fn read(mut section: Section, problems: &mut Problems) -> Option<Self> {
        let key_sha256 = required_key_hash(&mut section, "key_sha256", problems);
        let key_sha256_previous = key_hash(&mut section, "key_sha256_previous", problems);
        let key_sha256_previous = key_sha256_previous.filter(|previous| Some(*previous) != key_sha256);
        let names = section.list("scopes", problems).unwrap_or_default();
        if names.is_empty() {
            problems.add(
                &section.name("scopes"),
                "is missing: list some of checks, refills, guests",
            );
        }
        let mut scopes = Vec::new();
        for name in &names {
            match name.as_str() {
                "checks" => scopes.push(Scope::Checks),
                "refills" => scopes.push(Scope::Refills),
                "guests" => scopes.push(Scope::Guests),
                _ => problems.add(
                    &section.name("scopes"),
                    format_args!("{name} is not a scope; there are checks, refills, guests"),
                ),
            }
        }
        let partner = Self {
            key_sha256: key_sha256.unwrap_or_default(),
            key_sha256_previous,
            scopes,
            max_refill: cap(&mut section, "max_refill", problems),
            max_daily_refill: cap(&mut section, "max_daily_refill", problems),
            max_check_accrual: cap(&mut section, "max_check_accrual", problems),
            max_daily_check_accrual: cap(&mut section, "max_daily_check_accrual", problems),
            max_check_spend: cap(&mut section, "max_check_spend", problems),
            max_daily_check_spend: cap(&mut section, "max_daily_check_spend", problems),
            max_accrual_percent: u32::try_from(section.number("max_accrual_percent", 100, 0..=10_000, problems))
                .unwrap_or(100),
            accrual_without_payment: section.flag("accrual_without_payment", false, problems),
            restaurants: codes(&mut section, "restaurants", problems),
            units: codes(&mut section, "units", problems),
            calls_per_minute: u32::try_from(section.number("calls_per_minute", 6000, 0..=1_000_000, problems))
                .unwrap_or(6000),
        };
        section.finish(problems);
        key_sha256.map(|_| partner)
    }
}

fn cap(section: &mut Section, key: &str, problems: &mut Problems) -> Option<Money> {
    if !section.has(key) {
        return None;
    }
    let kopecks = section.number(key, 0, 0..=Money::MAX.minor().unsigned_abs(), problems);
    i64::try_from(kopecks).ok().and_then(Money::from_minor)
}

fn codes(section: &mut Section, key: &str, problems: &mut Problems) -> Option<Vec<i64>> {
    let texts = section.list(key, problems)?;
    let codes: Option<Vec<i64>> = texts.iter().map(|text| text.parse().ok()).collect();
    if codes.is_none() {
        problems.add(&section.name(key), "must be a list of whole numbers");
    }
    codes
}
