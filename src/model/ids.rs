//! Ids of ProBonus, kept as opaque text.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An id that cannot be one: empty, longer than 64 characters, or with characters that stand for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id")]
pub struct InvalidId;

/// The longest id, in characters.
const MAX_CHARS: usize = 64;

/// Whether ProBonus may have handed it out: any text without control characters. `.` and `..` are none, since an address cannot hold them.
fn is_id(text: &str) -> bool {
    let empty = text.trim().is_empty() || text.bytes().all(|b| b == b'.');
    !empty && text.chars().count() <= MAX_CHARS && !text.chars().any(char::is_control)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String, min_length = 1, max_length = 64, example = "10021")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes `text` when it can be an id.
            ///
            /// # Errors
            /// [`InvalidId`] for anything that no ProBonus hands out.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                is_id(text).then(|| Self(text.into())).ok_or(InvalidId)
            }

            /// Whether it looks as ids usually do: letters of ASCII, digits and what joins them. Only such an id is worth asking for on
            /// nothing but a caller's word.
            #[must_use]
            pub fn is_usual(&self) -> bool {
                self.0.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
            }

            /// The id's text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }
    };
}

id!(
    /// An account (a guest's bonus account) in ProBonus.
    AccountId
);
id!(
    /// A check (a receipt) in ProBonus.
    CheckId
);
id!(
    /// A movement on an account in ProBonus. We never ask for one by its id.
    TransactionId
);
id!(
    /// An account group in ProBonus.
    GroupId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_any_text_that_is_not_too_long() {
        let longest = "Щ".repeat(MAX_CHARS);
        for id in [
            "5012",
            "Счёт-1",
            "a/b?c=1#d&e%20",
            "{10000000-0000-4000-8000-000000000001}",
            "№ 7",
            "日本",
            "a.b",
            &longest,
        ] {
            assert!(CheckId::parse(id).is_ok(), "{id}");
        }
        let too_long = "1".repeat(MAX_CHARS + 1);
        for none in ["", " ", ".", "..", "a\0", "a\n", "\u{7f}", &too_long] {
            assert!(CheckId::parse(none).is_err(), "{none:?}");
        }
    }
}
