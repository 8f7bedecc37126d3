//! Taking an order: claimed once, or answered with what became of it before.

use std::sync::Arc;
use std::time::Duration;

use super::caps::breaches;
use super::order::{Order, RefillOrder};
use super::{Caller, LEASE, Operation, Partner, PartnerError, State, key_of};
use crate::clock::Deadline;
use crate::keys::Purpose;
use crate::model::AccountGroup;
use crate::probonus::UpstreamError;
use crate::store::OperationRow;

/// An order is told about this long before its request runs out of time: a 503 of the request itself would say less than is known.
const ANSWERING: Duration = Duration::from_millis(400);

impl Partner {
    /// Carries an order out, once however often and wherever it is asked for. Goes on when the partner's connection breaks.
    ///
    /// # Errors
    /// See [`PartnerError`].
    pub async fn operate(
        self: &Arc<Self>,
        caller: &Caller,
        order: Order,
        deadline: Deadline,
    ) -> Result<Operation, PartnerError> {
        let (room, name) = (self.clone(), caller.name.clone());
        let work = async move {
            let outcome = room.operate_now(&name, &order, deadline.earlier_by(ANSWERING)).await;
            tell(&name, &order, &outcome);
            outcome
        };
        let span = tracing::Span::current();
        let task = self.tasks.spawn(tracing::Instrument::instrument(work, span));
        task.await.unwrap_or(Err(PartnerError::Internal))
    }

    async fn operate_now(&self, partner: &str, order: &Order, deadline: Deadline) -> Result<Operation, PartnerError> {
        let kept = order.kept();
        let canonical = serde_json::to_vec(&kept).map_err(|_| PartnerError::Internal)?;
        let held = Deadline::within(LEASE);
        let row = self.new_row(partner, order, &canonical);
        let known = if let Some(known) = self.known(partner, order, &row).await? {
            known
        } else {
            self.within_caps(partner, order)?;
            if self.store.claim_operation(&row).await? {
                return self.carry_out(row, held, kept, deadline).await;
            }
            let known = self.store.operation(&row.key_tag).await?;
            known.ok_or(PartnerError::InProgress)?
        };
        if !self.same_order(&known, partner, &canonical) {
            return Err(match order {
                Order::Check(_) => PartnerError::CheckConflict,
                Order::Refill(_) => PartnerError::IdempotencyMismatch,
            });
        }
        match known.state.as_str() {
            "registered" | "unknown" => Ok(operation(&known, true)),
            "rejected" => Err(PartnerError::Rejected { replayed: true }),
            "pending"
                if self
                    .store
                    .take_over_operation(&known.key_tag, &row.owner, row.lease_until_us, row.created_at_us)
                    .await? =>
            {
                let row = OperationRow {
                    owner: row.owner,
                    ..known
                };
                self.carry_out(row, held, kept, deadline).await
            }
            "sent" if known.lease_until_us <= row.created_at_us => {
                self.wake.notify_one();
                Ok(Operation {
                    state: State::Unknown,
                    ..operation(&known, true)
                })
            }
            _ => Err(PartnerError::InProgress),
        }
    }

    /// The operation that was claimed for this order before; for a quoted key also as a version kept it that took the quotes for a part
    /// of the key.
    async fn known(
        &self,
        partner: &str,
        order: &Order,
        row: &OperationRow,
    ) -> Result<Option<OperationRow>, PartnerError> {
        if let Some(known) = self.store.operation(&row.key_tag).await? {
            return Ok(Some(known));
        }
        match order {
            Order::Refill(RefillOrder {
                key_quoted: Some(quoted),
                ..
            }) => Ok(self.store.operation(&refill_tag(partner, quoted)).await?),
            _ => Ok(None),
        }
    }

    fn within_caps(&self, partner: &str, order: &Order) -> Result<(), PartnerError> {
        let breaches = self.partners.get(partner).map(|config| breaches(config, order));
        match breaches.filter(|breaches| !breaches.is_empty()) {
            Some(breaches) => Err(PartnerError::BeyondCaps(breaches)),
            None => Ok(()),
        }
    }

    fn new_row(&self, partner: &str, order: &Order, canonical: &[u8]) -> OperationRow {
        let now_us = self.clock.now_us();
        // A check's GUID is unique for all partners, as it is for ProBonus; an idempotency key for its partner.
        let (id, key_tag) = match order {
            Order::Check(check) => (
                check.check_guid.to_string(),
                key_of(&[b"check", check.check_guid.as_bytes()]),
            ),
            Order::Refill(refill) => (self.entropy.uuid().to_string(), refill_tag(partner, &refill.key)),
        };
        let parts: &[&[u8]] = &[b"order", partner.as_bytes(), canonical];
        OperationRow {
            id,
            kind: order.kind().to_owned(),
            partner: partner.to_owned(),
            fingerprint: self.keys.mac(Purpose::Operation, parts).to_vec(),
            sealed: Some(self.keys.seal(Purpose::Operation, &key_tag, canonical)),
            key_tag: key_tag.to_vec(),
            state: "pending".to_owned(),
            attempts: 0,
            owner: self.entropy.bytes::<16>().to_vec(),
            lease_until_us: self.lease_until_us(),
            created_at_us: now_us,
            sent_at_us: 0,
            changed_at_us: now_us,
        }
    }

    /// How an operation of the caller's stands.
    ///
    /// # Errors
    /// See [`PartnerError`]; another partner's operation is [`PartnerError::NotFound`].
    pub async fn status(&self, caller: &Caller, kind: &str, id: &str) -> Result<Operation, PartnerError> {
        let row = self.store.operation_by_id(kind, id).await?;
        let row = row
            .filter(|row| row.partner == caller.name)
            .ok_or(PartnerError::NotFound)?;
        Ok(operation(&row, false))
    }

    /// The groups of accounts.
    ///
    /// # Errors
    /// When ProBonus cannot be asked.
    pub async fn account_groups(&self, deadline: Deadline) -> Result<Vec<AccountGroup>, PartnerError> {
        Ok(self.ledger.account_groups(deadline).await?)
    }

    fn same_order(&self, row: &OperationRow, partner: &str, canonical: &[u8]) -> bool {
        let parts: &[&[u8]] = &[b"order", partner.as_bytes(), canonical];
        self.keys.verify(Purpose::Operation, parts, &row.fingerprint)
    }
}

/// What makes a partner's refill unique.
fn refill_tag(partner: &str, key: &str) -> [u8; 32] {
    key_of(&[b"refill", partner.as_bytes(), key.as_bytes()])
}

/// The audit record of an order: who, what, outcome.
fn tell(partner: &str, order: &Order, outcome: &Result<Operation, PartnerError>) {
    let (kind, became) = (order.kind(), word_of(outcome));
    let asked = match order {
        Order::Check(check) => Some(check.check_guid.to_string()),
        Order::Refill(_) => None,
    };
    let operation = outcome.as_ref().ok().map(|operation| operation.id.clone()).or(asked);
    tracing::info!(target: "audit", partner, event = kind, operation, outcome = became);
    metrics::counter!("cabinet_partner_calls_total", "kind" => kind, "outcome" => became).increment(1);
}

fn word_of(outcome: &Result<Operation, PartnerError>) -> &'static str {
    match outcome {
        Ok(Operation { replayed: true, .. }) | Err(PartnerError::Rejected { replayed: true }) => "replayed",
        Ok(operation) => operation.state.word(),
        Err(PartnerError::Rejected { .. }) => "rejected",
        Err(PartnerError::CheckConflict | PartnerError::IdempotencyMismatch) => "conflict",
        Err(PartnerError::InProgress) => "in_progress",
        Err(PartnerError::AccountAbsent) => "account_absent",
        Err(PartnerError::TooMany { .. }) => "day_used_up",
        Err(PartnerError::BeyondCaps(_)) => "beyond_caps",
        Err(_) => "not_done",
    }
}

/// A row as its partner sees it.
pub(super) fn operation(row: &OperationRow, replayed: bool) -> Operation {
    Operation {
        id: row.id.clone(),
        state: State::of(&row.state),
        attempts: row.attempts,
        created_at_us: row.created_at_us,
        changed_at_us: row.changed_at_us,
        replayed,
    }
}

impl From<UpstreamError> for PartnerError {
    fn from(error: UpstreamError) -> Self {
        match error {
            UpstreamError::Unavailable { retry_after, .. } => Self::Unavailable {
                retry_after: retry_after.unwrap_or(Duration::from_secs(1)),
            },
            UpstreamError::CredentialRefused => Self::Unavailable {
                retry_after: Duration::from_secs(5),
            },
            UpstreamError::Overloaded => Self::Overloaded,
            UpstreamError::Refused { .. } | UpstreamError::SeveralAccounts | UpstreamError::Invalid => {
                Self::UpstreamInvalid
            }
        }
    }
}
