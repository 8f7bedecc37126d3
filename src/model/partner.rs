//! What partner systems order, and what becomes of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{GroupId, Money};

/// A purchase made outside `r_keeper`, as `external/register_check` takes it. All sums are non-negative kopecks.
///
/// Serialised it is a part of sealed orders: names and order of the fields stand on disk, and a new field is left out when it is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutsideCheck {
    /// The operation's unique id; ProBonus does not check that it is.
    #[serde(rename = "guid")]
    pub check_guid: uuid::Uuid,
    /// Restaurant code (ProBonus: Settings – Restaurants).
    #[serde(rename = "restaurant")]
    pub restaurant_code: i64,
    /// Station code, for reports.
    #[serde(rename = "unit")]
    pub unit_code: i64,
    /// Number in the outside system, for reconciling two reports.
    #[serde(rename = "number")]
    pub external_number: String,
    /// Bonuses to write off.
    #[serde(rename = "spent")]
    pub bonus_spent: Money,
    /// Discount the guest got.
    pub discount: Money,
    /// Bonuses to accrue.
    #[serde(rename = "accrued")]
    pub bonus_accrued: Money,
    /// Money paid.
    #[serde(rename = "money")]
    pub money_spent: Money,
    /// Any text about the content.
    pub content: Option<String>,
}

/// Bonuses given on the initiative of an outside system. Serialised as [`OutsideCheck`] is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refill {
    /// How much, in kopecks.
    pub amount: Money,
    /// What for; the guest sees it.
    pub comment: Option<String>,
}

/// A closed set of words that columns hold.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word that stands for it in the store, in metrics and in audit records.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// What a word stands for.
            #[must_use]
            pub fn of_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

words! {
    /// What kind of order an operation carries out.
    OperationKind {
        /// An outside check.
        Check = "check",
        /// A refill.
        Refill = "refill",
    }
}

words! {
    /// How an operation stands.
    OperationState {
        /// Claimed; nothing of it has left.
        Pending = "pending",
        /// A call may have left and is not known to have ended.
        Sent = "sent",
        /// ProBonus has it.
        Registered = "registered",
        /// ProBonus, or an operator, refused it for good.
        Rejected = "rejected",
        /// It may have been done or not.
        Unknown = "unknown",
    }
}

words! {
    /// Why an operation is unknown: what its proof lacks.
    UnknownReason {
        /// The longest time after the call's end in which it may take effect is not over.
        LateEffect = "late_effect",
        /// The history shows nothing later than the call: whether it is current is not known.
        HistoryNotCurrent = "history_not_current",
        /// The history is current by now; it lagged, and is given as long again.
        HistorySettles = "history_settles",
        /// The history cannot be read.
        HistoryUnread = "history_unread",
        /// A movement of the same sum says neither that it is the order nor that it is another.
        Lookalike = "lookalike",
        /// An accrual of the same sum is on its way.
        PendingLookalike = "pending_lookalike",
        /// Another order of the account has the same number and sums.
        SameNumber = "same_number",
        /// What names the order has another sum, or is of another kind or time.
        NamedElsewhere = "named_elsewhere",
        /// The movement that shows the order settled another operation.
        ClaimedElsewhere = "claimed_elsewhere",
        /// A check that moves no bonuses leaves no trace.
        NoTrace = "no_trace",
        /// It was sent a second time, and is not sent a third time.
        SentTwice = "sent_twice",
        /// The order is sealed under a key that is gone.
        Unreadable = "unreadable",
    }
}

/// A group of accounts in ProBonus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AccountGroup {
    /// Its id.
    pub id: GroupId,
    /// Its name.
    #[schema(example = "Самостоятельно зарегистрировавшиеся")]
    pub name: Option<String>,
    /// Whether accounts may be created by its template through the API.
    pub have_template: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_stands_for_one_thing() {
        for reason in UnknownReason::ALL {
            assert_eq!(UnknownReason::of_word(reason.word()), Some(*reason));
        }
        for state in OperationState::ALL {
            assert_eq!(OperationState::of_word(state.word()), Some(*state));
        }
        assert_eq!(OperationState::of_word("nonsense"), None);
    }
}
