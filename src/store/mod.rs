//! State that survives and is shared by replicas: the only room that knows SQL.
//!
//! One set of statements serves SQLite (embedded) and PostgreSQL (several replicas): `$1` parameters, `BIGINT` microseconds for
//! moments, `BYTEA` for sealed values and fingerprints, one statement per step that must be atomic. What is sealed is sealed before it
//! gets here; this room sees no phone, code or token.

mod account_bindings;
mod attempts;
mod challenges;
mod claims_file;
mod devices;
mod edits;
mod engine;
mod generations;
mod guesses;
mod guest_calls;
mod hints;
mod ledger_keys;
mod limits;
mod operations;
mod outbox;
mod outcomes;
mod reconciliation;
mod rekeying;
mod reports;
mod restore_watch;
mod sessions;
mod sign_ups;
mod trust;
mod views;

use std::sync::Arc;

pub use attempts::{DaySum, Release, Sending, Sent};
pub use challenges::ChallengeRow;
pub use edits::{EditLease, ShownEdit};
pub use engine::{Store, StoreError};
pub use generations::{Generation, Subject, account_subject};
pub use guesses::{Guess, Try};
pub use guest_calls::WatchedCall;
pub use hints::{Heard, Hint, Hints};
pub use ledger_keys::LedgerFound;
pub use limits::{Count, Limit};
pub use operations::OperationRow;
pub use outbox::{Claimed, NewMessage, SentMessage};
pub use outcomes::{Registering, Settled};
pub use rekeying::KeyedSession;
pub use restore_watch::LostOrders;
pub use sessions::SessionRow;
pub use sign_ups::SignUpRow;
pub use trust::{Checked, Period, UNHEARD_US};
pub use views::{Known, ViewRow};

/// The shared handle.
pub type SharedStore = Arc<Store>;
