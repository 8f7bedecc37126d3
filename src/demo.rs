//! `guest-cabinet demo`: the sandbox and the cabinet in one process, with nothing to set up. State lives in a temporary folder.

use std::path::PathBuf;

use crate::config::{Config, ConfigError, Sources, merge};
use crate::entropy::Entropy;
use crate::http::{Demo, DemoGuest};
use crate::keys::hex;
use crate::sandbox::Sandbox;

/// What the demo is configured with; the environment may override any of it.
const SETTINGS: &str = include_str!("demo.toml");

/// A folder that is removed when the demo ends.
pub struct Folder(PathBuf);

impl Folder {
    /// Makes a new one.
    ///
    /// # Errors
    /// When the system's folder for temporary files is not writable.
    pub fn new(entropy: &Entropy) -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("guest-cabinet-demo-{}", entropy.uuid().as_simple()));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The demo's configuration: its own settings, with those of `overrides` (the environment, a file) over them.
///
/// # Errors
/// When an override is of no use.
///
/// # Panics
/// Never: the settings are part of the program.
pub fn config(
    mut overrides: Sources,
    folder: &Folder,
    sandbox_url: &str,
    sandbox_token: &str,
    entropy: &Entropy,
) -> Result<Config, ConfigError> {
    let mut tree: toml::Table = SETTINGS.parse().expect("the demo's settings are TOML");
    let mut set = |path: [&str; 2], value: String| {
        let section = tree
            .entry(path[0])
            .or_insert_with(|| toml::Value::Table(toml::Table::new()));
        if let toml::Value::Table(section) = section {
            section.insert(path[1].to_owned(), toml::Value::String(value));
        }
    };
    set(["probonus", "url"], sandbox_url.to_owned());
    set(["probonus", "token"], sandbox_token.to_owned());
    set(
        ["store", "url"],
        format!("sqlite://{}", folder.0.join("state.db").display()),
    );
    tree.insert("secret".into(), toml::Value::String(hex(&entropy.bytes::<32>())));
    merge(&mut tree, std::mem::take(&mut overrides.tree));
    Config::read(Sources { tree, ..overrides }, true)
}

/// What the demo's pages are told.
#[must_use]
pub fn described(sandbox: &Sandbox) -> Demo {
    let guest = |guest: crate::sandbox::Guest| DemoGuest {
        name: guest.name.to_owned(),
        phone: guest.phone,
        note: guest.note.to_owned(),
        note_en: guest.note_en.to_owned(),
    };
    Demo {
        sandbox_url: sandbox.url(),
        guests: sandbox.guests().into_iter().map(guest).collect(),
        last_codes_url: "/demo/codes",
    }
}

/// What the demo prints when it is ready.
#[must_use]
pub fn greeting(url: &str, admin_url: &str, sandbox: &Sandbox) -> String {
    format!(
        "\n  guest-cabinet demo · демо\n\n  \
         cabinet · кабинет      {url}/\n  \
         Swagger UI             {url}/docs\n  \
         sandbox · песочница    {}/\n  \
         health · служебный     {admin_url}/health/ready\n\n  \
         guests to try · гости\n{}\n  \
         Codes appear here · коды появятся здесь. Ctrl+C ends the demo.\n",
        sandbox.url(),
        guest_lines(sandbox)
    )
}

/// What the sandbox alone prints.
#[must_use]
pub fn sandbox_greeting(sandbox: &Sandbox) -> String {
    format!(
        "\n  ProBonus sandbox · песочница   {url}/\n  OpenAPI                        {url}/openapi.json\n  \
         token · ключ                   {}\n  login, password · логин        {}, {}\n\n  \
         guests · гости\n{}\n  Ctrl+C ends it · закончить: Ctrl+C",
        sandbox.token(),
        sandbox.login().0,
        sandbox.login().1,
        guest_lines(sandbox),
        url = sandbox.url(),
    )
}

fn guest_lines(sandbox: &Sandbox) -> String {
    let line = |guest: crate::sandbox::Guest| format!("    {}  {} · {}\n", guest.phone, guest.note, guest.note_en);
    sandbox.guests().into_iter().map(line).collect()
}
