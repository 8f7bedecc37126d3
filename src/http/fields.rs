//! Reading the fields of a body or a query: every wrong field is found and told at once, and none is ignored.

use std::ops::RangeInclusive;

use jiff::civil::Date;
use serde_json::{Map, Value};

use super::{FieldCode, Problem};
use crate::model::text;

/// What a request's body or query is read into.
pub trait FromFields: Sized {
    /// Takes what it knows out of `fields`; `None` when a problem was recorded.
    fn read(fields: &mut Fields) -> Option<Self>;
}

/// The fields of one object that nobody has asked for yet, and the problems found so far.
pub struct Fields {
    prefix: String,
    members: Map<String, Value>,
    problems: Vec<(String, FieldCode)>,
    /// A query knows only text: numbers are read out of it.
    textual: bool,
}

/// More problems than this are not told: whoever sends so many does not read them.
const MAX_PROBLEMS: usize = 20;

/// A field's name is the caller's own text; no more of it than this is given back.
const MAX_NAME: usize = 64;

impl Fields {
    /// The members of a JSON object.
    #[must_use]
    pub fn of_object(members: Map<String, Value>) -> Self {
        Self {
            prefix: String::new(),
            members,
            problems: Vec::new(),
            textual: false,
        }
    }

    /// The pairs of a query; a name that comes twice is a problem.
    #[must_use]
    pub fn of_query(query: &str) -> Self {
        let mut fields = Self::of_object(Map::new());
        fields.textual = true;
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if fields
                .members
                .insert(name.clone().into_owned(), Value::String(value.into_owned()))
                .is_some()
            {
                fields.problem(&name, FieldCode::NotAllowed);
            }
        }
        fields
    }

    /// Reads a whole `T`; what is left over afterwards is unknown.
    ///
    /// # Errors
    /// 422 with every field that is wrong.
    pub fn read<T: FromFields>(mut self) -> Result<T, Problem> {
        let value = T::read(&mut self);
        self.done()?;
        value.ok_or_else(|| Problem::new(super::ErrorCode::ValidationFailed))
    }

    /// Ends the reading of fields that no [`FromFields`] decides about.
    ///
    /// # Errors
    /// 422 with every field that is wrong or left over.
    pub fn done(self) -> Result<(), Problem> {
        let problems = self.finish();
        if problems.is_empty() {
            return Ok(());
        }
        Err(Problem {
            errors: problems,
            ..Problem::new(super::ErrorCode::ValidationFailed)
        })
    }

    /// All members, for who reads them by other rules.
    pub fn take_all(&mut self) -> Map<String, Value> {
        std::mem::take(&mut self.members)
    }

    fn finish(mut self) -> Vec<(String, FieldCode)> {
        for name in std::mem::take(&mut self.members).keys() {
            self.problem(name, FieldCode::Unknown);
        }
        self.problems
    }

    /// Records that `name` is wrong.
    pub fn problem(&mut self, name: &str, code: FieldCode) {
        if self.problems.len() < MAX_PROBLEMS {
            let name: String = name.chars().take(MAX_NAME).collect();
            self.problems.push((format!("{}{name}", self.prefix), code));
        }
    }

    /// Whether the field was sent at all, `null` included.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// Whether the field was sent as `null`.
    #[must_use]
    pub fn is_null(&self, name: &str) -> bool {
        matches!(self.members.get(name), Some(Value::Null))
    }

    /// The field as it was sent; `None` when absent or `null`.
    pub fn value(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name).filter(|value| !value.is_null())
    }

    /// A text of so many characters without control characters; `None` when absent or `null`, or when a problem was recorded.
    pub fn text(&mut self, name: &str, chars: RangeInclusive<usize>) -> Option<String> {
        let text = self.pasted(name, chars)?;
        if text.chars().any(char::is_control) {
            self.problem(name, FieldCode::InvalidFormat);
            return None;
        }
        Some(text)
    }

    /// A text of so many characters, whatever they are, for who reads it through what is pasted along with it; `None` when absent or
    /// `null`, or when a problem was recorded.
    pub fn pasted(&mut self, name: &str, chars: RangeInclusive<usize>) -> Option<String> {
        let Value::String(text) = self.value(name)? else {
            self.problem(name, FieldCode::WrongType);
            return None;
        };
        self.bounded(name, text, chars)
    }

    /// A name or the like as it is kept and sent on: composed (NFC), without invisible marks, trimmed, of at most so many characters;
    /// empty when nothing of it would be seen. `None` when absent or `null`, or when a problem was recorded.
    pub fn name(&mut self, name: &str, most: usize) -> Option<String> {
        // However many marks stand between the letters: what is bounded is what remains.
        let Value::String(text) = self.value(name)? else {
            self.problem(name, FieldCode::WrongType);
            return None;
        };
        let text = Some(text::composed(&text)).filter(|text| text::has_visible(text));
        let text = self.bounded(name, text.unwrap_or_default(), 0..=most)?;
        if text.chars().any(char::is_control) {
            self.problem(name, FieldCode::InvalidFormat);
            return None;
        }
        Some(text)
    }

    fn bounded(&mut self, name: &str, text: String, chars: RangeInclusive<usize>) -> Option<String> {
        let length = text.chars().count();
        if chars.contains(&length) {
            return Some(text);
        }
        let short = length < *chars.start();
        self.problem(name, if short { FieldCode::TooShort } else { FieldCode::TooLong });
        None
    }

    /// As [`Fields::text`]; absent is a problem.
    pub fn required_text(&mut self, name: &str, chars: RangeInclusive<usize>) -> Option<String> {
        self.required(name)?.text(name, chars)
    }

    /// One of the named values; `None` when absent or `null`, or when a problem was recorded.
    pub fn choice<T: Copy>(&mut self, name: &str, values: &[(&str, T)]) -> Option<T> {
        let Value::String(text) = self.value(name)? else {
            self.problem(name, FieldCode::WrongType);
            return None;
        };
        let chosen = values.iter().find(|(known, _)| *known == text).map(|(_, value)| *value);
        if chosen.is_none() {
            self.problem(name, FieldCode::NotAllowed);
        }
        chosen
    }

    /// As [`Fields::choice`]; absent is a problem.
    pub fn required_choice<T: Copy>(&mut self, name: &str, values: &[(&str, T)]) -> Option<T> {
        self.required(name)?.choice(name, values)
    }

    /// A whole number within `range`; `None` when absent or `null`, or when a problem was recorded.
    pub fn integer(&mut self, name: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let value = self.value(name)?;
        let number = match &value {
            Value::Number(number) if !self.textual => {
                if number.is_f64() {
                    None
                } else {
                    // Whole, but beyond 64 bits signed: of the right type, out of any range.
                    Some(number.as_i64().unwrap_or(i64::MAX))
                }
            }
            Value::String(text) if self.textual && is_whole(text) => Some(text.parse().unwrap_or(i64::MAX)),
            _ => None,
        };
        match number {
            None => {
                self.problem(name, FieldCode::WrongType);
                None
            }
            Some(number) if range.contains(&number) => Some(number),
            Some(_) => {
                self.problem(name, FieldCode::OutOfRange);
                None
            }
        }
    }

    /// As [`Fields::integer`]; absent is a problem.
    pub fn required_integer(&mut self, name: &str, range: RangeInclusive<i64>) -> Option<i64> {
        self.required(name)?.integer(name, range)
    }

    /// A day, `YYYY-MM-DD`; `None` when absent or `null`, or when a problem was recorded.
    pub fn date(&mut self, name: &str) -> Option<Date> {
        let Value::String(text) = self.value(name)? else {
            self.problem(name, FieldCode::WrongType);
            return None;
        };
        let shape = |text: &str| {
            text.len() == 10
                && text.bytes().enumerate().all(|(index, byte)| match index {
                    4 | 7 => byte == b'-',
                    _ => byte.is_ascii_digit(),
                })
        };
        let date = Some(text).filter(|text| shape(text)).and_then(|text| text.parse().ok());
        if date.is_none() {
            self.problem(name, FieldCode::InvalidFormat);
        }
        date
    }

    /// A list of at most `max` objects, each read by `read`; their problems are named `name.0.member`.
    pub fn each<T>(&mut self, name: &str, max: usize, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let Value::Array(list) = self.value(name)? else {
            self.problem(name, FieldCode::WrongType);
            return None;
        };
        if list.len() > max {
            self.problem(name, FieldCode::TooLong);
            return None;
        }
        let mut values = Vec::with_capacity(list.len());
        for (index, item) in list.into_iter().enumerate() {
            let Value::Object(members) = item else {
                self.problem(&format!("{name}.{index}"), FieldCode::WrongType);
                continue;
            };
            let mut inner = Self::of_object(members);
            inner.prefix = format!("{}{name}.{index}.", self.prefix);
            values.extend(read(&mut inner));
            self.problems.extend(inner.finish());
        }
        Some(values)
    }

    fn required(&mut self, name: &str) -> Option<&mut Self> {
        if self.has(name) && !self.is_null(name) {
            return Some(self);
        }
        self.members.remove(name);
        self.problem(name, FieldCode::Required);
        None
    }
}

fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> Fields {
        let Value::Object(members) = serde_json::from_str(json).expect("an object") else {
            panic!("not an object");
        };
        Fields::of_object(members)
    }

    #[test]
    fn every_wrong_field_is_told_and_none_is_ignored() {
        let mut body = fields(r#"{"a": 1, "b": "xx", "d": "2026-02-30", "n": 1.0, "u": null, "list": [{"k": 5}, 3]}"#);
        assert_eq!(body.text("a", 0..=5), None);
        assert_eq!(body.required_text("missing", 1..=5), None);
        assert_eq!(body.choice("b", &[("x", 1)]), None);
        assert_eq!(body.date("d"), None);
        assert_eq!(body.integer("n", 0..=5), None);
        let list = body.each("list", 5, |inner| inner.text("k", 1..=2));
        assert_eq!(list, Some(vec![]));
        let told = body.finish();
        let told: Vec<(&str, FieldCode)> = told.iter().map(|(name, code)| (name.as_str(), *code)).collect();
        assert_eq!(
            told,
            [
                ("a", FieldCode::WrongType),
                ("missing", FieldCode::Required),
                ("b", FieldCode::NotAllowed),
                ("d", FieldCode::InvalidFormat),
                ("n", FieldCode::WrongType),
                ("list.0.k", FieldCode::WrongType),
                ("list.1", FieldCode::WrongType),
                ("u", FieldCode::Unknown),
            ]
        );
    }

    #[test]
    fn a_query_gives_numbers_and_refuses_a_name_that_comes_twice() {
        let mut query = Fields::of_query("limit=20&big=99999999999999999999&kind=a&kind=b&plus=%2B5");
        assert_eq!(query.integer("limit", 1..=100), Some(20));
        assert_eq!(query.integer("big", 1..=100), None);
        assert_eq!(query.integer("plus", 1..=100), None);
        assert_eq!(query.text("kind", 1..=5).as_deref(), Some("b"));
        let codes: Vec<FieldCode> = query.finish().into_iter().map(|(_, code)| code).collect();
        assert_eq!(
            codes,
            [FieldCode::NotAllowed, FieldCode::OutOfRange, FieldCode::WrongType]
        );
    }
}
