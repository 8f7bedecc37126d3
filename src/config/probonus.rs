//! How this ProBonus is reached and spoken to.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::forms::Forms;
use super::reader::{Problems, Section};
use crate::model::GroupId;

/// `[probonus]`.
#[derive(Clone, Debug)]
pub struct ProbonusConfig {
    /// `url`: base address, for example `http://probonus.local:6896`. Required.
    pub url: Url,
    /// `token`, or `login` and `password`. Required, one of both ways.
    pub credential: CredentialConfig,
    /// `token_header`: another header that carries the bare token; without it `Authorization: Bearer`.
    pub token_header: Option<http::HeaderName>,
    /// `account_group_id`: the group whose template new accounts get (`3`).
    pub account_group_id: GroupId,
    /// `sums`: unit of the sums ProBonus speaks in, `kopecks` or `rubles` (`kopecks`).
    pub sums: Sums,
    /// `phone_format`: spelling of phones sent, `digits` (`79…`), `e164` (`+79…`) or `national` (`89…`) (`digits`).
    pub phone_format: PhoneFormat,
    /// `methods.<operation>`: `GET` or `POST` instead of the usual method.
    pub methods: BTreeMap<String, http::Method>,
    /// `absent` and `done`: forms in which it says "no such guest" and "done" without a word that is sure.
    pub forms: Forms,
    /// `timeout_ms`: one call's time, in milliseconds (`3000`).
    pub timeout: Duration,
    /// `late_effect_ms`: the longest time after its end that a call without a known outcome may still take effect, in milliseconds (`90000`).
    pub late_effect: Duration,
    /// `max_concurrency`: calls under way at once, per group of routes (`32`).
    pub max_concurrency: usize,
}

/// The credential ProBonus knows.
#[derive(Clone, Debug)]
pub enum CredentialConfig {
    /// A permanent API token.
    Token(SecretString),
    /// A login that gives bearer tokens.
    Login {
        /// The login.
        login: SecretString,
        /// Its password.
        password: SecretString,
    },
}

/// Unit of ProBonus' sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sums {
    /// Minor units.
    Kopecks,
    /// Major units.
    Rubles,
}

/// Spelling of phones sent to ProBonus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhoneFormat {
    /// `79160000001`.
    Digits,
    /// `+79160000001`.
    E164,
    /// `89160000001`.
    National,
}

/// The operations whose method may be configured, as the contract and the sandbox name them.
pub const OPERATIONS: [&str; 11] = [
    "login",
    "refresh_token",
    "account_groups",
    "find_by_phone",
    "insert_by_template",
    "update",
    "refill",
    "transactions",
    "get_balance_extended",
    "get_by_id",
    "register_check",
];

impl ProbonusConfig {
    pub(super) fn read(mut section: Section, problems: &mut Problems) -> Self {
        let url_text = section.required_text(
            "url",
            "the base address of ProBonus, for example http://probonus.local:6896",
            problems,
        );
        let url = Url::parse(&url_text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if url.is_none() && !url_text.is_empty() {
            problems.add(&section.name("url"), "must be an http or https address");
        }
        let credential = Self::credential(&mut section, problems);
        let token_header = section.parsed("token_header", "the name of an HTTP header", problems);
        let group = section.text("account_group_id", problems).unwrap_or_else(|| "3".into());
        let account_group_id = GroupId::parse(&group).unwrap_or_else(|_| {
            problems.add(&section.name("account_group_id"), "must be the id of an account group");
            GroupId::parse("3").expect("a digit is an id")
        });
        let sums = choice(
            &mut section,
            "sums",
            &[("kopecks", Sums::Kopecks), ("rubles", Sums::Rubles)],
            problems,
        );
        let formats = [
            ("digits", PhoneFormat::Digits),
            ("e164", PhoneFormat::E164),
            ("national", PhoneFormat::National),
        ];
        let phone_format = choice(&mut section, "phone_format", &formats, problems);
        let methods = Self::methods(section.section("methods", problems), problems);
        let forms = Forms::read(&mut section, problems);
        let timeout = Duration::from_millis(section.number("timeout_ms", 3000, 10..=60_000, problems));
        let late_effect = section.millis("late_effect_ms", 90_000, problems);
        let max_concurrency = section.number("max_concurrency", 32, 1..=10_000, problems);
        section.finish(problems);
        Self {
            url: url.unwrap_or_else(|| Url::parse("http://127.0.0.1/").expect("a constant address")),
            credential,
            token_header,
            account_group_id,
            sums,
            phone_format,
            methods,
            forms,
            timeout,
            late_effect,
            max_concurrency: usize::try_from(max_concurrency).unwrap_or(usize::MAX),
        }
    }

    fn credential(section: &mut Section, problems: &mut Problems) -> CredentialConfig {
        let before = problems.lines.len();
        let token = section.secret("token", problems);
        let login = section.secret("login", problems);
        let password = section.secret("password", problems);
        match (token, login, password) {
            (Some(token), None, None) => CredentialConfig::Token(token),
            (None, Some(login), Some(password)) => CredentialConfig::Login { login, password },
            (None, None, None) => {
                if problems.lines.len() == before {
                    problems.add(&section.name("token"), "is missing: give token, or login and password");
                }
                CredentialConfig::Token(SecretString::default())
            }
            (Some(_), _, _) => {
                problems.add(
                    &section.name("token"),
                    "stands beside login or password: give token, or login and password, not both",
                );
                CredentialConfig::Token(SecretString::default())
            }
            (None, _, _) => {
                problems.add(
                    &section.name("login"),
                    "and password belong together: one of them is missing",
                );
                CredentialConfig::Token(SecretString::default())
            }
        }
    }

    fn methods(mut section: Section, problems: &mut Problems) -> BTreeMap<String, http::Method> {
        let mut methods = BTreeMap::new();
        for operation in OPERATIONS {
            match section
                .text(operation, problems)
                .map(|method| method.to_ascii_uppercase())
            {
                None => {}
                Some(method) if method == "GET" => drop(methods.insert(operation.to_owned(), http::Method::GET)),
                Some(method) if method == "POST" => drop(methods.insert(operation.to_owned(), http::Method::POST)),
                Some(_) => problems.add(&section.name(operation), "must be GET or POST"),
            }
        }
        section.finish(problems);
        methods
    }
}

/// One of the named values; the first is the default.
pub(super) fn choice<T: Copy>(section: &mut Section, key: &str, values: &[(&str, T)], problems: &mut Problems) -> T {
    let default = values[0].1;
    let Some(text) = section.text(key, problems) else {
        return default;
    };
    if let Some((_, value)) = values.iter().find(|(name, _)| *name == text) {
        return *value;
    }
    let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
    problems.add(&section.name(key), format_args!("must be one of: {}", names.join(", ")));
    default
}
