//! Where settings come from: the file first, the environment over it, as one tree.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::files::read_text;

/// The merged tree and what went wrong while merging.
#[derive(Debug, Default)]
pub struct Sources {
    /// All settings.
    pub tree: Table,
    /// Lines about unreadable sources.
    pub problems: Vec<String>,
    /// The file, when there is one.
    pub file: Option<PathBuf>,
    /// Whether the file cannot be read: what else is missing may stand in it.
    pub unread: bool,
    /// Which variable gave a setting, by the setting's full name: problems name both.
    pub variables: BTreeMap<String, String>,
}

impl Sources {
    /// These settings laid over those of `under`; problems of both are told.
    #[must_use]
    pub fn over(self, under: Self) -> Self {
        let mut laid = under;
        merge(&mut laid.tree, self.tree);
        laid.problems.extend(self.problems);
        laid.unread |= self.unread;
        laid.variables = self.variables;
        laid
    }
}

const PREFIX: &str = "CABINET_";

/// Reads `file`, when given, and lays the variables `CABINET_<SECTION>__<KEY>` over it.
pub fn read_sources(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Sources {
    let mut sources = Sources::default();
    if let Some(file) = file {
        sources.file = Some(file.to_owned());
        match read_text(file) {
            Err(what) => sources.problems.push(format!("{}: {what}", file.display())),
            Ok(text) => match text.parse::<Table>() {
                Ok(tree) => sources.tree = tree,
                Err(error) => sources.problems.push(broken_toml(file, &text, &error)),
            },
        }
    }
    sources.unread = !sources.problems.is_empty();
    let mut variables: Vec<(String, String)> = environment
        .filter(|(name, value)| name.starts_with(PREFIX) && !is_of_a_service(name, value))
        .collect();
    variables.sort();
    let mut over = Table::new();
    for (name, value) in variables {
        let path: Vec<String> = name[PREFIX.len()..].split("__").map(str::to_ascii_lowercase).collect();
        if lay(&mut over, &path, value) {
            sources.variables.insert(path.join("."), name);
        } else {
            sources.problems.push(format!("{name}: does not name a setting"));
        }
    }
    merge(&mut sources.tree, over);
    sources
}

/// Whether the variable describes a Kubernetes service, or a linked container, whose name begins as ours do: `cabinet` gives
/// `CABINET_SERVICE_HOST`, `CABINET_SERVICE_PORT`, `CABINET_SERVICE_PORT_HTTP`, `CABINET_PORT`, `CABINET_PORT_8080_TCP` and
/// `CABINET_PORT_8080_TCP_ADDR`, `cabinet-admin` the same with `CABINET_ADMIN_`. No setting has such a name.
fn is_of_a_service(name: &str, value: &str) -> bool {
    let is_address = ["tcp://", "udp://", "sctp://"]
        .iter()
        .any(|protocol| value.starts_with(protocol));
    if name.ends_with("_SERVICE_HOST") || name.ends_with("_SERVICE_PORT") || name.contains("_SERVICE_PORT_") {
        return true;
    }
    if name.ends_with("_PORT") && is_address {
        return true;
    }
    name.match_indices("_PORT_").any(|(at, found)| {
        let mut words = name[at + found.len()..].split('_');
        words.next().is_some_and(|port| port.parse::<u16>().is_ok())
            && words.next().is_some_and(|word| ["TCP", "UDP", "SCTP"].contains(&word))
            && words
                .next()
                .is_none_or(|word| ["PROTO", "PORT", "ADDR"].contains(&word))
            && words.next().is_none()
    })
}

/// Lays one tree over another. Names of tables that somebody chose are compared as the environment can spell them; a secret given in one
/// way takes the place of the same secret given in the other.
pub(crate) fn merge(under: &mut Table, over: Table) {
    for key in over.keys() {
        let twin = key.strip_suffix("_file").map_or(format!("{key}_file"), str::to_owned);
        under.remove(&twin);
    }
    for (key, value) in over {
        let known = under.keys().find(|known| spelled(known) == spelled(&key)).cloned();
        let key = known.unwrap_or(key);
        match (under.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => merge(under, over),
            (_, value) => drop(under.insert(key, value)),
        }
    }
}

fn spelled(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_")
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

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(under: &str, over: &str) -> String {
        let mut tree: Table = under.parse().expect("TOML");
        merge(&mut tree, over.parse().expect("TOML"));
        tree.to_string()
    }

    #[test]
    fn what_lies_over_replaces_a_secret_however_it_was_given() {
        assert_eq!(merged("secret = 'a'", "secret_file = '/b'"), "secret_file = \"/b\"\n");
        assert_eq!(merged("secret_file = '/a'", "secret = 'b'"), "secret = \"b\"\n");
        let both = merged("", "secret = 'a'\nsecret_file = '/b'");
        assert!(both.contains("secret_file") && both.contains("secret = "), "{both}");
    }

    #[test]
    fn the_variables_of_services_are_no_settings_and_settings_are_no_services() {
        for (name, value) in [
            ("CABINET_PORT", "tcp://10.0.0.7:8080"),
            ("CABINET_SERVICE_HOST", "10.0.0.7"),
            ("CABINET_SERVICE_PORT", "8080"),
            ("CABINET_SERVICE_PORT_HTTP", "8080"),
            ("CABINET_PORT_8080_TCP", "tcp://10.0.0.7:8080"),
            ("CABINET_PORT_8080_TCP_PROTO", "tcp"),
            ("CABINET_PORT_8080_TCP_PORT", "8080"),
            ("CABINET_PORT_8080_TCP_ADDR", "10.0.0.7"),
            ("CABINET_PORT_9090_UDP", "udp://10.0.0.7:9090"),
            ("CABINET_ADMIN_PORT", "tcp://10.0.0.8:9090"),
            ("CABINET_ADMIN_SERVICE_HOST", "10.0.0.8"),
            ("CABINET_ADMIN_PORT_9090_TCP_ADDR", "10.0.0.8"),
        ] {
            assert!(is_of_a_service(name, value), "{name}");
        }
        for (name, value) in [
            ("CABINET_PORT", "8080"),
            ("CABINET_LISTEN", "tcp://127.0.0.1:8080"),
            ("CABINET_PORT_8080", "tcp://10.0.0.7:8080"),
            ("CABINET_PORT_8080_TCP_HOST", "10.0.0.7"),
            ("CABINET_STORE__URL", "sqlite:///state.db"),
        ] {
            assert!(!is_of_a_service(name, value), "{name}");
        }
    }

    #[test]
    fn a_name_somebody_chose_is_found_as_the_environment_spells_it() {
        let merged = merged(
            "[partners.Delivery-Club]\nmax_refill = 1",
            "[partners.delivery_club]\nmax_refill = 2",
        );
        assert_eq!(merged, "[partners.Delivery-Club]\nmax_refill = 2\n");
    }
}
