//! Checks down to the dishes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AccountId, CheckId, Money};

/// A restaurant named in a movement or check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RestaurantRef {
    /// Its code in ProBonus.
    #[schema(example = "1")]
    pub code: Option<String>,
    /// Its name, from the programme's configuration or ProBonus.
    #[schema(example = "На Мясницкой")]
    pub name: Option<String>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// Its id in ProBonus.
    pub id: CheckId,
    /// The number printed on it.
    pub number: Option<String>,
    /// Where.
    pub restaurant: Option<RestaurantRef>,
    /// When the table was opened.
    pub opened_at: Option<Timestamp>,
    /// When it was paid.
    pub closed_at: Option<Timestamp>,
    /// Dishes in order.
    pub items: Vec<CheckItem>,
    /// The whole sum, in kopecks.
    pub total: Option<Money>,
    /// Discount, in kopecks.
    pub discount: Option<Money>,
    /// Bonuses paid with, in kopecks.
    pub bonus_spent: Option<Money>,
    /// Bonuses given for it, in kopecks.
    pub bonus_accrued: Option<Money>,
    /// Money paid, in kopecks.
    pub money_spent: Option<Money>,
    /// Whose account it is, when ProBonus says; never shown, it proves the owner.
    #[serde(skip)]
    #[schema(ignore)]
    pub account_id: Option<AccountId>,
    /// The GUID it was registered under from outside; never shown.
    #[serde(skip)]
    #[schema(ignore)]
    pub check_guid: Option<String>,
}

/// One dish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckItem {
    /// What it is.
    #[schema(example = "Борщ")]
    pub name: Option<String>,
    /// How much of it, as decimal text.
    #[schema(example = "1.5", pattern = r"^-?\d+(\.\d+)?$")]
    pub quantity: Option<String>,
    /// Price of one, in kopecks.
    pub price: Option<Money>,
    /// What the line costs, in kopecks.
    pub amount: Option<Money>,
    /// Discount on the line, in kopecks.
    pub discount: Option<Money>,
}
