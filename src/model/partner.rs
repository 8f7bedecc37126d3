//! What partner systems book.

use serde::Serialize;
use utoipa::ToSchema;

use super::{AccountId, GroupId, Money};

/// A purchase made outside `r_keeper`, as `external/register_check` takes it. All sums are non-negative kopecks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutsideCheck {
    /// The operation's unique id; ProBonus does not check that it is.
    pub check_guid: uuid::Uuid,
    /// Whose account.
    pub account_id: AccountId,
    /// Restaurant code (ProBonus: Settings – Restaurants).
    pub restaurant_code: i64,
    /// Station code, for reports.
    pub unit_code: i64,
    /// Number in the outside system, for reconciling two reports.
    pub external_number: String,
    /// Bonuses to write off.
    pub bonus_spent: Money,
    /// Discount the guest got.
    pub discount: Money,
    /// Bonuses to accrue.
    pub bonus_accrued: Money,
    /// Money paid.
    pub money_spent: Money,
    /// Any text about the content.
    pub content: Option<String>,
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
