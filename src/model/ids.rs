//! Ids of ProBonus, kept as opaque text.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An id that cannot be one: empty, longer than 64 characters, or with characters that no such id has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id")]
pub struct InvalidId;

/// What may be asked of ProBonus or stand in an address: `A–Z a–z 0–9 . _ : { } -`, and not dots alone.
fn plain(text: &str) -> bool {
    let sane = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'{' | b'}' | b'-');
    text.bytes().all(sane) && !text.bytes().all(|b| b == b'.')
}

/// What is only ever shown: whatever ProBonus likes.
fn printable(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident of $sane:ident) => {
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
                let right = !text.is_empty() && text.len() <= 128 && text.chars().count() <= 64 && $sane(text);
                right.then(|| Self(text.into())).ok_or(InvalidId)
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
    AccountId of plain
);
id!(
    /// A check (a receipt) in ProBonus.
    CheckId of plain
);
id!(
    /// A movement on an account in ProBonus. We never ask for one by its id.
    TransactionId of printable
);
id!(
    /// An account group in ProBonus.
    GroupId of plain
);
