//! What an operation is asked with: a query or a JSON body of the same names and values.

use rust_decimal::Decimal;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use super::ids::IdForm;

/// Arguments in their order. Numbers are kept as their digits, so that no sum passes a float on its way out.
#[derive(Default)]
pub(super) struct Arguments(Vec<(&'static str, Argument)>);

enum Argument {
    Text(String),
    /// Digits that are a JSON number as they stand.
    Number(Box<RawValue>),
    /// To be emptied.
    Null,
}

impl Arguments {
    /// With the text `value`.
    pub fn text(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.push((name, Argument::Text(value.into())));
        self
    }

    /// With the text `value` when there is one.
    pub fn maybe_text(self, name: &'static str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// With a change: a new text, or `null` where the field is to be emptied; nothing when it stays.
    #[expect(clippy::option_option, reason = "not changed and emptied are two things")]
    pub fn change(mut self, name: &'static str, change: Option<Option<String>>) -> Self {
        if let Some(value) = change {
            self.0.push((name, value.map_or(Argument::Null, Argument::Text)));
        }
        self
    }

    /// With the number `value`.
    pub fn number(mut self, name: &'static str, value: impl Into<Decimal>) -> Self {
        let digits = value.into().to_string();
        let argument = match RawValue::from_string(digits.clone()) {
            Ok(number) => Argument::Number(number),
            Err(_) => Argument::Text(digits),
        };
        self.0.push((name, argument));
        self
    }

    /// With an id as this ProBonus writes it.
    pub fn id(self, name: &'static str, id: &str, form: &IdForm) -> Self {
        match form.number(id) {
            Some(number) => self.number(name, number),
            None => self.text(name, id),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of an argument.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.texts().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The pairs of a query.
    pub fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, argument)| (*name, argument.as_text()))
    }
}

impl Argument {
    fn as_text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Number(digits) => digits.get(),
            Self::Null => "",
        }
    }
}

impl Serialize for Arguments {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_map(Some(self.0.len()))?;
        for (name, argument) in &self.0 {
            match argument {
                Argument::Text(text) => body.serialize_entry(name, text)?,
                Argument::Number(digits) => body.serialize_entry(name, digits)?,
                Argument::Null => body.serialize_entry(name, &())?,
            }
        }
        body.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_leave_digit_for_digit_and_ids_as_what_they_are() {
        let arguments = Arguments::default()
            .number("sum", Decimal::new(9_007_199_254_740_991, 2))
            .id("accountId", "5012", &IdForm::default())
            .id("groupId", "007", &IdForm::default())
            .change("email", Some(None))
            .change("lastName", None)
            .maybe_text("comment", Some("a \"b\""));
        let body = serde_json::to_string(&arguments).expect("a body");
        assert_eq!(
            body,
            r#"{"sum":90071992547409.91,"accountId":5012,"groupId":"007","email":null,"comment":"a \"b\""}"#
        );
        let query: Vec<_> = arguments.texts().collect();
        assert_eq!(
            query[..3],
            [("sum", "90071992547409.91"), ("accountId", "5012"), ("groupId", "007")]
        );
    }
}
