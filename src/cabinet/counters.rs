//! How views came to be shown, counted by handles made beforehand: the hot path looks no metric up.

use metrics::{Counter, counter};

use super::Source;

/// The counted views.
#[derive(Clone, Copy, Debug)]
pub(super) enum Counted {
    Account,
    Balance,
    Transactions,
    WholeTransactions,
    Check,
}

const VIEWS: [&str; 5] = ["account", "balance", "transactions", "whole_transactions", "check"];
const RESULTS: [&str; 5] = ["hit", "miss", "coalesced", "stale", "failed"];

/// The handles.
pub(super) struct Counters([[Counter; 5]; 5]);

impl Default for Counters {
    fn default() -> Self {
        let one = |view: &'static str, result: &'static str| counter!("cabinet_view_answers_total", "view" => view, "result" => result);
        Self(VIEWS.map(|view| RESULTS.map(|result| one(view, result))))
    }
}

impl Counters {
    /// Counts one; `None`: it could not be shown.
    pub fn count(&self, view: Counted, source: Option<Source>) {
        let result = match source {
            Some(Source::Hit) => 0,
            Some(Source::Miss) => 1,
            Some(Source::Coalesced) => 2,
            Some(Source::Stale) => 3,
            None => 4,
        };
        self.0[view as usize][result].increment(1);
    }
}
