//! Numbers that change hands: an account gets another number or none, two numbers lead to one account, a number is mixed up with another.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::World;
use super::book::Account;
use super::control::{Done, known, wrong};

/// Numbers that lead to accounts which do not carry them.
#[derive(Clone, Default)]
pub(super) struct Detours {
    /// Of the same family: the account is told with the number that was asked for.
    shared: BTreeMap<String, i64>,
    /// Mixed up: the account is told as it is.
    mistaken: BTreeMap<String, i64>,
}

impl World {
    /// The account that a number leads to, as it is told.
    pub(super) fn found_by(&self, phone: &str) -> Option<Account> {
        let told = |id: &i64| self.book.accounts.get(id).cloned();
        if let Some(id) = self.detours.mistaken.get(phone) {
            return told(id);
        }
        if let Some(account) = self.detours.shared.get(phone).and_then(told) {
            let phone = phone.to_owned();
            return Some(Account { phone, ..account });
        }
        told(&self.book.by_phone(phone)?)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Move {
    phone: String,
    /// None when not said: the number is nobody's then.
    to: Option<String>,
}

/// Gives the account of a number another one, which whoever had it loses.
pub(super) fn move_account(world: &mut World, order: &Move) -> Done {
    let id = known(world, &order.phone)?;
    let to = order.to.as_deref().map(digits).transpose()?.unwrap_or_default();
    for account in world.book.accounts.values_mut() {
        if account.phone == to {
            account.phone.clear();
        }
        if account.id == id {
            account.phone.clone_from(&to);
        }
    }
    Ok(json!({ "account_id": id, "phone": to }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Detour {
    phone: String,
    /// Whose account it leads to.
    leads_to: String,
}

/// Lets a number lead to the account of another one, too.
pub(super) fn share(world: &mut World, order: &Detour) -> Done {
    let id = known(world, &order.leads_to)?;
    world.detours.shared.insert(digits(&order.phone)?, id);
    Ok(json!({ "account_id": id }))
}

/// Mixes a number up with another one.
pub(super) fn mix_up(world: &mut World, order: &Detour) -> Done {
    let id = known(world, &order.leads_to)?;
    world.detours.mistaken.insert(digits(&order.phone)?, id);
    Ok(json!({ "account_id": id }))
}

/// No number is mixed up any more.
pub(super) fn straighten(world: &mut World) -> Value {
    world.detours.mistaken.clear();
    json!({})
}

fn digits(phone: &str) -> Result<String, (http::StatusCode, String)> {
    let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
    if !(10..=15).contains(&digits.len()) {
        return Err(wrong("phone: as in /sandbox/guests"));
    }
    Ok(digits)
}
