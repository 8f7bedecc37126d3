//! What an operator sees and decides on the command line: operations whose outcome nobody could prove.

use jiff::Timestamp;

use crate::clock::Clock;
use crate::store::{OperationRow, Store, StoreError};

/// Lines listed at once.
const MOST: i64 = 200;

fn line(row: &OperationRow) -> String {
    let moment = |us: i64| {
        Timestamp::from_microsecond(us)
            .map(|at| at.to_string())
            .unwrap_or_default()
    };
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

/// One operation; `None` when there is none.
///
/// # Errors
/// When the store cannot be asked.
pub async fn show(store: &Store, id: &str) -> Result<Option<String>, StoreError> {
    let row = match store.operation_by_id("check", id).await? {
        Some(row) => Some(row),
        None => store.operation_by_id("refill", id).await?,
    };
    Ok(row.as_ref().map(line))
}

/// Decides an unknown operation; `false` when it is not unknown.
///
/// # Errors
/// When the store cannot be asked.
pub async fn resolve(store: &Store, clock: &Clock, id: &str, registered: bool) -> Result<bool, StoreError> {
    let state = if registered { "registered" } else { "rejected" };
    store.decide_operation(id, state, clock.now_us()).await
}
