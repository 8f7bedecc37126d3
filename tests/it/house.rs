//! The house keeps its own rules: who may import whom, one home per heavy dependency, documents that match the program.

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms and tools, and the rooms each may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("http", &["sign_in", "cabinet", "partner", "delivery", "store"]),
    ("sign_in", &["delivery", "store"]),
    ("cabinet", &["probonus", "store"]),
    ("partner", &["probonus", "store"]),
    ("delivery", &["store"]),
    ("probonus", &[]),
    ("store", &[]),
    ("model", &[]),
    ("sandbox", &[]),
    ("clock", &[]),
    ("entropy", &[]),
    ("keys", &[]),
    ("retry_after", &[]),
    ("config", &[]),
    ("telemetry", &[]),
];

/// What every room may use and uses no room.
const TOOLS: &[&str] = &[
    "model",
    "clock",
    "entropy",
    "keys",
    "retry_after",
    "config",
    "telemetry",
];

/// Files that see everything: they wire the rooms together, or look at all of them for the operator.
const SEE_ALL: &[&str] = &["app", "cli", "demo", "doctor", "lib", "main"];

/// A heavy dependency and the places it may be named in.
const HOMES: &[(&str, &[&str])] = &[
    ("axum", &["http", "sandbox", "app"]),
    ("reqwest", &["probonus", "delivery", "doctor"]),
    ("sqlx", &["store"]),
    (
        "moka",
        &[
            "sign_in/cache.rs",
            "probonus/resilience/failure_memory.rs",
            "probonus/resilience/rate_limit.rs",
        ],
    ),
    (
        "quick_cache",
        &["cabinet/guests.rs", "partner/check_guids.rs", "sign_in/cache.rs"],
    ),
    ("jsonwebtoken", &["sign_in/token.rs"]),
    ("utoipa", &["http", "cabinet", "partner", "model", "config", "sandbox"]),
    ("clap", &["cli"]),
];

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    assert!(found.len() > 30, "the sources are read");
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<(String, String)>) {
    let entries: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder of sources")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    for path in entries {
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let name = path.strip_prefix(root).expect("inside").display().to_string();
            found.push((name, fs::read_to_string(&path).expect("a source is text")));
        }
    }
}

/// The code without comments and without the unit tests at its end.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn room_of(name: &str) -> &str {
    name.split('/').next().unwrap_or(name).trim_end_matches(".rs")
}

#[test]
fn rooms_import_only_what_stands_behind_them() {
    let mut offences = Vec::new();
    for (name, text) in sources() {
        let room = room_of(&name);
        if SEE_ALL.contains(&room) {
            continue;
        }
        let (_, allowed) = MAY_USE
            .iter()
            .find(|(known, _)| *known == room)
            .unwrap_or_else(|| panic!("{name} belongs to no room the rule knows"));
        let code = code(&text);
        for (other, _) in MAY_USE.iter().filter(|(other, _)| *other != room) {
            // Tools may use tools; the sandbox stands apart and knows only the vocabulary and time.
            let allowed = if room == "sandbox" {
                ["model", "clock", "entropy"].contains(other)
            } else {
                allowed.contains(other) || TOOLS.contains(other)
            };
            if !allowed && code.contains(&format!("crate::{other}")) {
                offences.push(format!("{name} uses {other}"));
            }
        }
        for above in ["app", "cli", "demo", "doctor"] {
            if code.contains(&format!("crate::{above}::")) {
                offences.push(format!("{name} uses {above}"));
            }
        }
    }
    assert!(offences.is_empty(), "{offences:#?}");
}

#[test]
fn every_heavy_dependency_has_one_home() {
    let mut offences = Vec::new();
    for (name, text) in sources() {
        let code = code(&text);
        for (dependency, homes) in HOMES {
            let at_home = homes.iter().any(|home| name == *home || room_of(&name) == *home);
            let named = [
                format!("use {dependency}::"),
                format!(" {dependency}::"),
                format!("({dependency}::"),
                format!("&{dependency}::"),
                format!("<{dependency}::"),
                format!("#[{dependency}"),
            ];
            if !at_home && named.iter().any(|shape| code.contains(shape.as_str())) {
                offences.push(format!("{name} uses {dependency}"));
            }
        }
    }
    assert!(offences.is_empty(), "{offences:#?}");
}

#[test]
fn every_module_says_what_it_is() {
    let silent: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(name, _)| name)
        .collect();
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn the_kept_openapi_document_is_the_programs_own() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/guest-cabinet.json");
    let kept = fs::read_to_string(kept).unwrap_or_default();
    assert!(
        kept == guest_cabinet::http::document_text(),
        "the contract has changed: run `cargo run -- openapi > openapi/guest-cabinet.json` and look at the difference"
    );
}

#[test]
fn every_metric_says_what_it_means() {
    let quoted = |text: &str| {
        let names = text.split('"').filter(|part| part.starts_with("cabinet_"));
        let plain = |name: &&str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        names
            .filter(plain)
            .map(str::to_owned)
            .collect::<std::collections::BTreeSet<_>>()
    };
    let sources = sources();
    let (telemetry, rooms): (Vec<_>, Vec<_>) = sources.iter().partition(|(name, _)| name == "telemetry.rs");
    let explained = quoted(&telemetry[0].1);
    let counted = rooms
        .iter()
        .filter(|(_, text)| text.contains("metrics"))
        .flat_map(|(_, text)| quoted(text));
    let missing: Vec<_> = counted.filter(|name| !explained.contains(name)).collect();
    assert!(explained.len() > 20 && missing.is_empty(), "{missing:?}");
}
