//! The durable steps of an operation: what is known of it is on disk before the next thing happens, and a guest sees what was booked.

use std::sync::Arc;

use super::PartnerError;
use super::identity::{fingerprint, key_tag, likeness, open_order, public_id};
use super::lease::Leases;
use super::order::{Order, Submission};
use super::restores::Restores;
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::keys::{Keys, Purpose};
use crate::model::{AccountId, GuestKey, OperationState};
use crate::store::{
    DaySum, OperationRow, Registering, Release, Sending, Sent, Settled, SharedStore, StoreError, Subject,
    account_subject,
};

/// Two checks that were ordered further apart than this are not taken for alike, in microseconds.
const ALIKE_US: i64 = 2 * 86_400_000_000;

/// Writes down what happens to operations.
pub(super) struct Journal {
    pub store: SharedStore,
    pub keys: Arc<Keys>,
    pub leases: Leases,
    pub restores: Restores,
    clock: Clock,
    entropy: Entropy,
}

impl Journal {
    pub fn new(restores: Restores, store: SharedStore, keys: Arc<Keys>, clock: Clock, entropy: Entropy) -> Self {
        Self {
            leases: Leases::new(store.clone(), clock.clone()),
            restores,
            store,
            keys,
            clock,
            entropy,
        }
    }

    pub fn now_us(&self) -> i64 {
        self.clock.now_us()
    }

    /// The name of somebody who is about to work on an operation.
    pub fn new_owner(&self) -> Vec<u8> {
        self.entropy.bytes::<16>().to_vec()
    }

    /// The row of a new operation, owned by whoever claims it.
    ///
    /// # Errors
    /// Never in practice.
    pub fn new_row(&self, partner: &str, submission: &Submission) -> Result<OperationRow, PartnerError> {
        let (now_us, order) = (self.now_us(), &submission.order);
        let key_tag = key_tag(partner, submission);
        Ok(OperationRow {
            id: public_id(order, &key_tag),
            kind: order.kind(),
            partner: partner.to_owned(),
            fingerprint: fingerprint(&self.keys, partner, order),
            sealed: Some(self.keys.seal(Purpose::Operation, &key_tag, &order.plain()?)),
            key_tag: key_tag.to_vec(),
            state: OperationState::Pending,
            attempts: 0,
            owner: self.new_owner(),
            lease_until_us: self.leases.until_us(),
            created_at_us: now_us,
            since_us: self.restores.lost_since_us().unwrap_or(now_us),
            sent_at_us: 0,
            changed_at_us: now_us,
            history_lag_us: None,
            reason: None,
        })
    }

    /// The order of an operation; `None` when it is wiped, or sealed under a key that is gone.
    pub fn order_of(&self, row: &OperationRow) -> Option<Order> {
        open_order(&self.keys, row)
    }

    fn seal(&self, row: &OperationRow, order: &Order) -> Result<Vec<u8>, PartnerError> {
        Ok(self.keys.seal(Purpose::Operation, &row.key_tag, &order.plain()?))
    }

    /// A call is about to leave. It also proves that the operation is still ours, moments before the first byte leaves.
    ///
    /// # Errors
    /// When the store cannot be asked: then nothing may leave.
    pub async fn sent(
        &self,
        row: &OperationRow,
        order: &Order,
        account: &AccountId,
        takes: &[DaySum],
    ) -> Result<Sent, PartnerError> {
        let sealed = self.seal(row, order)?;
        let likeness = likeness(&self.keys, account, order);
        let sending = Sending {
            sealed: &sealed,
            likeness: likeness.as_ref().map(|likeness| &likeness[..]),
            lease_until_us: self.leases.until_us(),
            now_us: self.now_us(),
        };
        Ok(self.store.operation_sent(row, sending, takes).await?)
    }

    /// Of the call that was recorded last nothing left; whether that is kept.
    pub async fn undone(&self, before: &OperationRow) -> bool {
        kept(&self.store.operation_undone(before, self.now_us()).await)
    }

    /// It is certain that ProBonus has it: that is kept, and the guest sees it.
    ///
    /// # Errors
    /// When the store cannot be asked: it will be settled.
    pub async fn registered(
        &self,
        row: &OperationRow,
        (account, order): (&AccountId, &Order),
        shown_by: Option<&str>,
    ) -> Result<Registering, StoreError> {
        let subject = account_subject(&self.keys, account);
        let guest = order.phone.as_ref().map(|phone| {
            let key = self.keys.mac(Purpose::PhoneFingerprint, &[phone.e164().as_bytes()]);
            Subject::Guest(GuestKey(key))
        });
        let subjects: Vec<Subject> = std::iter::once(Subject::Account(subject)).chain(guest).collect();
        let shown = shown_by.map(|movement| Settled {
            account: &subject,
            movement,
        });
        let registering = self
            .store
            .operation_registered(row, &subjects, shown, self.now_us())
            .await;
        if let Err(error) = &registering {
            tracing::warn!(%error, "an operation's outcome could not be kept; it will be settled");
        }
        registering
    }

    /// ProBonus refused it for good.
    pub async fn rejected(&self, row: &OperationRow) {
        kept(&self.store.operation_rejected(row, self.now_us()).await);
    }

    /// Nothing was done: it may be asked for again as if it never was.
    pub async fn forget(&self, row: &OperationRow) {
        if let Err(error) = self.store.forget_operation(row).await {
            tracing::warn!(%error, "an operation that was not sent could not be forgotten; its lease runs out");
        }
    }

    /// Lets go of it. When that cannot be kept, the lease runs out.
    pub async fn release(&self, row: &OperationRow, release: Release) {
        kept(&self.store.release_operation(row, release).await);
    }

    /// Nothing was sent, and yet ProBonus may have it.
    ///
    /// # Errors
    /// When the store cannot be asked: nothing was sent.
    pub async fn doubted(&self, row: &OperationRow, order: &Order, release: Release) -> Result<(), PartnerError> {
        let sealed = self.seal(row, order)?;
        Ok(self.store.operation_doubted(row, &sealed, release).await?)
    }

    /// Whether no other order of the account has the same number and sums.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn is_number_unique(
        &self,
        row: &OperationRow,
        account: &AccountId,
        order: &Order,
    ) -> Result<bool, StoreError> {
        let Some(likeness) = likeness(&self.keys, account, order) else {
            return Ok(true);
        };
        let since_us = row.created_at_us - ALIKE_US;
        Ok(!self.store.has_alike(&row.key_tag, &likeness, since_us).await?)
    }
}

/// Whether what became of an operation was kept; else it will be settled.
fn kept(done: &Result<(), StoreError>) -> bool {
    if let Err(error) = done {
        tracing::warn!(%error, "an operation's outcome could not be kept; it will be settled");
    }
    done.is_ok()
}
