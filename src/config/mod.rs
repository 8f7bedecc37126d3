//! Configuration: a TOML file, overridden by environment variables `CABINET_<SECTION>__<KEY>`; secrets also as `…_FILE`.
//!
//! Read once at start into plain values. Whatever is wrong, missing or unknown is told in one line per problem, all at once.

mod auth;
mod cache;
mod delivery;
mod files;
mod forms;
mod key_hash;
mod limits;
mod origins;
mod partners;
mod probonus;
mod program;
mod reader;
mod sources;
mod web;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

pub use auth::{AuthConfig, Lifetime, TestPhone};
pub use cache::CacheConfig;
pub use delivery::{DeliveryConfig, GatewayName, SmscConfig, SmsruConfig, TelegramConfig, WebhookConfig};
pub use files::read_by_others;
pub use forms::{AbsentForm, DoneForm, Forms};
pub use limits::{LimitsConfig, NetworkLimits};
pub use origins::AllowedOrigin;
pub use partners::{PartnerConfig, Scope};
pub use probonus::{CredentialConfig, OPERATIONS, PhoneFormat, ProbonusConfig, Sums};
pub use program::{Bilingual, CardIdentifier, Document, FieldName, FormField, ProgramConfig, ProgramLevel, Restaurant};
pub(crate) use sources::merge;
pub use sources::{Sources, read_sources};
pub use web::WebConfig;

use reader::{Problems, Section};

/// Everything the program is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// `listen`: guest-facing address (`127.0.0.1:8080`).
    pub listen: SocketAddr,
    /// `admin_listen`: health and metrics (`127.0.0.1:9090`).
    pub admin_listen: SocketAddr,
    /// `public_url`: where guests reach us, for example `https://lk.example.ru` (on loopback: `http://` and `listen`).
    pub public_url: Url,
    /// `secret`: the master secret, at least 32 bytes. Required.
    pub secret: SecretString,
    /// `secret_previous`: the one before, during a rotation.
    pub secret_previous: Option<SecretString>,
    /// `time_zone`: the restaurants' IANA time zone (`Europe/Moscow`).
    pub time_zone: TimeZone,
    /// `business_day_start`: when a business day starts, `HH:MM` (`00:00`).
    pub business_day_start: Time,
    /// `store.url`: `sqlite:///…` or `postgres://…` (`sqlite:///var/lib/guest-cabinet/state.db`).
    pub store_url: SecretString,
    /// `[probonus]`.
    pub probonus: ProbonusConfig,
    /// `[delivery]`.
    pub delivery: DeliveryConfig,
    /// `[cache]`.
    pub cache: CacheConfig,
    /// `[auth]`.
    pub auth: AuthConfig,
    /// `[web]`.
    pub web: WebConfig,
    /// `[partners.<name>]`.
    pub partners: BTreeMap<String, PartnerConfig>,
    /// `[program]`.
    pub program: ProgramConfig,
    /// `[telemetry]`.
    pub telemetry: TelemetryConfig,
    /// The files that secrets were read from; the configuration file is among them when one stands in it.
    pub secret_files: Vec<PathBuf>,
    /// Whether this is the demo: console codes are allowed, the developer's drawer is shown.
    pub demo: bool,
}

/// `[telemetry]`.
#[derive(Clone, Debug)]
pub struct TelemetryConfig {
    /// `log`: filter as in `info,guest_cabinet=debug` (`info`).
    pub log: String,
    /// `format`: `json` or `pretty` (`json`; in the demo `pretty`).
    pub json: bool,
    /// `access_log`: log every answer; else successful warm reads are only counted (`false`).
    pub access_log: bool,
    /// `otlp_url`: where traces go, OTLP over HTTP (off).
    pub otlp_url: Option<Url>,
}

/// Why the program does not start: one line per problem.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

impl Config {
    /// Reads the merged sources.
    ///
    /// # Errors
    /// Every problem found, one line each.
    pub fn read(sources: Sources, demo: bool) -> Result<Self, ConfigError> {
        if sources.unread {
            return Err(ConfigError(sources.problems));
        }
        let mut problems = Problems {
            lines: sources.problems,
            ..Problems::default()
        };
        let mut root = Section::root(sources.tree);
        let config = Self::read_root(&mut root, demo, &mut problems);
        root.finish(&mut problems);
        config.tell_apart(&mut problems);
        if problems.lines.is_empty() {
            let is_in_file = |setting: &String| !sources.variables.contains_key(setting);
            let file = sources.file.filter(|_| problems.inline_secrets.iter().any(is_in_file));
            return Ok(Self {
                secret_files: file.into_iter().chain(problems.secret_files).collect(),
                ..config
            });
        }
        let named = |line: String| match line.split_once(": ") {
            Some((setting, what)) if sources.variables.contains_key(setting) => {
                format!("{setting} ({}): {what}", sources.variables[setting])
            }
            _ => line,
        };
        Err(ConfigError(problems.lines.into_iter().map(named).collect()))
    }

    fn read_root(root: &mut Section, demo: bool, problems: &mut Problems) -> Self {
        let listen = Self::address(root, "listen", 8080, problems);
        let admin_listen = Self::address(root, "admin_listen", 9090, problems);
        let (zone_name, time_zone) = Self::zone(root, problems);
        let what = "at least 32 random bytes, for example from `openssl rand -base64 32`";
        let secret = root.required_secret("secret", what, problems);
        let secret_previous = root.secret("secret_previous", problems);
        for (key, secret) in [("secret", &secret), ("secret_previous", &secret_previous)] {
            if secret.as_ref().is_some_and(|secret| secret.expose_secret().len() < 32) {
                problems.add(key, "is too short: at least 32 bytes");
            }
        }
        root.replaced(["settling", "wait_ms"], "probonus.late_effect_ms", problems);
        Self {
            listen,
            admin_listen,
            public_url: Self::public_url(root, listen, problems),
            secret: secret.unwrap_or_default(),
            secret_previous,
            business_day_start: root
                .parsed("business_day_start", "a time such as 06:00", problems)
                .unwrap_or_default(),
            store_url: Self::store_url(root.section("store", problems), problems),
            probonus: ProbonusConfig::read(root.section("probonus", problems), problems),
            delivery: DeliveryConfig::read(root.section("delivery", problems), demo, problems),
            cache: CacheConfig::read(root.section("cache", problems), problems),
            auth: AuthConfig::read(root.section("auth", problems), problems),
            web: WebConfig::read(root.section("web", problems), problems),
            partners: partners::read(root.section("partners", problems), problems),
            program: ProgramConfig::read(root.section("program", problems), &zone_name, problems),
            telemetry: TelemetryConfig::read(root.section("telemetry", problems), demo, problems),
            time_zone,
            secret_files: Vec::new(),
            demo,
        }
    }

    /// An address and port; `localhost` is this machine's.
    fn address(root: &mut Section, key: &str, port: u16, problems: &mut Problems) -> SocketAddr {
        let default = SocketAddr::from(([127, 0, 0, 1], port));
        let Some(text) = root.text(key, problems) else {
            return default;
        };
        let numeric = match text.trim().strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}"),
            None => text.trim().to_owned(),
        };
        numeric.parse().unwrap_or_else(|_| {
            problems.add(key, "must be an address such as 127.0.0.1:8080");
            default
        })
    }

    fn zone(root: &mut Section, problems: &mut Problems) -> (String, TimeZone) {
        let name = root.text("time_zone", problems);
        let name = name.unwrap_or_else(|| "Europe/Moscow".into());
        if let Ok(zone) = TimeZone::get(&name) {
            return (name, zone);
        }
        problems.add("time_zone", "must be an IANA time zone such as Europe/Moscow");
        ("UTC".into(), TimeZone::UTC)
    }

    fn public_url(root: &mut Section, listen: SocketAddr, problems: &mut Problems) -> Url {
        let default = format!("http://{listen}");
        let text = root.text("public_url", problems);
        if text.is_none() && !listen.ip().is_loopback() {
            problems.add(
                "public_url",
                "is missing: where guests reach the cabinet, for example https://lk.example.ru",
            );
        }
        let url = Url::parse(text.as_deref().unwrap_or(&default)).ok();
        let url = url
            .filter(|url| url.has_host() && (url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))));
        if let Some(url) = url {
            if let Some(part) = beyond_the_origin(&url) {
                // The session's cookie is the whole host's, and so is everything else.
                problems.add(
                    "public_url",
                    format_args!("must be an address without {part}, such as https://lk.example.ru"),
                );
            }
            return url;
        }
        if text.is_some() {
            problems.add("public_url", "must be an https address (http only on this machine)");
        }
        Url::parse("http://127.0.0.1/").expect("a constant address")
    }

    /// One socket cannot be both addresses.
    fn tell_apart(&self, problems: &mut Problems) {
        let (guests, admin) = (self.listen, self.admin_listen);
        let overlap = guests.ip() == admin.ip() || guests.ip().is_unspecified() || admin.ip().is_unspecified();
        if guests.port() != 0 && guests.port() == admin.port() && overlap {
            problems.add(
                "admin_listen",
                format_args!(
                    "must be another address than listen: both are on port {}",
                    guests.port()
                ),
            );
        }
    }

    fn store_url(mut section: Section, problems: &mut Problems) -> SecretString {
        let url = section
            .secret("url", problems)
            .unwrap_or_else(|| "sqlite:///var/lib/guest-cabinet/state.db".into());
        let text = url.expose_secret();
        if !["sqlite:", "postgres://", "postgresql://"]
            .iter()
            .any(|scheme| text.starts_with(scheme))
        {
            problems.add(
                "store.url",
                "must be sqlite:///path/to/state.db or postgres://user@host/database",
            );
        }
        section.finish(problems);
        url
    }

    /// The origin of `public_url`, as browsers send it; by plain http on this machine under each of the machine's names, for people
    /// type any of them.
    #[must_use]
    pub fn own_origins(&self) -> Vec<String> {
        let origin = |url: &Url| url.origin().ascii_serialization();
        let mut origins = vec![origin(&self.public_url)];
        if self.plain_loopback() {
            let named = |name| {
                let mut url = self.public_url.clone();
                url.set_host(Some(name)).is_ok().then(|| origin(&url))
            };
            origins.extend(["localhost", "127.0.0.1", "[::1]"].into_iter().filter_map(named));
            origins.sort_unstable();
            origins.dedup();
        }
        origins
    }

    /// Whether guests reach us by plain http on this machine, where a `Secure` cookie would be lost.
    #[must_use]
    pub fn plain_loopback(&self) -> bool {
        self.public_url.scheme() == "http"
    }
}

impl TelemetryConfig {
    fn read(mut section: Section, demo: bool, problems: &mut Problems) -> Self {
        let formats = if demo {
            [("pretty", false), ("json", true)]
        } else {
            [("json", true), ("pretty", false)]
        };
        let telemetry = Self {
            log: section.text("log", problems).unwrap_or_else(|| "info".into()),
            json: probonus::choice(&mut section, "format", &formats, problems),
            access_log: section.flag("access_log", false, problems),
            otlp_url: section.parsed(
                "otlp_url",
                "an address such as http://127.0.0.1:4318/v1/traces",
                problems,
            ),
        };
        section.finish(problems);
        telemetry
    }
}

/// What an address has besides scheme, host and port.
fn beyond_the_origin(url: &Url) -> Option<&'static str> {
    if !url.username().is_empty() || url.password().is_some() {
        Some("a user and password")
    } else if url.query().is_some() {
        Some("a query")
    } else if url.fragment().is_some() {
        Some("a fragment")
    } else if url.path() != "/" {
        Some("a path")
    } else {
        None
    }
}

/// Whether `url` names this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}
