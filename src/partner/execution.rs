//! Carrying an order out: whose account, then attempts, repeated only while it is certain that nothing was done.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::attempt::{Attempts, Tried};
use super::evidence::{Evidence, Verdict};
use super::journal::Journal;
use super::order::Order;
use super::{Ledger, Operation, PartnerError};
use crate::clock::Deadline;
use crate::model::{AccountId, OperationState, UnknownReason};
use crate::store::{OperationRow, Registering, Release};

/// A call of which nothing was done is tried again after this long, within the request's time.
const RETRY: Duration = Duration::from_millis(500);

/// How an order was carried out.
enum Done {
    /// It was before, in a state that was lost.
    Before(OperationState),
    /// By attempts.
    Now(Tried),
}

/// Carries orders out.
pub(super) struct Execution {
    ledger: Arc<dyn Ledger>,
    journal: Arc<Journal>,
    evidence: Arc<Evidence>,
    attempts: Arc<Attempts>,
    wake: Arc<Notify>,
}

impl Execution {
    /// `wake` is told of operations that are to be settled.
    pub fn new(
        ledger: Arc<dyn Ledger>,
        (journal, evidence, attempts): (Arc<Journal>, Arc<Evidence>, Arc<Attempts>),
        wake: Arc<Notify>,
    ) -> Self {
        Self {
            ledger,
            journal,
            evidence,
            attempts,
            wake,
        }
    }

    /// The owner, whose lease ends at `held`, carries the order out for a partner that waits.
    ///
    /// # Errors
    /// Nothing is known to have been done; when it is certain that nothing was, the operation is forgotten.
    pub async fn carry_out(
        &self,
        row: OperationRow,
        held: Deadline,
        order: Order,
        deadline: Deadline,
    ) -> Result<Operation, PartnerError> {
        let work = self.carry_out_owned(&row, order, deadline);
        let done = self.journal.leases.while_owned(&row, held, work).await;
        done.unwrap_or(Err(PartnerError::InProgress))
    }

    async fn carry_out_owned(
        &self,
        row: &OperationRow,
        order: Order,
        deadline: Deadline,
    ) -> Result<Operation, PartnerError> {
        match self.find_or_try(row, order, deadline).await {
            Ok(Done::Before(state)) => Ok(Operation {
                state,
                ..Operation::of_row(row, true)
            }),
            Ok(Done::Now(Tried::Registered)) => Ok(self.became(row, OperationState::Registered)),
            Ok(Done::Now(Tried::Rejected)) => Err(PartnerError::Rejected { replayed: false }),
            Ok(Done::Now(Tried::Unknown)) => {
                let now_us = self.journal.now_us();
                self.journal.release(row, unknown_now(now_us)).await;
                self.wake.notify_one();
                Ok(self.became(row, OperationState::Unknown))
            }
            Ok(Done::Now(Tried::Undone(error))) => {
                self.journal.forget(row).await;
                Err(error.into())
            }
            Err(PartnerError::InProgress) => Err(PartnerError::InProgress),
            // Nothing was sent.
            Err(error) => {
                self.journal.forget(row).await;
                Err(error)
            }
        }
    }

    async fn find_or_try(&self, row: &OperationRow, order: Order, deadline: Deadline) -> Result<Done, PartnerError> {
        let (account, order) = self.with_account(order, deadline).await?;
        if let Some(state) = self.look_first(row, (&account, &order), deadline).await? {
            return Ok(Done::Before(state));
        }
        let tried = self.try_until(row, (&account, &order), deadline).await?;
        Ok(Done::Now(tried))
    }

    /// After a restore of an older state: looks for the order of an operation of which nothing is known to have been sent, before it is.
    /// What became of it, unless it is absent, or there is nothing to look for.
    ///
    /// # Errors
    /// When it cannot be looked for: then nothing may be sent.
    pub async fn look_first(
        &self,
        row: &OperationRow,
        (account, order): (&AccountId, &Order),
        deadline: Deadline,
    ) -> Result<Option<OperationState>, PartnerError> {
        if self.journal.restores.lost_since_us().is_none() {
            return Ok(None);
        }
        let seen = self.evidence.look(row, (account, order), deadline).await?;
        let reason = match seen.verdict {
            Verdict::Absent => return Ok(None),
            Verdict::Doubtful(reason) => reason,
            Verdict::Booked(shown_by) => {
                let found = (account, order);
                match self.journal.registered(row, found, Some(&shown_by)).await? {
                    Registering::Done | Registering::Decided => return Ok(Some(OperationState::Registered)),
                    Registering::ClaimedElsewhere => UnknownReason::ClaimedElsewhere,
                }
            }
        };
        let release = Release {
            reason: Some(reason),
            ..unknown_now(self.journal.now_us())
        };
        self.journal.doubted(row, order, release).await?;
        Ok(Some(OperationState::Unknown))
    }

    /// Attempts, repeated within the time there is while nothing was done for certain.
    async fn try_until(
        &self,
        row: &OperationRow,
        (account, order): (&AccountId, &Order),
        deadline: Deadline,
    ) -> Result<Tried, PartnerError> {
        loop {
            let tried = self.attempts.attempt(row, (account, order), deadline).await?;
            let Tried::Undone(error) = tried else {
                return Ok(tried);
            };
            let wait = error.retry_after().unwrap_or(RETRY).max(RETRY);
            if deadline.remaining() <= wait + RETRY {
                return Ok(tried);
            }
            tokio::time::sleep(wait).await;
            // Whoever turns a call away with 429 says that it did nothing. What is shown all the same is believed more.
            let turned_away = error.retry_after().is_some();
            if turned_away && self.shows(row, (account, order), deadline).await {
                return Ok(Tried::Registered);
            }
        }
    }

    /// Whether ProBonus shows the order: then it is registered.
    async fn shows(&self, row: &OperationRow, (account, order): (&AccountId, &Order), deadline: Deadline) -> bool {
        let Ok(seen) = self.evidence.look(row, (account, order), deadline).await else {
            return false;
        };
        let Verdict::Booked(shown_by) = seen.verdict else {
            return false;
        };
        let done = self.journal.registered(row, (account, order), Some(&shown_by)).await;
        !matches!(done, Ok(Registering::ClaimedElsewhere) | Err(_))
    }

    /// The order with the account that it is about; asked for when only the phone was named.
    ///
    /// # Errors
    /// When there is none, or it cannot be asked for.
    pub async fn with_account(&self, order: Order, deadline: Deadline) -> Result<(AccountId, Order), PartnerError> {
        if let Some(account) = order.account.clone() {
            return Ok((account, order));
        }
        let phone = order.phone.as_ref().ok_or(PartnerError::Internal)?;
        let found = self.ledger.find_by_phone(phone, deadline).await?;
        let account = found.ok_or(PartnerError::AccountAbsent)?.id;
        let order = Order {
            account: Some(account.clone()),
            ..order
        };
        Ok((account, order))
    }

    fn became(&self, row: &OperationRow, state: OperationState) -> Operation {
        Operation {
            state,
            changed_at_us: self.journal.now_us(),
            attempts: row.attempts + 1,
            ..Operation::of_row(row, false)
        }
    }
}

/// A call just ended without a known outcome: it is looked for at once.
pub(super) fn unknown_now(now_us: i64) -> Release {
    Release {
        due_at_us: now_us,
        now_us,
        history_lag_us: None,
        reason: Some(UnknownReason::LateEffect),
    }
}
