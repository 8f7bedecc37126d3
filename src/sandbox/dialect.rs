//! How this ProBonus speaks: wrapping, ids, sums, spellings, dates, how it says that there is nothing.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A dialect; every part can be changed by itself.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches, set by name over HTTP"
)]
pub struct Dialect {
    /// Around answers: `none`, `data`, `result`, `array` (one-element arrays).
    pub wrapping: Wrapping,
    /// Ids as `number` or `text`.
    pub ids: Ids,
    /// Sums as `kopecks`, `kopecks_text`, `rubles` or `rubles_text`.
    pub sums: SumStyle,
    /// Spellings of fields: `usual` or `other`.
    pub names: Names,
    /// Dates as `zoned` (RFC 3339), `iso` (without zone) or `dotted` (`dd.MM.yyyy HH:mm:ss`).
    pub dates: Dates,
    /// No such guest: `not_found`, `no_content`, `empty`, `null`, `object`, `array`, `data_null`.
    pub absent: Absent,
    /// Types of movements in Russian.
    pub russian_types: bool,
    /// All sums of movements positive: the type decides.
    pub unsigned: bool,
    /// Reads only by POST.
    pub post_reads: bool,
    /// Another header that carries the bare token; empty: `Authorization: Bearer`.
    pub token_header: String,
    /// Movements name their check.
    pub check_ids: bool,
    /// Checks name their account.
    pub check_owners: bool,
    /// Movements show comments.
    pub comments: bool,
}

/// See [`Dialect::wrapping`].
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Wrapping {
    #[default]
    None,
    Data,
    Result,
    Array,
}

/// See [`Dialect::ids`].
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Ids {
    #[default]
    Number,
    Text,
}

/// See [`Dialect::sums`].
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum SumStyle {
    #[default]
    Kopecks,
    KopecksText,
    Rubles,
    RublesText,
}

/// See [`Dialect::names`].
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Names {
    #[default]
    Usual,
    Other,
}

/// See [`Dialect::dates`].
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Dates {
    #[default]
    Zoned,
    Iso,
    Dotted,
}

/// See [`Dialect::absent`].
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Absent {
    #[default]
    NotFound,
    NoContent,
    Empty,
    Null,
    Object,
    Array,
    DataNull,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            wrapping: Wrapping::None,
            ids: Ids::Number,
            sums: SumStyle::Kopecks,
            names: Names::Usual,
            dates: Dates::Zoned,
            absent: Absent::NotFound,
            russian_types: false,
            unsigned: false,
            post_reads: false,
            token_header: String::new(),
            check_ids: true,
            check_owners: true,
            comments: true,
        }
    }
}

/// An object being written in a dialect.
pub(super) struct Object<'a> {
    dialect: &'a Dialect,
    zone: &'a TimeZone,
    members: Map<String, Value>,
}

impl Dialect {
    pub(super) fn object<'a>(&'a self, zone: &'a TimeZone) -> Object<'a> {
        Object {
            dialect: self,
            zone,
            members: Map::new(),
        }
    }

    pub(super) fn id(&self, id: i64) -> Value {
        match self.ids {
            Ids::Number => id.into(),
            Ids::Text => id.to_string().into(),
        }
    }

    pub(super) fn sum(&self, kopecks: i64) -> Value {
        let sign = if kopecks < 0 { "-" } else { "" };
        let rubles = format!("{sign}{}.{:02}", kopecks.abs() / 100, kopecks.abs() % 100);
        match self.sums {
            SumStyle::Kopecks => kopecks.into(),
            SumStyle::KopecksText => kopecks.to_string().into(),
            SumStyle::Rubles => serde_json::from_str(&rubles).unwrap_or(Value::Null),
            SumStyle::RublesText => rubles.into(),
        }
    }

    /// Kopecks of a sum that was sent; `None` when it is none.
    pub(super) fn kopecks(&self, sum: &Value) -> Option<i64> {
        let text = sum.as_str().map_or_else(|| sum.to_string(), str::to_owned);
        match self.sums {
            SumStyle::Kopecks | SumStyle::KopecksText => text.parse().ok(),
            SumStyle::Rubles | SumStyle::RublesText => {
                let (whole, part) = text.split_once('.').unwrap_or((&text, "0"));
                let part = format!("{part:0<2}");
                let whole: i64 = whole.parse().ok()?;
                let part: i64 = part.get(..2)?.parse().ok()?;
                Some(whole * 100 + if whole < 0 { -part } else { part })
            }
        }
    }

    /// The answer around a value.
    pub(super) fn wrapped(&self, value: Value) -> Value {
        match self.wrapping {
            Wrapping::None => value,
            Wrapping::Data => json!({ "data": value }),
            Wrapping::Result => json!({ "result": value, "success": true }),
            Wrapping::Array if value.is_array() => value,
            Wrapping::Array => json!([value]),
        }
    }
}

impl Object<'_> {
    /// A member with its usual and its other name.
    pub fn put(mut self, usual: &str, other: &str, value: impl Into<Value>) -> Self {
        let name = match self.dialect.names {
            Names::Usual => usual,
            Names::Other => other,
        };
        self.members.insert(name.to_owned(), value.into());
        self
    }

    pub fn id(self, usual: &str, other: &str, id: i64) -> Self {
        let value = self.dialect.id(id);
        self.put(usual, other, value)
    }

    pub fn sum(self, usual: &str, other: &str, kopecks: i64) -> Self {
        let value = self.dialect.sum(kopecks);
        self.put(usual, other, value)
    }

    pub fn moment(self, usual: &str, other: &str, at: Timestamp) -> Self {
        let zoned = at.to_zoned_datetime(self.zone.clone());
        let text = match self.dialect.dates {
            Dates::Zoned => zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            Dates::Iso => zoned.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
            Dates::Dotted => zoned.strftime("%d.%m.%Y %H:%M:%S").to_string(),
        };
        self.put(usual, other, text)
    }

    pub fn day(self, usual: &str, other: &str, day: Date) -> Self {
        let text = match self.dialect.dates {
            Dates::Zoned => day.strftime("%Y-%m-%d").to_string(),
            Dates::Iso => day.strftime("%Y-%m-%dT00:00:00").to_string(),
            Dates::Dotted => day.strftime("%d.%m.%Y").to_string(),
        };
        self.put(usual, other, text)
    }

    pub fn done(self) -> Value {
        Value::Object(self.members)
    }
}
