//! What keeps a bad day of ProBonus from becoming worse, as parts that know nothing of each other, of HTTP, or of what is called.
//!
//! `Policy` (beside this folder) is the only one that sees them all. A call passes, in this order: [`FailureMemory`] (is this guest's or
//! this argument's failure still remembered), [`ConcurrencyLimit`] (how many calls run at once), [`Throttle`] (what ProBonus would refuse
//! is refused here; [`ProbePacer`] lets a trickle through an outage), and, when a read failed, [`RetryBudget`].

mod concurrency_limit;
mod failure_memory;
mod probe_pacer;
mod rate_limit;
mod retry_budget;
mod throttle;
mod window;

pub(super) use concurrency_limit::ConcurrencyLimit;
pub(super) use failure_memory::FailureMemory;
pub(super) use probe_pacer::ProbePacer;
pub(super) use rate_limit::RateLimit;
pub(super) use retry_budget::{RetryBudget, jitter};
pub use throttle::Throttling;
pub(super) use throttle::{Outcome, Throttle, Throttled};

/// Who waits for a call: decides who is turned away first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Priority {
    /// Somebody waits for the answer.
    Foreground,
    /// Nobody does: a refresh, a look at a watched balance.
    Background,
    /// Somebody does, with an argument that may be of their own making: never the one that tries whether an outage is over.
    Speculative,
}
