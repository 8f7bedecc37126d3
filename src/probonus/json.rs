//! Lenient reading of ProBonus' JSON. Numbers stay text until somebody says what they are, so that no sum ever passes a float.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::error::UpstreamError;

/// A value that has not been looked into yet.
#[derive(Clone, Copy)]
pub(super) struct Json<'a>(&'a RawValue);

/// An object's members in their order.
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

pub(super) type Read<T> = Result<T, UpstreamError>;

/// The answer makes no sense.
pub(super) const NONSENSE: UpstreamError = UpstreamError::Invalid;

impl<'a> Json<'a> {
    /// One whole JSON text; some servers put a byte order mark before it.
    pub fn parse(text: &'a [u8]) -> Read<Self> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        serde_json::from_slice(text).map(Self).map_err(|_| NONSENSE)
    }

    fn first(self) -> u8 {
        self.0.get().as_bytes().first().copied().unwrap_or(b' ')
    }

    /// The JSON text itself.
    pub fn as_written(self) -> &'a str {
        self.0.get()
    }

    pub fn is_object(self) -> bool {
        self.first() == b'{'
    }

    pub fn is_list(self) -> bool {
        self.first() == b'['
    }

    /// Whether it is `true` or `false`.
    pub fn is_flag(self) -> bool {
        matches!(self.first(), b't' | b'f')
    }

    /// Whether it is a whole number above nothing.
    pub fn is_positive(self) -> bool {
        self.0.get().parse::<u64>().is_ok_and(|number| number > 0)
    }

    pub fn is_text(self) -> bool {
        self.first() == b'"'
    }

    pub fn is_null(self) -> bool {
        self.first() == b'n'
    }

    /// Whether it is `null`, `{}` or `[]`, or an array with one of them as its only element: nothing is told. `$id` and its like tell
    /// nothing either: .NET numbers objects by them.
    pub fn is_nothing(self) -> bool {
        match self.first() {
            b'n' => true,
            b'{' => self
                .object()
                .is_ok_and(|object| object.0.iter().all(|(name, _)| name.starts_with('$'))),
            b'[' => self.array().is_ok_and(|array| match array.as_slice() {
                [] => true,
                [one] => one.is_nothing(),
                _ => false,
            }),
            _ => false,
        }
    }

    /// The one element of a one-element array, or the value itself.
    pub fn single(self) -> Read<Self> {
        if self.first() != b'[' {
            return Ok(self);
        }
        match self.array()?.as_slice() {
            [one] => Ok(*one),
            _ => Err(NONSENSE),
        }
    }

    pub fn object(self) -> Read<Object<'a>> {
        serde_json::from_str(self.0.get()).map_err(|_| NONSENSE)
    }

    pub fn array(self) -> Read<Vec<Self>> {
        let items: Vec<&'a RawValue> = serde_json::from_str(self.0.get()).map_err(|_| NONSENSE)?;
        Ok(items.into_iter().map(Self).collect())
    }

    pub fn text(self) -> Read<Cow<'a, str>> {
        struct Text<'a>(Cow<'a, str>);
        impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(|text| Self(Cow::Owned(text)))
            }
        }
        serde_json::from_str(self.0.get())
            .map(|Text(text)| text)
            .map_err(|_| NONSENSE)
    }

    /// A text, or a number as it stands there.
    pub fn scalar(self) -> Read<Cow<'a, str>> {
        match self.first() {
            b'"' => self.text(),
            b'-' | b'0'..=b'9' => Ok(Cow::Borrowed(self.0.get())),
            _ => Err(NONSENSE),
        }
    }

    /// `true`, `false`, or the same as 0, 1 or text.
    pub fn flag(self) -> Read<bool> {
        match self.0.get().trim_matches('"').to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" | "" => Ok(false),
            _ => Err(NONSENSE),
        }
    }
}

impl<'a> Object<'a> {
    /// Its members in their order, `null` ones too.
    pub fn members(&self) -> impl Iterator<Item = (&str, Json<'a>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), Json(value)))
    }

    /// The first member that goes by one of `names` (whatever the case of its letters) and is told, that is, not `null`.
    pub fn get(&self, names: &[&str]) -> Option<Json<'a>> {
        names.iter().find_map(|name| {
            let member = self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            member.map(|(_, value)| Json(value))
        })
    }

    /// As [`Object::get`], `null` counting as not told.
    pub fn told(&self, names: &[&str]) -> Option<Json<'a>> {
        names
            .iter()
            .find_map(|name| self.get(&[name]).filter(|value| !value.is_null()))
    }

    /// The member read by `read`; an error when it is told and does not read.
    pub fn read<T>(&self, names: &[&str], read: impl FnOnce(Json<'a>) -> Read<T>) -> Read<Option<T>> {
        self.told(names).map(read).transpose()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, &'de RawValue>()? {
                    members.push((Cow::Owned(key), value));
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Members).map(Object)
    }
}
