//! Settling what is not known, by reading what ProBonus booked since the attempt, and carrying out what an earlier owner left untouched.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::PartnerError;
use super::attempt::{Attempts, Tried};
use super::decision::{Decision, Rule};
use super::evidence::Evidence;
use super::execution::{Execution, unknown_now};
use super::journal::Journal;
use super::lease::LEASE;
use super::order::Order;
use crate::clock::{Deadline, micros};
use crate::model::{AccountId, OperationState, UnknownReason};
use crate::store::{OperationRow, Registering, Release};

/// How often what is due is looked for.
const BEAT: Duration = Duration::from_millis(500);

/// Operations settled side by side: one that ProBonus is slow about does not hold up the others.
const HANDS: usize = 4;

/// One settling's time.
const TIME: Duration = Duration::from_secs(15);

/// What came to nothing for a moment is tried again after this long.
const PAUSE: Duration = Duration::from_secs(2);

/// An order that cannot be opened is tried again after this long: its secret may be configured by then.
const UNREADABLE_PAUSE: Duration = Duration::from_hours(1);

/// Settles operations.
pub(super) struct Reconciliation {
    journal: Arc<Journal>,
    evidence: Arc<Evidence>,
    attempts: Arc<Attempts>,
    execution: Arc<Execution>,
    rule: Rule,
    wake: Arc<Notify>,
    stop: CancellationToken,
}

impl Reconciliation {
    pub fn new(
        (journal, evidence, attempts): (Arc<Journal>, Arc<Evidence>, Arc<Attempts>),
        execution: Arc<Execution>,
        rule: Rule,
        wake: Arc<Notify>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            journal,
            evidence,
            attempts,
            execution,
            rule,
            wake,
            stop,
        }
    }

    /// Until something is due again, or the program stops: then `false`.
    pub async fn wait(&self) -> bool {
        tokio::select! {
            () = self.wake.notified() => true,
            () = tokio::time::sleep(BEAT) => true,
            () = self.stop.cancelled() => false,
        }
    }

    /// Settles what is due.
    pub async fn settle_due(&self) {
        if self
            .journal
            .store
            .orphan_operations(self.journal.now_us())
            .await
            .is_ok()
        {
            futures_util::future::join_all((0..HANDS).map(|_| self.settle_one_by_one())).await;
        }
    }

    async fn settle_one_by_one(&self) {
        while !self.stop.is_cancelled() {
            let owner = self.journal.new_owner();
            let held = Deadline::within(LEASE);
            let (store, leases) = (&self.journal.store, &self.journal.leases);
            let claimed = store.claim_due(&owner, leases.until_us(), self.journal.now_us()).await;
            let Ok(Some(row)) = claimed else { return };
            if let Some(Some(release)) = leases.while_owned(&row, held, self.settle(&row)).await {
                self.journal.release(&row, release).await;
            }
        }
    }

    /// Goes on with an operation that is ours; says how to let go of it, nothing when it is decided.
    async fn settle(&self, row: &OperationRow) -> Option<Release> {
        let deadline = Deadline::within(TIME);
        let Some(order) = self.journal.order_of(row) else {
            return Some(self.unreadable(row));
        };
        if row.state == OperationState::Pending {
            return self.take_up(row, order, deadline).await;
        }
        let Some(account) = order.account.clone() else {
            return Some(self.unreadable(row));
        };
        let seen = self.evidence.look(row, (&account, &order), deadline).await.ok();
        match self.rule.decide(row, seen, self.journal.now_us()) {
            Decision::Registered(shown_by) => self.register(row, (&account, &order), &shown_by).await,
            Decision::SendAgain => match self.attempts.attempt(row, (&account, &order), deadline).await {
                Ok(tried) => self.after(row, "sent_once_more", tried),
                Err(_) => Some(self.again(row, PAUSE)),
            },
            Decision::LookAgain {
                pause,
                reason,
                history_lag_us,
            } => {
                if row.reason != Some(reason) {
                    tracing::warn!(target: "audit", partner = row.partner.as_str(), event = "operation_unproven", operation = row.id.as_str(), reason = reason.word(), "see guest-cabinet operations list");
                }
                Some(Release {
                    history_lag_us,
                    reason: Some(reason),
                    ..self.again(row, pause)
                })
            }
        }
    }

    /// It was found: it is registered, unless what shows it settled another operation.
    async fn register(&self, row: &OperationRow, found: (&AccountId, &Order), shown_by: &str) -> Option<Release> {
        match self.journal.registered(row, found, Some(shown_by)).await {
            Ok(Registering::Done | Registering::Decided) => {
                tell(row, "settled", "registered");
                None
            }
            Ok(Registering::ClaimedElsewhere) => Some(Release {
                reason: Some(UnknownReason::ClaimedElsewhere),
                ..self.again(row, UNREADABLE_PAUSE)
            }),
            Err(_) => Some(self.again(row, PAUSE)),
        }
    }

    /// Carries out what an owner that is gone had not sent.
    async fn take_up(&self, row: &OperationRow, order: Order, deadline: Deadline) -> Option<Release> {
        let (account, order) = match self.execution.with_account(order, deadline).await {
            Ok(found) => found,
            Err(PartnerError::AccountAbsent) => {
                tell(row, "taken_up", "account_absent");
                self.journal.forget(row).await;
                return None;
            }
            Err(_) => return Some(self.again(row, PAUSE)),
        };
        match self.execution.look_first(row, (&account, &order), deadline).await {
            Ok(None) => {}
            Ok(Some(state)) => {
                tell(row, "found_after_restore", state.word());
                return None;
            }
            Err(_) => return Some(self.again(row, PAUSE)),
        }
        match self.attempts.attempt(row, (&account, &order), deadline).await {
            Ok(tried) => self.after(row, "taken_up", tried),
            Err(PartnerError::TooMany { retry_after }) => Some(self.again(row, retry_after)),
            Err(_) => Some(self.again(row, PAUSE)),
        }
    }

    /// The audit record of an attempt that no partner waits for, and how to let go of it.
    fn after(&self, row: &OperationRow, event: &'static str, tried: Tried) -> Option<Release> {
        let (word, release) = match tried {
            Tried::Registered => ("registered", None),
            Tried::Rejected => ("rejected", None),
            Tried::Unknown => ("unknown", Some(unknown_now(self.journal.now_us()))),
            Tried::Undone(error) => {
                let pause = error.retry_after().unwrap_or(PAUSE).max(PAUSE);
                ("not_done", Some(self.again(row, pause)))
            }
        };
        tell(row, event, word);
        release
    }

    fn unreadable(&self, row: &OperationRow) -> Release {
        tracing::error!(target: "audit", partner = row.partner.as_str(), event = "operation_unreadable", operation = row.id.as_str(), "an operation was sealed under a key that is gone");
        Release {
            reason: Some(UnknownReason::Unreadable),
            ..self.again(row, UNREADABLE_PAUSE)
        }
    }

    /// As it was, after a pause.
    fn again(&self, row: &OperationRow, pause: Duration) -> Release {
        let now_us = self.journal.now_us();
        Release {
            due_at_us: now_us.saturating_add(micros(pause)),
            now_us,
            history_lag_us: row.history_lag_us,
            reason: row.reason,
        }
    }
}

fn tell(row: &OperationRow, event: &'static str, outcome: &'static str) {
    tracing::info!(target: "audit", partner = row.partner.as_str(), event, operation = row.id.as_str(), outcome);
}
