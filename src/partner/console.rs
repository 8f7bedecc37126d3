//! What an operator sees and decides on the command line: operations whose outcome nobody could prove.

use jiff::Timestamp;

use super::order::{Kept, What};
use crate::clock::Clock;
use crate::keys::{Keys, Purpose};
use crate::model::{Money, Phone, mark};
use crate::store::{OperationRow, Store, StoreError};

/// Lines listed at once.
const MOST: i64 = 200;

fn moment(us: i64) -> String {
    Timestamp::from_microsecond(us)
        .map(|at| at.to_string())
        .unwrap_or_default()
}

fn line(row: &OperationRow) -> String {
    format!(
        "{}  {:6}  {:10}  attempts {}  asked {}  {}",
        row.id,
        row.kind,
        row.state,
        row.attempts,
        moment(row.created_at_us),
        row.partner
    )
}

/// Operations in a state (`unknown` unless said otherwise).
///
/// # Errors
/// When the store cannot be asked.
pub async fn list(store: &Store, state: &str) -> Result<Vec<String>, StoreError> {
    Ok(store.operations_in(state, MOST).await?.iter().map(line).collect())
}

/// One operation, with what to look for in ProBonus while its order is still kept; `None` when there is none.
///
/// # Errors
/// When the store cannot be asked.
pub async fn show(store: &Store, keys: &Keys, id: &str) -> Result<Option<String>, StoreError> {
    let id = spelled(id);
    let row = match store.operation_by_id("check", &id).await? {
        Some(row) => Some(row),
        None => store.operation_by_id("refill", &id).await?,
    };
    Ok(row.map(|row| format!("{}\n{}", line(&row), details(&row, opened(keys, &row).as_ref()))))
}

/// An id as it is kept.
fn spelled(id: &str) -> String {
    id.trim().to_ascii_lowercase()
}

fn details(row: &OperationRow, kept: Option<&Kept>) -> String {
    let last_call = format!("last call  {}\n", moment(row.sent_at_us));
    let Some(kept) = kept else {
        return last_call + "order      not kept any more, or sealed under a secret that is gone";
    };
    let phone = kept.phone.as_deref().and_then(Phone::from_e164);
    let phone = phone.map_or_else(|| "-".to_owned(), |phone| phone.masked());
    let account = kept.account.as_deref().unwrap_or("not looked up");
    let order = match &kept.what {
        What::Check {
            guid,
            restaurant,
            unit,
            number,
            spent,
            discount,
            accrued,
            money,
            ..
        } => format!(
            "check      number {number}, restaurant {restaurant}, unit {unit}\n\
             kopecks    accrued {}, spent {}, discount {}, money {}\n\
             look for   a check of this account with checkGuid {guid}",
            accrued.minor(),
            spent.minor(),
            discount.minor(),
            money.minor()
        ),
        What::Refill { amount, .. } => format!(
            "kopecks    {}\nlook for   a movement of this account with {} in its comment",
            Money::minor(*amount),
            mark(&row.id)
        ),
    };
    format!("{last_call}account    {account}, phone {phone}\n{order}")
}

/// The order of an operation; `None` when it is wiped, or was sealed under a secret that is gone.
pub(super) fn opened(keys: &Keys, row: &OperationRow) -> Option<Kept> {
    let plain = keys.open(Purpose::Operation, &row.key_tag, row.sealed.as_deref()?)?;
    serde_json::from_slice(&plain).ok()
}

/// Decides an unknown operation; `false` when it is not unknown.
///
/// # Errors
/// When the store cannot be asked.
pub async fn resolve(store: &Store, clock: &Clock, id: &str, registered: bool) -> Result<bool, StoreError> {
    let state = if registered { "registered" } else { "rejected" };
    store.decide_operation(&spelled(id), state, clock.now_us()).await
}
