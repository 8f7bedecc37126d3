//! Taking an order: claimed once, or answered with what became of it before.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Notify;

use super::caps::breaches;
use super::execution::Execution;
use super::identity::{is_same_order, quoted_key_tag};
use super::journal::Journal;
use super::lease::LEASE;
use super::order::Submission;
use super::{Operation, PartnerError};
use crate::clock::Deadline;
use crate::config::PartnerConfig;
use crate::model::{OperationKind, OperationState};
use crate::store::OperationRow;

/// Takes orders.
pub(super) struct Submissions {
    partners: Arc<BTreeMap<String, PartnerConfig>>,
    journal: Arc<Journal>,
    execution: Arc<Execution>,
    wake: Arc<Notify>,
}

impl Submissions {
    pub fn new(
        partners: Arc<BTreeMap<String, PartnerConfig>>,
        journal: Arc<Journal>,
        execution: Arc<Execution>,
        wake: Arc<Notify>,
    ) -> Self {
        Self {
            partners,
            journal,
            execution,
            wake,
        }
    }

    /// Carries an order out, once however often and wherever it is submitted.
    ///
    /// # Errors
    /// See [`PartnerError`].
    pub async fn submit(
        &self,
        partner: &str,
        submission: &Submission,
        deadline: Deadline,
    ) -> Result<Operation, PartnerError> {
        let held = Deadline::within(LEASE);
        let row = self.journal.new_row(partner, submission)?;
        let known = if let Some(known) = self.known(partner, submission, &row).await? {
            known
        } else {
            self.within_caps(partner, submission)?;
            if self.journal.store.claim_operation(&row).await? {
                let order = submission.order.clone();
                return self.execution.carry_out(row, held, order, deadline).await;
            }
            let known = self.journal.store.operation(&row.key_tag).await?;
            known.ok_or(PartnerError::InProgress)?
        };
        if !is_same_order(&self.journal.keys, &known, partner, &submission.order)? {
            return Err(match known.kind {
                OperationKind::Check => PartnerError::CheckConflict,
                OperationKind::Refill => PartnerError::IdempotencyMismatch,
            });
        }
        self.go_on(known, (row, held), submission, deadline).await
    }

    /// What became of an operation that was claimed before; when its owner is gone and nothing was sent, whoever asks goes on.
    async fn go_on(
        &self,
        known: OperationRow,
        (row, held): (OperationRow, Deadline),
        submission: &Submission,
        deadline: Deadline,
    ) -> Result<Operation, PartnerError> {
        let store = &self.journal.store;
        match known.state {
            OperationState::Registered | OperationState::Unknown => Ok(Operation::of_row(&known, true)),
            OperationState::Rejected => Err(PartnerError::Rejected { replayed: true }),
            OperationState::Pending
                if store
                    .take_over_operation(&known.key_tag, &row.owner, row.lease_until_us, row.created_at_us)
                    .await? =>
            {
                let ours = OperationRow {
                    owner: row.owner,
                    ..known
                };
                let order = submission.order.clone();
                self.execution.carry_out(ours, held, order, deadline).await
            }
            OperationState::Sent if known.lease_until_us <= row.created_at_us => {
                self.wake.notify_one();
                Ok(Operation {
                    state: OperationState::Unknown,
                    ..Operation::of_row(&known, true)
                })
            }
            OperationState::Pending | OperationState::Sent => Err(PartnerError::InProgress),
        }
    }

    /// The operation that was claimed for this order before; for a quoted key also as a version kept it that took the quotes for a part
    /// of the key.
    async fn known(
        &self,
        partner: &str,
        submission: &Submission,
        row: &OperationRow,
    ) -> Result<Option<OperationRow>, PartnerError> {
        let store = &self.journal.store;
        if let Some(known) = store.operation(&row.key_tag).await? {
            return Ok(Some(known));
        }
        match quoted_key_tag(partner, submission.key.as_ref()) {
            Some(quoted) => Ok(store.operation(&quoted).await?),
            None => Ok(None),
        }
    }

    fn within_caps(&self, partner: &str, submission: &Submission) -> Result<(), PartnerError> {
        let config = self.partners.get(partner);
        let breaches = config.map(|config| breaches(config, &submission.order));
        match breaches.filter(|breaches| !breaches.is_empty()) {
            Some(breaches) => Err(PartnerError::BeyondCaps(breaches)),
            None => Ok(()),
        }
    }
}
