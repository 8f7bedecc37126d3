//! Signing in: lifetimes, limits, allowed countries, store-review numbers.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::reader::{Problems, Section};
use crate::model::{Phone, PhonePolicy};

/// `[auth]`.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// `challenge_ttl_ms`: life of a code, in milliseconds (`300000`).
    pub challenge_ttl: Duration,
    /// `access_ttl_ms`: life of an access token, in milliseconds (`300000`).
    pub access_ttl: Duration,
    /// `refresh_leeway_ms`: how long after a new pair's first use the refresh token before it still gives that pair, in milliseconds
    /// (`10000`).
    pub refresh_leeway: Duration,
    /// `resend_ms`: least time between two messages to one phone, in milliseconds (`60000`).
    pub resend: Duration,
    /// `countries`: regions whose mobile numbers may sign in (`["RU"]`).
    pub phones: PhonePolicy,
    /// `app_absolute_ms`, `app_idle_ms`: longest life of an app's session and longest time without use (180 d, 60 d).
    pub app: Lifetime,
    /// `web_absolute_ms`, `web_idle_ms`: the same for a browser's session (30 d, 7 d).
    pub web: Lifetime,
    /// `sessions_per_guest`: more than these end the one longest unused (`10`).
    pub sessions_per_guest: u32,
    /// `limits.*`.
    pub limits: LimitsConfig,
    /// `test_phones`: numbers for the app stores' reviewers.
    pub test_phones: Vec<TestPhone>,
}

/// How long a session lives.
#[derive(Clone, Copy, Debug)]
pub struct Lifetime {
    /// At most, whatever happens.
    pub absolute: Duration,
    /// Without being used.
    pub idle: Duration,
}

/// `[auth.limits]`; 0 switches one off.
#[derive(Clone, Copy, Debug)]
pub struct LimitsConfig {
    /// Messages to one phone in an hour (`5`).
    pub sends_per_phone_hour: u32,
    /// Messages to one phone in a day (`10`).
    pub sends_per_phone_day: u32,
    /// Messages asked for by one address (IPv6: /64) in an hour (`10`).
    pub sends_per_ip_hour: u32,
    /// Unproven messages to one range of numbers (last three digits cut) in an hour (`20`).
    pub sends_per_range_hour: u32,
    /// Messages in all in an hour (`1000`).
    pub sends_system_hour: u32,
    /// Wrong codes for one phone in a day (`20`).
    pub wrong_codes_per_phone_day: u32,
    /// Wrong codes from one address in an hour (`60`).
    pub wrong_codes_per_ip_hour: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            sends_per_phone_hour: 5,
            sends_per_phone_day: 10,
            sends_per_ip_hour: 10,
            sends_per_range_hour: 20,
            sends_system_hour: 1000,
            wrong_codes_per_phone_day: 20,
            wrong_codes_per_ip_hour: 60,
        }
    }
}

/// A number that gets no message and signs in with a fixed code until `valid_until`.
#[derive(Clone, Debug)]
pub struct TestPhone {
    /// The number.
    pub phone: Phone,
    /// The code, six digits.
    pub code: SecretString,
    /// The number is ordinary from then on.
    pub valid_until: Timestamp,
}

const DAY_MS: u64 = 86_400_000;

impl AuthConfig {
    pub(super) fn read(mut section: Section, problems: &mut Problems) -> Self {
        let positive = |section: &mut Section, key: &str, default, problems: &mut Problems| {
            Duration::from_millis(section.number(key, default, 1..=315_360_000_000, problems))
        };
        let countries = section.list("countries", problems).unwrap_or_else(|| vec!["RU".into()]);
        if countries.is_empty()
            || countries
                .iter()
                .any(|c| c.len() != 2 || !c.bytes().all(|b| b.is_ascii_uppercase()))
        {
            problems.add(
                &section.name("countries"),
                "must be a list of two-letter regions such as RU",
            );
        }
        let phones = PhonePolicy { countries };
        let auth = Self {
            challenge_ttl: positive(&mut section, "challenge_ttl_ms", 300_000, problems),
            access_ttl: positive(&mut section, "access_ttl_ms", 300_000, problems),
            refresh_leeway: section.millis("refresh_leeway_ms", 10_000, problems),
            resend: section.millis("resend_ms", 60_000, problems),
            app: Lifetime {
                absolute: positive(&mut section, "app_absolute_ms", 180 * DAY_MS, problems),
                idle: positive(&mut section, "app_idle_ms", 60 * DAY_MS, problems),
            },
            web: Lifetime {
                absolute: positive(&mut section, "web_absolute_ms", 30 * DAY_MS, problems),
                idle: positive(&mut section, "web_idle_ms", 7 * DAY_MS, problems),
            },
            sessions_per_guest: u32::try_from(section.number("sessions_per_guest", 10, 1..=100, problems))
                .unwrap_or(10),
            limits: LimitsConfig::read(section.section("limits", problems), problems),
            test_phones: section
                .sections("test_phones", problems)
                .into_iter()
                .filter_map(|entry| TestPhone::read(entry, &phones, problems))
                .collect(),
            phones,
        };
        for (index, test) in auth.test_phones.iter().enumerate() {
            if auth.test_phones[..index].iter().any(|known| known.phone == test.phone) {
                let path = section.name("test_phones");
                problems.add(&path, format_args!("{} stands there twice", test.phone.masked()));
            }
        }
        section.finish(problems);
        auth
    }
}

impl LimitsConfig {
    fn read(mut section: Section, problems: &mut Problems) -> Self {
        let default = Self::default();
        let mut limit = |key: &str, default: u32| {
            u32::try_from(section.number(key, u64::from(default), 0..=1_000_000_000, problems)).unwrap_or(default)
        };
        let limits = Self {
            sends_per_phone_hour: limit("sends_per_phone_hour", default.sends_per_phone_hour),
            sends_per_phone_day: limit("sends_per_phone_day", default.sends_per_phone_day),
            sends_per_ip_hour: limit("sends_per_ip_hour", default.sends_per_ip_hour),
            sends_per_range_hour: limit("sends_per_range_hour", default.sends_per_range_hour),
            sends_system_hour: limit("sends_system_hour", default.sends_system_hour),
            wrong_codes_per_phone_day: limit("wrong_codes_per_phone_day", default.wrong_codes_per_phone_day),
            wrong_codes_per_ip_hour: limit("wrong_codes_per_ip_hour", default.wrong_codes_per_ip_hour),
        };
        section.finish(problems);
        limits
    }
}

impl TestPhone {
    fn read(mut section: Section, policy: &PhonePolicy, problems: &mut Problems) -> Option<Self> {
        let phone = section.required_text("phone", "the number, as +7…", problems);
        let phone = Phone::parse(&phone, policy).ok();
        if phone.is_none() {
            problems.add(&section.name("phone"), "must be a mobile number of an allowed country");
        }
        let code = section.secret("code", problems).filter(|code| {
            let code = code.expose_secret();
            code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit())
        });
        if code.is_none() {
            problems.add(&section.name("code"), "must be six digits, as text");
        }
        let valid_until = section.text("valid_until", problems).and_then(|text| moment(&text));
        if valid_until.is_none() {
            problems.add(
                &section.name("valid_until"),
                "must be a day (YYYY-MM-DD) or an RFC 3339 moment: a test number always expires",
            );
        }
        section.finish(problems);
        Some(Self {
            phone: phone?,
            code: code?,
            valid_until: valid_until?,
        })
    }
}

fn moment(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| {
        let day: jiff::civil::Date = text.parse().ok()?;
        day.tomorrow()
            .ok()?
            .to_zoned_datetime(jiff::tz::TimeZone::UTC)
            .ok()
            .map(|end| end.timestamp())
    })
}
