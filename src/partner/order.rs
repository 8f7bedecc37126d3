//! What partners order, in its canonical form.

use serde::{Deserialize, Serialize};

use crate::model::{AccountId, Money, Phone};

/// Whose account an order is about. `Debug` is masked.
#[derive(Clone, PartialEq, Eq)]
pub enum Whose {
    /// By id.
    Account(AccountId),
    /// By phone; looked up when the order is carried out.
    Phone(Phone),
}

impl std::fmt::Debug for Whose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Whose(…)")
    }
}

/// A purchase made outside the restaurant's tills; sums are non-negative.
#[derive(Clone, Debug)]
pub struct CheckOrder {
    /// Its GUID.
    pub check_guid: uuid::Uuid,
    /// Whose.
    pub whose: Whose,
    /// The restaurant's code.
    pub restaurant_code: i64,
    /// The station's code.
    pub unit_code: i64,
    /// The number in the outside system.
    pub external_number: String,
    /// Bonuses paid with.
    pub bonus_spent: Money,
    /// Discount.
    pub discount: Money,
    /// Bonuses given.
    pub bonus_accrued: Money,
    /// Money paid.
    pub money_spent: Money,
    /// What was bought, for reports.
    pub content: Option<String>,
}

/// Bonuses given by an outside system.
#[derive(Clone, Debug)]
pub struct RefillOrder {
    /// The partner's own key of the order.
    pub key: String,
    /// The key as versions kept it that took its quotes for a part of it.
    pub key_quoted: Option<String>,
    /// Whose.
    pub whose: Whose,
    /// How much.
    pub amount: Money,
    /// What for.
    pub comment: Option<String>,
}

/// An order.
#[derive(Clone, Debug)]
pub enum Order {
    /// An outside check.
    Check(CheckOrder),
    /// A refill.
    Refill(RefillOrder),
}

/// An order as it stands sealed on disk; `account` is known once it was looked up.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    pub account: Option<String>,
    pub phone: Option<String>,
    pub what: What,
}

/// What is ordered.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum What {
    Check {
        guid: uuid::Uuid,
        restaurant: i64,
        unit: i64,
        number: String,
        spent: Money,
        discount: Money,
        accrued: Money,
        money: Money,
        content: Option<String>,
    },
    Refill {
        amount: Money,
        comment: Option<String>,
    },
}

impl Order {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Check(_) => "check",
            Self::Refill(_) => "refill",
        }
    }

    pub(super) fn whose(&self) -> &Whose {
        match self {
            Self::Check(order) => &order.whose,
            Self::Refill(order) => &order.whose,
        }
    }

    /// The order as it is kept; the same order is always kept in the same words.
    pub(super) fn kept(&self) -> Kept {
        let (account, phone) = match self.whose() {
            Whose::Account(id) => (Some(id.as_str().to_owned()), None),
            Whose::Phone(phone) => (None, Some(phone.e164().to_owned())),
        };
        let what = match self {
            Self::Check(order) => What::Check {
                guid: order.check_guid,
                restaurant: order.restaurant_code,
                unit: order.unit_code,
                number: order.external_number.clone(),
                spent: order.bonus_spent,
                discount: order.discount,
                accrued: order.bonus_accrued,
                money: order.money_spent,
                content: order.content.clone(),
            },
            Self::Refill(order) => What::Refill {
                amount: order.amount,
                comment: order.comment.clone(),
            },
        };
        Kept { account, phone, what }
    }
}
