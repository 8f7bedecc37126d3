//! Browsers: who may call from elsewhere, which proxies are believed, the built-in page.

use std::path::PathBuf;

use ipnet::IpNet;

use super::origins::AllowedOrigin;
use super::reader::{Problems, Section, networks};

/// `[web]`.
#[derive(Clone, Debug)]
pub struct WebConfig {
    /// `allowed_origins`: origins besides our own that may call with the cookie (`[]`).
    pub allowed_origins: Vec<AllowedOrigin>,
    /// `trusted_proxies`: addresses or networks whose `X-Forwarded-For` is believed (`[]`).
    pub trusted_proxies: Vec<IpNet>,
    /// `cabinet`: whether the built-in web cabinet is served at `/` (`true`).
    pub cabinet: bool,
    /// `static_dir`: a folder served at `/` instead of the built-in web cabinet.
    pub static_dir: Option<PathBuf>,
    /// `docs`: whether Swagger UI is served at `/docs` (`true`).
    pub docs: bool,
    /// `max_connections`: open connections at once; further ones wait to be accepted (`20000`).
    pub max_connections: usize,
    /// `max_connections_per_ip`: open connections of one address (IPv6: /64) at once; trusted proxies and this machine are not counted; 0:
    /// however many (`1000`).
    pub max_connections_per_ip: usize,
    /// `reuse_port`: whether another process of the same user may listen on the same addresses, so that a new one serves before the old one
    /// stops (`false`).
    pub reuse_port: bool,
    /// `drain_ms`: time for work in flight after SIGTERM, in milliseconds (`20000`).
    pub drain: std::time::Duration,
    /// `request_timeout_ms`: longest time for one answer, in milliseconds (`10000`).
    pub request_timeout: std::time::Duration,
}

impl WebConfig {
    pub(super) fn read(mut section: Section, problems: &mut Problems) -> Self {
        let origins = section.list("allowed_origins", problems).unwrap_or_default();
        let allowed_origins = origins.iter().filter_map(|text| {
            let origin = AllowedOrigin::parse(text);
            if origin.is_none() {
                problems.add(
                    "web.allowed_origins",
                    format_args!("{text} is not an origin such as https://lk.example.ru, https://*.example.ru or capacitor://localhost"),
                );
            }
            origin
        });
        let allowed_origins = allowed_origins.collect();
        let trusted_proxies = networks(&mut section, "trusted_proxies", problems);
        let static_dir = section.text("static_dir", problems).map(PathBuf::from);
        if static_dir.as_ref().is_some_and(|dir| !dir.is_dir()) {
            problems.add("web.static_dir", "is not a folder");
        }
        let web = Self {
            allowed_origins,
            trusted_proxies,
            cabinet: section.flag("cabinet", true, problems),
            static_dir,
            docs: section.flag("docs", true, problems),
            max_connections: count(&mut section, "max_connections", 20_000, 1, problems),
            max_connections_per_ip: count(&mut section, "max_connections_per_ip", 1000, 0, problems),
            reuse_port: section.flag("reuse_port", false, problems),
            drain: section.millis("drain_ms", 20_000, problems),
            request_timeout: std::time::Duration::from_millis(section.number(
                "request_timeout_ms",
                10_000,
                100..=120_000,
                problems,
            )),
        };
        section.finish(problems);
        web
    }
}

fn count(section: &mut Section, key: &str, default: u64, least: u64, problems: &mut Problems) -> usize {
    let number = section.number(key, default, least..=1_000_000, problems);
    usize::try_from(number).unwrap_or(usize::MAX)
}
