//! Lenient reading of ProBonus' JSON. Numbers stay text until somebody says what they are, so that no sum ever passes a float.

use std::borrow::Cow;

use rust_decimal::Decimal;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::probonus::error::UpstreamError;

/// A value that has not been looked into yet.
#[derive(Clone, Copy)]
pub(in crate::probonus) struct Json<'a>(&'a RawValue);

/// An object's members in their order.
pub(in crate::probonus) struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

pub(in crate::probonus) type Read<T> = Result<T, UpstreamError>;

/// The answer makes no sense.
pub(in crate::probonus) const NONSENSE: UpstreamError = UpstreamError::Invalid;

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
            b'{' => self.object().is_ok_and(|object| {
                object
                    .0
                    .iter()
                    .all(|(name, _)| name.starts_with('$') && name != "$values")
            }),
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

    /// The entries of a list, also of one among `$values` or `items`; an empty object or text is an empty list.
    pub fn entries(self) -> Read<Vec<Self>> {
        let empty = self.is_object() && self.is_nothing();
        if empty || self.text().is_ok_and(|text| text.trim().is_empty()) {
            return Ok(Vec::new());
        }
        match self.object() {
            Ok(object) => object.told(&["$values", "items"]).ok_or(NONSENSE)?.array(),
            Err(_) => self.array(),
        }
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

    /// A flag in any usual spelling: as itself, as 0, 1 or -1 (which is "true" to Visual Basic and Access), or as a word.
    pub fn flag(self) -> Read<bool> {
        if self.is_flag() {
            return Ok(self.first() == b't');
        }
        let text = self.scalar()?.trim().to_lowercase();
        match text.as_str() {
            "true" | "t" | "yes" | "y" | "on" | "да" | "д" => Ok(true),
            "false" | "f" | "no" | "n" | "off" | "нет" | "н" | "" => Ok(false),
            _ => match text.parse::<Decimal>() {
                Ok(number) if number.is_zero() => Ok(false),
                Ok(number) if number.abs() == Decimal::ONE => Ok(true),
                _ => Err(NONSENSE),
            },
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
                while let Some((Name(name), value)) = map.next_entry::<Name, &'de RawValue>()? {
                    members.push((Cow::Owned(name), value));
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Members).map(Object)
    }
}

/// A member's name. Half of a character in it (`\ud800`) makes that name odd, not the object.
struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Name;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a name")
            }

            fn visit_bytes<E: Error>(self, name: &[u8]) -> Result<Name, E> {
                Ok(Name(String::from_utf8_lossy(name).into_owned()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_known_in_every_usual_spelling() {
        let flag = |text: &str| Json::parse(text.as_bytes()).expect("JSON").flag().ok();
        for yes in [
            "true",
            "1",
            "-1",
            "1.0",
            "\"Y\"",
            "\"yes\"",
            "\"Да\"",
            "\"true\"",
            "\"1\"",
            "\" TRUE \"",
        ] {
            assert_eq!(flag(yes), Some(true), "{yes}");
        }
        for no in [
            "false",
            "0",
            "0.0",
            "-0",
            "\"N\"",
            "\"no\"",
            "\"нет\"",
            "\"False\"",
            "\"0\"",
            "\"\"",
            "\" \"",
        ] {
            assert_eq!(flag(no), Some(false), "{no}");
        }
        for odd in ["2", "null", "[]", "{}", "[true]", "\"возможно\"", "\"\\ud800\"", "1e30"] {
            assert_eq!(flag(odd), None, "{odd}");
        }
    }

    #[test]
    fn half_a_character_in_a_name_costs_that_member_alone() {
        let json = Json::parse(br#"{"\ud800":1,"id":7,"name":"\ud800"}"#).expect("JSON");
        let object = json.object().expect("an object");
        assert_eq!(
            object.told(&["id"]).and_then(|id| id.scalar().ok()).as_deref(),
            Some("7")
        );
        assert!(object.told(&["name"]).is_some_and(|name| name.text().is_err()));
    }
}
