//! Bringing a code to a phone: which gateways, in which order, with which credentials.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::reader::{Problems, Section};

/// `[delivery]`.
#[derive(Clone, Debug)]
pub struct DeliveryConfig {
    /// `gateways`: tried in this order: `smsru`, `smsc`, `telegram`, `webhook`, `console`. Required (`["console"]` in demo only).
    pub gateways: Vec<GatewayName>,
    /// `timeout_ms`: how long one gateway may think, in milliseconds (`8000`); two together have half as long again.
    pub timeout: Duration,
    /// `console.development`: lets `console` be used outside the demo, on a developer's machine (`false`).
    pub console_development: bool,
    /// `webhook.*`, when it is in the list.
    pub webhook: Option<WebhookConfig>,
    /// `smsru.*`, when it is in the list.
    pub smsru: Option<SmsruConfig>,
    /// `smsc.*`, when it is in the list.
    pub smsc: Option<SmscConfig>,
    /// `telegram.*`, when it is in the list.
    pub telegram: Option<TelegramConfig>,
    /// `android_hash`: the app's 11-character hash for Android's SMS Retriever, added for `platform: android`.
    pub android_hash: Option<String>,
    /// `brand`: short name put into the message; must leave it within one segment.
    pub brand: Option<String>,
}

/// A gateway by its name in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GatewayName {
    /// SMS.ru.
    Smsru,
    /// SMSC.
    Smsc,
    /// Telegram Gateway.
    Telegram,
    /// The operator's own receiver, signed by Standard Webhooks.
    Webhook,
    /// The program's own console, for the demo and development.
    Console,
}

/// `[delivery.webhook]`.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// `url`: https (http for loopback). Required.
    pub url: Url,
    /// `secret`: `whsec_…` (Standard Webhooks). Required.
    pub secret: SecretString,
    /// `report_secret`: `whsec_…` for reports sent back to us.
    pub report_secret: Option<SecretString>,
    /// `report_secret_previous`: still accepted during a rotation.
    pub report_secret_previous: Option<SecretString>,
    /// `allow_private`: lets the address be a private one (`false`).
    pub allow_private: bool,
    /// `channels`: what the receiver can do, of `sms`, `flash_call`, `guest_call`, `telegram`, `other` (`["sms"]`).
    pub channels: Vec<String>,
}

/// `[delivery.smsru]`.
#[derive(Clone, Debug)]
pub struct SmsruConfig {
    /// `api_id`. Required.
    pub api_id: SecretString,
    /// `from`: the approved sender's name.
    pub from: Option<String>,
    /// `url` (`https://sms.ru`).
    pub url: Url,
    /// `channels`, of `sms`, `guest_call`, `flash_call` (`["sms"]`).
    pub channels: Vec<String>,
}

/// `[delivery.smsc]`.
#[derive(Clone, Debug)]
pub struct SmscConfig {
    /// `api_key`, or `login` and `password`. Required, one of both ways.
    pub api_key: Option<SecretString>,
    /// See `api_key`.
    pub login: Option<SecretString>,
    /// See `api_key`.
    pub password: Option<SecretString>,
    /// `sender`: the approved sender's name.
    pub sender: Option<String>,
    /// `callback_secret`: for the checksum of delivery reports.
    pub callback_secret: Option<SecretString>,
    /// `callback_path`: the unguessable end of the reports' address; without it no reports are taken.
    pub callback_path: Option<SecretString>,
    /// `url` (`https://smsc.ru/sys/`).
    pub url: Url,
}

/// `[delivery.telegram]`.
#[derive(Clone, Debug)]
pub struct TelegramConfig {
    /// `token`. Required.
    pub token: SecretString,
    /// `sender_username`: a verified channel of the operator.
    pub sender_username: Option<String>,
    /// `url` (`https://gatewayapi.telegram.org`).
    pub url: Url,
}

impl DeliveryConfig {
    pub(super) fn read(mut section: Section, demo: bool, problems: &mut Problems) -> Self {
        let names = section
            .list("gateways", problems)
            .unwrap_or_else(|| if demo { vec!["console".into()] } else { Vec::new() });
        let path = section.name("gateways");
        if names.is_empty() {
            problems.add(&path, "is missing: list at least one of smsru, smsc, telegram, webhook");
        }
        let mut gateways = Vec::new();
        for name in &names {
            match GatewayName::parse(name) {
                Some(gateway) if gateways.contains(&gateway) => {
                    problems.add(&path, format_args!("{name} stands there twice"));
                }
                Some(gateway) => gateways.push(gateway),
                None => problems.add(
                    &path,
                    format_args!("{name} is not a gateway; there are smsru, smsc, telegram, webhook, console"),
                ),
            }
        }
        let mut console = section.section("console", problems);
        let console_development = console.flag("development", demo, problems);
        console.finish(problems);
        if gateways.contains(&GatewayName::Console) && !console_development {
            problems.add(&path, "console shows codes to whoever reads the console; outside the demo it needs delivery.console.development = true");
        }
        let used = |name: GatewayName| gateways.contains(&name);
        let config = Self {
            console_development,
            timeout: Duration::from_millis(section.number("timeout_ms", 8000, 100..=10_000, problems)),
            webhook: WebhookConfig::read(
                section.section("webhook", problems),
                used(GatewayName::Webhook),
                problems,
            ),
            smsru: SmsruConfig::read(section.section("smsru", problems), used(GatewayName::Smsru), problems),
            smsc: SmscConfig::read(section.section("smsc", problems), used(GatewayName::Smsc), problems),
            telegram: TelegramConfig::read(
                section.section("telegram", problems),
                used(GatewayName::Telegram),
                problems,
            ),
            android_hash: section.text("android_hash", problems),
            brand: section.text("brand", problems),
            gateways,
        };
        let in_hash = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
        if config
            .android_hash
            .as_ref()
            .is_some_and(|hash| hash.len() != 11 || !hash.bytes().all(in_hash))
        {
            problems.add(
                &section.name("android_hash"),
                "must have 11 characters, each a letter, a digit, + or /",
            );
        }
        if config
            .brand
            .as_ref()
            .is_some_and(|brand| brand.contains(char::is_control))
        {
            problems.add(&section.name("brand"), "must be one line");
        }
        section.finish(problems);
        config
    }
}

impl GatewayName {
    fn parse(name: &str) -> Option<Self> {
        [Self::Smsru, Self::Smsc, Self::Telegram, Self::Webhook, Self::Console]
            .into_iter()
            .find(|g| g.as_str() == name)
    }

    /// The name in the configuration, logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Smsru => "smsru",
            Self::Smsc => "smsc",
            Self::Telegram => "telegram",
            Self::Webhook => "webhook",
            Self::Console => "console",
        }
    }
}

impl WebhookConfig {
    fn read(mut section: Section, used: bool, problems: &mut Problems) -> Option<Self> {
        const CHANNELS: [&str; 5] = ["sms", "flash_call", "guest_call", "telegram", "other"];
        let url = address(&mut section, "url", None, used, problems);
        let secret = needed(&mut section, "secret", used, problems);
        let report_secret = section.secret("report_secret", problems);
        let report_secret_previous = section.secret("report_secret_previous", problems);
        for (key, secret) in [
            ("secret", &secret),
            ("report_secret", &report_secret),
            ("report_secret_previous", &report_secret_previous),
        ] {
            if used && secret.as_ref().is_some_and(|secret| !is_signing_secret(secret)) {
                problems.add(&section.name(key), "must be whsec_ and bytes in base64");
            }
        }
        let allow_private = section.flag("allow_private", false, problems);
        let channels = channels(&mut section, &CHANNELS, problems);
        section.finish(problems);
        used.then_some(Self {
            url: url?,
            secret: secret?,
            report_secret,
            report_secret_previous,
            allow_private,
            channels,
        })
    }
}

impl SmsruConfig {
    fn read(mut section: Section, used: bool, problems: &mut Problems) -> Option<Self> {
        let api_id = needed(&mut section, "api_id", used, problems);
        let from = section.text("from", problems);
        let url = base(&mut section, "https://sms.ru", used, problems);
        let channels = channels(&mut section, &["sms", "guest_call", "flash_call"], problems);
        section.finish(problems);
        used.then_some(Self {
            api_id: api_id?,
            from,
            url: url?,
            channels,
        })
    }
}

impl SmscConfig {
    fn read(mut section: Section, used: bool, problems: &mut Problems) -> Option<Self> {
        let before = problems.lines.len();
        let api_key = section.secret("api_key", problems);
        let login = section.secret("login", problems);
        let password = section.secret("password", problems);
        let given = (api_key.is_some(), login.is_some(), password.is_some());
        if used && problems.lines.len() == before && !matches!(given, (true, false, false) | (false, true, true)) {
            problems.add(
                &section.name("api_key"),
                "is missing: give api_key, or login and password, not both",
            );
        }
        let sender = section.text("sender", problems);
        let callback_secret = section.secret("callback_secret", problems);
        let callback_path = section.secret("callback_path", problems);
        if used && callback_secret.is_some() != callback_path.is_some() {
            problems.add(
                &section.name("callback_path"),
                "goes together with callback_secret: give both, or neither for no reports",
            );
        }
        let divides = |c: char| "/?#".contains(c);
        if used
            && callback_path
                .as_ref()
                .is_some_and(|path| path.expose_secret().contains(divides))
        {
            problems.add(
                &section.name("callback_path"),
                "must hold no / ? #: it is one part of an address",
            );
        }
        let url = base(&mut section, "https://smsc.ru/sys/", used, problems);
        section.finish(problems);
        used.then_some(Self {
            api_key,
            login,
            password,
            sender,
            callback_secret,
            callback_path,
            url: url?,
        })
    }
}

impl TelegramConfig {
    fn read(mut section: Section, used: bool, problems: &mut Problems) -> Option<Self> {
        const USUAL: &str = "https://gatewayapi.telegram.org";
        let token = needed(&mut section, "token", used, problems);
        let goes_in_header = |token: &SecretString| token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic());
        if used && token.as_ref().is_some_and(|token| !goes_in_header(token)) {
            problems.add(
                &section.name("token"),
                "must be one word of Latin letters, digits and signs",
            );
        }
        let sender_username = section.text("sender_username", problems);
        let url = base(&mut section, USUAL, used, problems);
        section.finish(problems);
        used.then_some(Self {
            token: token?,
            sender_username,
            url: url?,
        })
    }
}

/// A secret that a gateway in use cannot do without.
fn needed(section: &mut Section, key: &str, used: bool, problems: &mut Problems) -> Option<SecretString> {
    if used {
        section.required_secret(key, "this gateway is in delivery.gateways", problems)
    } else {
        section.secret(key, problems)
    }
}

/// Whether it signs as the operator means it to: what begins with `whsec_` goes on in base64.
fn is_signing_secret(secret: &SecretString) -> bool {
    let Some(encoded) = secret.expose_secret().strip_prefix("whsec_") else {
        return true;
    };
    STANDARD.decode(encoded).is_ok_and(|bytes| !bytes.is_empty())
}

/// The base of a gateway's addresses.
fn base(section: &mut Section, default: &str, used: bool, problems: &mut Problems) -> Option<Url> {
    let url = address(section, "url", Some(default), used, problems)?;
    let more = [url.query(), url.fragment(), url.password()];
    if !url.username().is_empty() || more.iter().any(Option::is_some) {
        problems.add(
            &section.name("url"),
            "must end with a host or a path, and hold no credentials",
        );
        return None;
    }
    Some(url)
}

/// An https address, or an http one on this machine.
fn address(
    section: &mut Section,
    key: &str,
    default: Option<&str>,
    used: bool,
    problems: &mut Problems,
) -> Option<Url> {
    let Some(text) = section.text(key, problems).or_else(|| default.map(str::to_owned)) else {
        if used {
            problems.add(&section.name(key), "is missing: this gateway is in delivery.gateways");
        }
        return None;
    };
    let url = Url::parse(&text)
        .ok()
        .filter(|url| url.scheme() == "https" || (url.scheme() == "http" && super::is_loopback(url)));
    if url.is_none() {
        problems.add(
            &section.name(key),
            "must be an https address (http only on this machine)",
        );
    }
    url
}

fn channels(section: &mut Section, allowed: &[&str], problems: &mut Problems) -> Vec<String> {
    let channels = section.list("channels", problems).unwrap_or_else(|| vec!["sms".into()]);
    if channels.is_empty() || channels.iter().any(|channel| !allowed.contains(&channel.as_str())) {
        problems.add(
            &section.name("channels"),
            format_args!("must be a list of: {}", allowed.join(", ")),
        );
    }
    channels
}
