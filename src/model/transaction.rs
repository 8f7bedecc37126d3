//! Movements on the guest's account.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CheckId, Money, RestaurantRef, TransactionId};

/// What kind of movement it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransactionKind {
    /// Bonuses given for a purchase.
    Accrual,
    /// Bonuses paid with.
    Spend,
    /// Bonuses whose time ran out.
    Burn,
    /// Bonuses given by an outside system.
    Refill,
    /// Bonuses given back.
    Refund,
    /// Anything else, corrections by hand among it.
    Adjustment,
}

/// One movement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Transaction {
    /// Its id in ProBonus.
    pub id: TransactionId,
    /// When.
    pub occurred_at: Timestamp,
    /// What kind.
    pub kind: TransactionKind,
    /// How much, in kopecks; plus is the guest's gain.
    pub amount: Money,
    /// The balance after it, when ProBonus says.
    pub balance_after: Option<Money>,
    /// The check it belongs to.
    pub check_id: Option<CheckId>,
    /// Where.
    pub restaurant: Option<RestaurantRef>,
    /// ProBonus' comment.
    pub comment: Option<String>,
}
