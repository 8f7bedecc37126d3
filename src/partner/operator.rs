//! What an operator sees and decides on the command line: operations whose outcome nobody could prove, and why.

use jiff::Timestamp;

use super::identity::open_order;
use super::order::{Order, What};
use crate::clock::Clock;
use crate::keys::Keys;
use crate::model::{Money, OperationKind, OperationState, Phone, UnknownReason, mark};
use crate::store::{OperationRow, Store, StoreError};

/// Lines listed at once.
const MOST: i64 = 200;

fn moment(us: i64) -> String {
    Timestamp::from_microsecond(us)
        .map(|at| at.to_string())
        .unwrap_or_default()
}

fn line(row: &OperationRow) -> String {
    let reason = match row.state {
        OperationState::Unknown => row.reason.map_or("it has not been looked for yet", explained),
        _ => "",
    };
    let line = format!(
        "{}  {:6}  {:10}  attempts {}  asked {}  {}  {reason}",
        row.id,
        row.kind.word(),
        row.state.word(),
        row.attempts,
        moment(row.created_at_us),
        row.partner
    );
    line.trim_end().to_owned()
}

/// What the proof of an unknown operation lacks, and what an operator can do about it.
fn explained(reason: UnknownReason) -> &'static str {
    match reason {
        UnknownReason::LateEffect => "waits: ProBonus may still carry the call out (probonus.late_effect_ms)",
        UnknownReason::HistoryNotCurrent => {
            "ProBonus does not show it, nor anything later than the call: its history may lag; look there and resolve"
        }
        UnknownReason::HistorySettles => {
            "ProBonus shows later movements and not this one: waits a little more, then sends it again"
        }
        UnknownReason::HistoryUnread => "ProBonus' history cannot be read",
        UnknownReason::Lookalike => "a movement of the same sum shows neither GUID nor mark: look there and resolve",
        UnknownReason::PendingLookalike => "an accrual of the same sum is on its way: it may be this one",
        UnknownReason::SameNumber => {
            "another order of the account has the same number and sums: look there and resolve"
        }
        UnknownReason::NamedElsewhere => "what names it has another sum, kind or time: look there and resolve",
        UnknownReason::ClaimedElsewhere => "what shows it settled another operation: look there and resolve",
        UnknownReason::NoTrace => {
            "a check that moves no bonuses leaves no trace in the history: look there and resolve"
        }
        UnknownReason::SentTwice => "it was sent twice and is not shown: it is not sent again; look there and resolve",
        UnknownReason::Unreadable => {
            "it is sealed under a secret that is gone: put that into secret_previous, or resolve"
        }
    }
}

/// Operations in a state (`unknown` unless said otherwise).
///
/// # Errors
/// When the store cannot be asked.
pub async fn list(store: &Store, state: &str) -> Result<Vec<String>, StoreError> {
    match OperationState::of_word(state) {
        Some(state) => Ok(store.operations_in(state, MOST).await?.iter().map(line).collect()),
        None => Ok(Vec::new()),
    }
}

/// One operation, with what to look for in ProBonus while its order is still kept; `None` when there is none.
///
/// # Errors
/// When the store cannot be asked.
pub async fn show(store: &Store, keys: &Keys, id: &str) -> Result<Option<String>, StoreError> {
    let id = spelled(id);
    let row = match store.operation_by_id(OperationKind::Check, &id).await? {
        Some(row) => Some(row),
        None => store.operation_by_id(OperationKind::Refill, &id).await?,
    };
    Ok(row.map(|row| format!("{}\n{}", line(&row), details(&row, open_order(keys, &row).as_ref()))))
}

/// An id as it is kept.
fn spelled(id: &str) -> String {
    id.trim().to_ascii_lowercase()
}

fn details(row: &OperationRow, order: Option<&Order>) -> String {
    let last_call = format!("last call  {}\n", moment(row.sent_at_us));
    let Some(order) = order else {
        return last_call + "order      not kept any more, or sealed under a secret that is gone";
    };
    let phone = order.phone.as_ref().map_or_else(|| "-".to_owned(), Phone::masked);
    let account = order.account.as_ref().map_or("not looked up", |id| id.as_str());
    let what = match &order.what {
        What::Check(check) => format!(
            "check      number {}, restaurant {}, unit {}\n\
             kopecks    accrued {}, spent {}, discount {}, money {}\n\
             look for   a check of this account with checkGuid {}",
            check.external_number,
            check.restaurant_code,
            check.unit_code,
            check.bonus_accrued.minor(),
            check.bonus_spent.minor(),
            check.discount.minor(),
            check.money_spent.minor(),
            check.check_guid,
        ),
        What::Refill(refill) => format!(
            "kopecks    {}\nlook for   a movement of this account with {} in its comment",
            Money::minor(refill.amount),
            mark(&row.id)
        ),
    };
    format!("{last_call}account    {account}, phone {phone}\n{what}")
}

/// Decides an unknown operation; `false` when it is not unknown. What a rejected one took of its partner's day is given back.
///
/// # Errors
/// When the store cannot be asked.
pub async fn resolve(store: &Store, clock: &Clock, id: &str, registered: bool) -> Result<bool, StoreError> {
    store.decide_operation(&spelled(id), registered, clock.now_us()).await
}
