//! Reading a configuration tree: every problem becomes one plain line, and all of them are told at once.
//!
//! A [`Section`] hands out typed values and remembers which keys were asked for; what was never asked for is unknown.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use toml::{Table, Value};

use super::files;

/// The problems found so far, in order, and the files that secrets were read from.
#[derive(Debug, Default)]
pub struct Problems {
    /// One line each.
    pub lines: Vec<String>,
    /// What no stranger should be able to read.
    pub secret_files: Vec<PathBuf>,
    /// Secrets that stand among the settings themselves.
    pub inline_secrets: Vec<String>,
}

impl Problems {
    /// Adds a line about `key`.
    pub fn add(&mut self, key: &str, what: impl std::fmt::Display) {
        self.lines.push(format!("{key}: {what}"));
    }
}

/// One table of the tree with its place in it.
pub struct Section {
    path: String,
    table: Table,
    known: Vec<String>,
}

impl Section {
    /// The root of the tree.
    #[must_use]
    pub fn root(table: Table) -> Self {
        Self {
            path: String::new(),
            table,
            known: Vec::new(),
        }
    }

    /// The full name of `key`.
    #[must_use]
    pub fn name(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        self.known.push(key.to_owned());
        self.table.remove(key)
    }

    /// The table `key`; empty when absent. In an environment variable a JSON object or an inline table.
    pub fn section(&mut self, key: &str, problems: &mut Problems) -> Section {
        let path = self.name(key);
        let table = match self.take(key).map(structured) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(_) => {
                problems.add(&path, "must be a table of settings");
                Table::new()
            }
        };
        Section {
            path,
            table,
            known: Vec::new(),
        }
    }

    /// A setting of an earlier version whose place another took: one line that names the new one, for an old value may mean something else.
    pub fn replaced(&mut self, [table, key]: [&str; 2], by: &str, problems: &mut Problems) {
        let path = self.name(table);
        let Some(Value::Table(old)) = self.table.get_mut(table) else {
            return;
        };
        if old.remove(key).is_some() {
            problems.add(
                &format!("{path}.{key}"),
                format_args!("is no setting any more: {by} takes its place"),
            );
        }
        if old.is_empty() {
            self.table.remove(table);
        }
    }

    /// Whether anything stands under `key`.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether a table stands under `key`.
    #[must_use]
    pub fn has_table(&self, key: &str) -> bool {
        matches!(self.table.get(key), Some(Value::Table(_)))
    }

    /// The tables under this one by their free names (`partners.<name>`).
    pub fn named_sections(&mut self, problems: &mut Problems) -> BTreeMap<String, Section> {
        let names: Vec<String> = self.table.keys().cloned().collect();
        names
            .into_iter()
            .map(|name| {
                let section = self.section(&name, problems);
                (name, section)
            })
            .collect()
    }

    /// The tables of the list `key`; in an environment variable a JSON or TOML list, or one variable per member: `…__0__NAME`.
    pub fn sections(&mut self, key: &str, problems: &mut Problems) -> Vec<Section> {
        let path = self.name(key);
        let list = match self.take(key).map(structured) {
            None => Vec::new(),
            Some(Value::Array(list)) => list,
            Some(Value::Table(members)) if members.keys().all(|index| index.parse::<u16>().is_ok()) => {
                let mut members: Vec<(String, Value)> = members.into_iter().collect();
                members.sort_by_key(|(index, _)| index.parse::<u16>().ok());
                members.into_iter().map(|(_, member)| member).collect()
            }
            Some(Value::String(text)) if text.trim().is_empty() => Vec::new(),
            Some(_) => {
                problems.add(
                    &path,
                    "must be a list of tables (in the environment: a JSON list of objects)",
                );
                Vec::new()
            }
        };
        let mut sections = Vec::new();
        for (index, item) in list.into_iter().enumerate() {
            let path = format!("{path}[{index}]");
            match item {
                Value::Table(table) => sections.push(Section {
                    path,
                    table,
                    known: Vec::new(),
                }),
                _ => problems.add(&path, "must be a table"),
            }
        }
        sections
    }

    /// Text, if given.
    pub fn text(&mut self, key: &str, problems: &mut Problems) -> Option<String> {
        let path = self.name(key);
        match self.take(key)? {
            Value::String(text) => Some(text),
            Value::Integer(number) => Some(number.to_string()),
            Value::Float(number) => Some(number.to_string()),
            Value::Boolean(flag) => Some(flag.to_string()),
            Value::Datetime(moment) => Some(moment.to_string()),
            _ => {
                problems.add(&path, "must be text");
                None
            }
        }
    }

    /// Text that must be given and not be empty.
    pub fn required_text(&mut self, key: &str, what: &str, problems: &mut Problems) -> String {
        let path = self.name(key);
        let text = self.text(key, problems).unwrap_or_default();
        if text.is_empty() {
            problems.add(&path, format_args!("is missing: {what}"));
        }
        text
    }

    /// A value with its own `FromStr`, if given.
    pub fn parsed<T: std::str::FromStr>(&mut self, key: &str, expected: &str, problems: &mut Problems) -> Option<T> {
        let path = self.name(key);
        let text = self.text(key, problems)?;
        let parsed = text.trim().parse().ok();
        if parsed.is_none() {
            problems.add(&path, format_args!("must be {expected}"));
        }
        parsed
    }

    /// A whole number within bounds.
    pub fn number(
        &mut self,
        key: &str,
        default: u64,
        bounds: std::ops::RangeInclusive<u64>,
        problems: &mut Problems,
    ) -> u64 {
        let path = self.name(key);
        let expected = format!("a whole number from {} to {}", bounds.start(), bounds.end());
        match self.parsed::<u64>(key, &expected, problems) {
            Some(number) if bounds.contains(&number) => number,
            Some(_) => {
                problems.add(&path, format_args!("must be {expected}"));
                default
            }
            None => default,
        }
    }

    /// A duration in milliseconds, from zero to ten years.
    pub fn millis(&mut self, key: &str, default: u64, problems: &mut Problems) -> Duration {
        Duration::from_millis(self.number(key, default, 0..=315_360_000_000, problems))
    }

    /// Yes or no.
    pub fn flag(&mut self, key: &str, default: bool, problems: &mut Problems) -> bool {
        self.parsed(key, "true or false", problems).unwrap_or(default)
    }

    /// A list of texts: a TOML list, or in the environment a comma-separated text or a JSON list.
    pub fn list(&mut self, key: &str, problems: &mut Problems) -> Option<Vec<String>> {
        let path = self.name(key);
        let texts = match structured(self.take(key)?) {
            Value::Array(items) => items
                .into_iter()
                .map(|item| match item {
                    Value::String(text) => Some(text),
                    Value::Integer(number) => Some(number.to_string()),
                    _ => None,
                })
                .collect(),
            Value::String(text) if !text.trim_start().starts_with('[') => {
                let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
                Some(texts.map(str::to_owned).collect())
            }
            _ => None,
        };
        if texts.is_none() {
            problems.add(&path, "must be a list of texts");
        }
        texts
    }

    /// A secret that must be given; one line when it is not.
    pub fn required_secret(&mut self, key: &str, what: &str, problems: &mut Problems) -> Option<SecretString> {
        let before = problems.lines.len();
        let secret = self.secret(key, problems);
        if secret.is_none() && problems.lines.len() == before {
            problems.add(&self.name(key), format_args!("is missing: {what}"));
        }
        secret
    }

    /// A secret: `key`, or the content of the file named by `key_file`, less blank lines at its end. An empty one counts as none.
    pub fn secret(&mut self, key: &str, problems: &mut Problems) -> Option<SecretString> {
        let path = self.name(key);
        let file_key = format!("{key}_file");
        let inline = self.text(key, problems).filter(|text| !text.is_empty());
        let file = self.text(&file_key, problems).map(PathBuf::from);
        match (inline, file) {
            (Some(_), Some(_)) => {
                problems.add(&path, format_args!("is given twice, also by {file_key}: keep one"));
                None
            }
            (Some(text), None) => {
                problems.inline_secrets.push(path);
                Some(text.into())
            }
            (None, Some(file)) => match files::read_text(&file) {
                Ok(text) => {
                    problems.secret_files.push(file);
                    Some(files::without_blank_end(&text).to_owned().into())
                }
                Err(what) => {
                    problems.add(&self.name(&file_key), format_args!("{} {what}", file.display()));
                    None
                }
            },
            (None, None) => None,
        }
    }

    /// Every key that nobody asked for is a problem.
    pub fn finish(self, problems: &mut Problems) {
        for key in self.table.keys() {
            let path = self.name(key);
            match nearest(key, &self.known) {
                Some(known) => problems.add(
                    &path,
                    format_args!("is not a setting; did you mean {}?", self.name(known)),
                ),
                None => problems.add(&path, "is not a setting"),
            }
        }
    }
}

/// An address, or a network by its prefix; an IPv4 one in IPv6's clothes is IPv4.
#[must_use]
pub fn network(text: &str) -> Option<IpNet> {
    let address = |text: &str| text.parse::<IpAddr>().ok().map(|ip| IpNet::from(ip.to_canonical()));
    let network = text.trim().parse::<IpNet>().ok().or_else(|| address(text.trim()))?;
    Some(network.trunc())
}

/// The networks of the list `key`.
pub fn networks(section: &mut Section, key: &str, problems: &mut Problems) -> Vec<IpNet> {
    let path = section.name(key);
    let mut read = Vec::new();
    for text in section.list(key, problems).unwrap_or_default() {
        match network(&text) {
            Some(network) => read.push(network),
            None => problems.add(
                &path,
                format_args!("{text} is not an address or network such as 10.0.0.0/8"),
            ),
        }
    }
    read
}

/// What an environment variable spells out in JSON or TOML; anything else as it is.
fn structured(value: Value) -> Value {
    let Value::String(text) = value else { return value };
    if !text.trim_start().starts_with(['[', '{']) {
        return Value::String(text);
    }
    let json = || serde_json::from_str::<serde_json::Value>(&text).ok();
    let json = json().and_then(|json| Value::try_from(json).ok());
    let toml = || format!("value = {text}").parse::<Table>().ok()?.remove("value");
    json.or_else(toml).unwrap_or(Value::String(text))
}

/// The known key that was probably meant: not more than a third of it is written otherwise.
fn nearest<'a>(key: &str, known: &'a [String]) -> Option<&'a String> {
    let distance = |other: &str| {
        let shared = key.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
        let shared_end = key
            .chars()
            .rev()
            .zip(other.chars().rev())
            .take_while(|(a, b)| a == b)
            .count();
        key.chars()
            .count()
            .max(other.chars().count())
            .saturating_sub(shared + shared_end)
    };
    known
        .iter()
        .map(|other| (distance(other), other))
        .filter(|(distance, other)| *distance <= (other.chars().count() / 3).min(3))
        .min()
        .map(|(_, other)| other)
}
