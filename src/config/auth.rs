//! Signing in: lifetimes, limits, allowed countries, store-review numbers.

use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;
use jiff::civil::Date;
use secrecy::{ExposeSecret, SecretString};

use super::limits::LimitsConfig;
use super::reader::{Problems, Section, networks};
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

/// A number that gets no message and signs in with a fixed code, within its dates and where the review takes place. Everywhere else it is
/// a number like any other.
#[derive(Clone, Debug)]
pub struct TestPhone {
    /// The number.
    pub phone: Phone,
    /// The code, six digits.
    pub code: SecretString,
    /// `valid_from`: the number is ordinary before (from ever).
    pub valid_from: Timestamp,
    /// `valid_until`: the number is ordinary from then on. Required.
    pub valid_until: Timestamp,
    /// `networks`: where the review takes place (`[]`: anywhere).
    pub networks: Vec<IpNet>,
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
        let (valid_from, valid_until) = Self::dates(&mut section, problems);
        let networks = networks(&mut section, "networks", problems);
        section.finish(problems);
        Some(Self {
            phone: phone?,
            code: code?,
            valid_from: valid_from?,
            valid_until: valid_until?,
            networks,
        })
    }

    fn dates(section: &mut Section, problems: &mut Problems) -> (Option<Timestamp>, Option<Timestamp>) {
        let first = section.text("valid_from", problems);
        let valid_from = first
            .as_ref()
            .map_or(Some(Timestamp::MIN), |text| moment(text, Date::clone));
        if valid_from.is_none() {
            let path = section.name("valid_from");
            problems.add(&path, "must be a day (YYYY-MM-DD) or an RFC 3339 moment");
        }
        // A day is good to its end.
        let last = section.text("valid_until", problems);
        let valid_until = last.and_then(|text| moment(&text, |day| day.tomorrow().unwrap_or(Date::MAX)));
        let path = section.name("valid_until");
        if valid_until.is_none() {
            problems.add(
                &path,
                "must be a day (YYYY-MM-DD) or an RFC 3339 moment: a test number always expires",
            );
        }
        if let (Some(from), Some(until)) = (valid_from, valid_until)
            && from >= until
        {
            problems.add(&path, "must be later than valid_from");
        }
        (valid_from, valid_until)
    }
}

/// An RFC 3339 moment, or the midnight (UTC) that `midnight` makes of a day.
fn moment(text: &str, midnight: impl Fn(&Date) -> Date) -> Option<Timestamp> {
    text.parse().ok().or_else(|| {
        let day = midnight(&text.parse().ok()?);
        let start = day.to_zoned_datetime(jiff::tz::TimeZone::UTC).ok()?;
        Some(start.timestamp())
    })
}
