//! Where settings come from: the file first, the environment over it, as one tree.

use std::path::Path;

use toml::{Table, Value};

/// The merged tree and what went wrong while merging.
#[derive(Debug, Default)]
pub struct Sources {
    /// All settings.
    pub tree: Table,
    /// Lines about unreadable sources.
    pub problems: Vec<String>,
}

const PREFIX: &str = "CABINET_";

/// Reads `file`, when given, and lays the variables `CABINET_<SECTION>__<KEY>` over it.
pub fn read_sources(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Sources {
    let mut sources = Sources::default();
    if let Some(file) = file {
        match std::fs::read_to_string(file) {
            Err(error) => sources
                .problems
                .push(format!("{}: cannot be read: {error}", file.display())),
            Ok(text) => match text.parse::<Table>() {
                Ok(tree) => sources.tree = tree,
                Err(error) => sources.problems.push(broken_toml(file, &text, &error)),
            },
        }
    }
    let mut variables: Vec<(String, String)> = environment.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    variables.sort();
    for (name, value) in variables {
        let path: Vec<String> = name[PREFIX.len()..].split("__").map(str::to_ascii_lowercase).collect();
        if !lay(&mut sources.tree, &path, value) {
            sources.problems.push(format!("{name}: does not name a setting"));
        }
    }
    sources
}

/// One line that shows no value: the file may hold secrets.
fn broken_toml(file: &Path, text: &str, error: &toml::de::Error) -> String {
    let line = error
        .span()
        .map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    format!("{}: line {line}: not TOML: {}", file.display(), error.message())
}

fn lay(table: &mut Table, path: &[String], value: String) -> bool {
    match path {
        [] => false,
        [key] if key.is_empty() => false,
        [key] => {
            table.insert(key.clone(), Value::String(value));
            true
        }
        [key, rest @ ..] => {
            let entry = table.entry(key.clone()).or_insert_with(|| Value::Table(Table::new()));
            match entry {
                Value::Table(inner) if !key.is_empty() => lay(inner, rest, value),
                _ => false,
            }
        }
    }
}
