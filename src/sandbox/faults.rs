//! Faults by operation and guest: what a bad day looks like.

use serde::{Deserialize, Serialize};

use super::api::OPERATIONS;

/// A fault as it is ordered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fault {
    /// The operation's name, or `*`.
    #[serde(default = "all")]
    pub operation: String,
    /// The guest's phone (`+7…`); everybody's when not said.
    #[serde(default)]
    pub phone: Option<String>,
    /// What happens.
    pub kind: Kind,
    /// Milliseconds for `latency`, and to wait before any other kind.
    #[serde(default)]
    pub latency_ms: u64,
    /// For `status` and `error_after`.
    #[serde(default = "bad")]
    pub status: u16,
    /// Seconds for `Retry-After`.
    #[serde(default)]
    pub retry_after: Option<u64>,
    /// Seconds by the sandbox' clock for `late`.
    #[serde(default)]
    pub late_s: u32,
    /// How many calls it meets; all when not said.
    #[serde(default)]
    pub count: Option<u32>,
    /// How many in a hundred calls it meets.
    #[serde(default = "always")]
    pub percent: u64,
}

fn all() -> String {
    "*".into()
}

fn bad() -> u16 {
    500
}

fn always() -> u64 {
    100
}

impl Fault {
    /// What makes no sense about the order; nothing when it does.
    pub fn problem(&self) -> Option<&'static str> {
        let known = self.operation == "*" || OPERATIONS.iter().any(|(name, _, _)| *name == self.operation);
        if !known {
            Some("operation: one of the eleven, or *")
        } else if self.latency_ms > 120_000 {
            Some("latency_ms: at most two minutes")
        } else if http::StatusCode::from_u16(self.status).is_err() {
            Some("status: no HTTP status")
        } else if self.count == Some(0) {
            Some("count: from 1; without it every call is met")
        } else {
            None
        }
    }

    /// Whether it was ordered for the guest with this phone, however the order spells it.
    fn is_for(&self, guest: Option<&str>) -> bool {
        let Some(wanted) = &self.phone else { return true };
        let digits: String = wanted.chars().filter(char::is_ascii_digit).collect();
        let national = digits.strip_prefix('8').map(|rest| format!("7{rest}"));
        guest.is_some_and(|guest| guest == digits || national.is_some_and(|national| guest == national))
    }
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Only later.
    Latency,
    /// A status instead of the answer, nothing is done.
    Status,
    /// 200 with broken JSON.
    Garbage,
    /// 200 with a page.
    Html,
    /// The answer breaks off in the middle.
    Truncated,
    /// The answer with a wrong content type.
    WrongType,
    /// Never an answer.
    Hang,
    /// A byte a second.
    Drip,
    /// Three megabytes.
    Oversized,
    /// The connection breaks before anything is done.
    ResetBefore,
    /// It is done, then the connection breaks.
    ResetAfter,
    /// It is done, then a status says it was not.
    ErrorAfter,
    /// It is done, then never an answer.
    HangAfter,
    /// The connection breaks, and it is done `late_s` later.
    Late,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Latency,
        Self::Status,
        Self::Garbage,
        Self::Html,
        Self::Truncated,
        Self::WrongType,
        Self::Hang,
        Self::Drip,
        Self::Oversized,
        Self::ResetBefore,
        Self::ResetAfter,
        Self::ErrorAfter,
        Self::HangAfter,
        Self::Late,
    ];

    /// Whether the call takes effect all the same.
    pub fn takes_effect(self) -> bool {
        matches!(
            self,
            Self::Latency
                | Self::Truncated
                | Self::WrongType
                | Self::Drip
                | Self::ResetAfter
                | Self::ErrorAfter
                | Self::HangAfter
        )
    }

    pub fn name(self) -> String {
        serde_json::to_value(self)
            .ok()
            .and_then(|word| word.as_str().map(str::to_owned))
            .unwrap_or_default()
    }
}

/// The ordered faults; the first that fits is met.
#[derive(Default)]
pub(super) struct Faults(pub Vec<Fault>);

impl Faults {
    /// The fault that a call meets; `chance` is a number below a hundred.
    pub fn met(&mut self, operation: &str, phone: Option<&str>, chance: u64) -> Option<Fault> {
        let index = self.0.iter().position(|fault| {
            let operation = fault.operation == "*" || fault.operation == operation;
            operation && fault.is_for(phone) && chance < fault.percent
        })?;
        let fault = self.0[index].clone();
        if let Some(count) = &mut self.0[index].count {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.0.remove(index);
            }
        }
        Some(fault)
    }
}
