//! What the site has from the configuration: the theme, the manifest, the page's name, the policy for browsers.

use std::collections::BTreeMap;
use std::fmt::Write;

use http::HeaderValue;
use serde_json::json;
use url::Url;

use super::files::File;
use crate::config::Config;

/// The colours of the built-in page where the configuration names none.
const ACCENT: &str = "#1b6b50";
const BACKGROUND: &str = "#f6f4f0";
const BACKGROUND_DARK: &str = "#131211";

/// Adds `theme.css` and `manifest.webmanifest`, and fills the page's placeholders. A file of the operator's own stays as it is.
pub(super) fn add(files: &mut BTreeMap<String, File>, config: &Config) {
    if let Some(page) = files.get("index.html").and_then(File::text) {
        let page = File::new("index.html", filled(page, config));
        files.insert("index.html".into(), page);
    }
    for (name, text) in [("theme.css", theme(config)), ("manifest.webmanifest", manifest(config))] {
        files.entry(name.into()).or_insert_with(|| File::new(name, text));
    }
}

/// The page with the programme's name, colours and logo, and in the demo with the developer's drawer.
fn filled(page: &str, config: &Config) -> String {
    let colour = |key, usual: &str| escaped(config.program.theme.get(key).map_or(usual, String::as_str));
    let logo = config.program.theme.get("logo_url").map(String::as_str);
    let drawer = if config.demo {
        r#"<script type="module" src="/developer/drawer.js"></script>"#
    } else {
        ""
    };
    page.replace("%NAME%", &escaped(&config.program.name.ru))
        .replace("%BACKGROUND%", &colour("background", BACKGROUND))
        .replace("%BACKGROUND_DARK%", &colour("background_dark", BACKGROUND_DARK))
        .replace("%LOGO%", &escaped(logo.unwrap_or_default()))
        .replace("<!--DEVELOPER-->", drawer)
}

/// The operator's colours as CSS variables; empty when none is configured.
fn theme(config: &Config) -> String {
    let mut light = String::new();
    let mut dark = String::new();
    for (key, value) in &config.program.theme {
        let (block, name) = match key.strip_suffix("_dark") {
            Some(name) => (&mut dark, name),
            None => (&mut light, key.as_str()),
        };
        if matches!(name, "accent" | "background") {
            // Writing into a string cannot fail.
            let _ = write!(block, "--{name}:{value};");
        }
    }
    let mut css = String::from("/* From program.theme. */\n");
    if !light.is_empty() {
        let _ = writeln!(css, ":root{{{light}}}");
    }
    if !dark.is_empty() {
        let _ = writeln!(
            css,
            "@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}"
        );
        let _ = writeln!(css, ":root[data-theme=dark]{{{dark}}}");
    }
    css
}

fn manifest(config: &Config) -> String {
    let theme = &config.program.theme;
    let colour = |key: &str, usual: &str| theme.get(key).map_or(usual, String::as_str).to_owned();
    json!({
        "name": config.program.name.ru,
        "short_name": config.program.name.ru,
        "lang": "ru",
        "id": "/",
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "background_color": colour("background", BACKGROUND),
        "theme_color": colour("accent", ACCENT),
        "icons": [
            { "src": "/icons/icon.svg", "sizes": "any", "type": "image/svg+xml", "purpose": "any" },
            { "src": "/icons/icon-192.png", "sizes": "192x192", "type": "image/png", "purpose": "any" },
            { "src": "/icons/icon-512.png", "sizes": "512x512", "type": "image/png", "purpose": "any" },
            { "src": "/icons/maskable-512.png", "sizes": "512x512", "type": "image/png", "purpose": "maskable" },
        ],
    })
    .to_string()
}

/// The Content-Security-Policy: our own files and nothing else, no inline code, no text turned into markup.
///
/// The demo's page also speaks to the sandbox; a logo may stand on another host.
pub(super) fn policy(config: &Config) -> HeaderValue {
    let origin = |url: &Url| url.origin().ascii_serialization();
    let sandbox = if config.demo {
        format!(" {}", origin(&config.probonus.url))
    } else {
        String::new()
    };
    let logo = config
        .program
        .theme
        .get("logo_url")
        .and_then(|text| Url::parse(text).ok());
    let logo = logo
        .filter(|url| url.scheme() == "https")
        .map(|url| format!(" {}", origin(&url)));
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:{}; connect-src 'self'{sandbox}; \
         font-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types cabinet",
        logo.unwrap_or_default()
    );
    HeaderValue::try_from(policy).expect("origins are ASCII")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
