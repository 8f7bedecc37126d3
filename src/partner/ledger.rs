//! What partners' operations need of ProBonus, and no more: so that the promise of "once" can be tried on a thousand bad days a second.

use async_trait::async_trait;

use crate::clock::Deadline;
use crate::model::{Account, AccountGroup, AccountId, Check, CheckId, Money, OutsideCheck, Phone, Transaction};
use crate::probonus::{History, ProBonus, UpstreamError};

/// Where bonuses are booked.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// See [`ProBonus::find_by_phone`].
    async fn find_by_phone(&self, phone: &Phone, deadline: Deadline) -> Result<Option<Account>, UpstreamError>;
    /// See [`ProBonus::register_check`].
    async fn register_check(
        &self,
        account: &AccountId,
        check: &OutsideCheck,
        deadline: Deadline,
    ) -> Result<(), UpstreamError>;
    /// See [`ProBonus::refill`].
    async fn refill(
        &self,
        account: &AccountId,
        sum: Money,
        comment: &str,
        deadline: Deadline,
    ) -> Result<(), UpstreamError>;
    /// See [`ProBonus::transactions`].
    async fn transactions(
        &self,
        account: &AccountId,
        history: History,
        deadline: Deadline,
    ) -> Result<Vec<Transaction>, UpstreamError>;
    /// See [`ProBonus::pending`].
    async fn pending(&self, account: &AccountId, deadline: Deadline) -> Result<Vec<Money>, UpstreamError>;
    /// See [`ProBonus::check`].
    async fn check(&self, id: &CheckId, deadline: Deadline) -> Result<Option<Check>, UpstreamError>;
    /// See [`ProBonus::account_groups`].
    async fn account_groups(&self, deadline: Deadline) -> Result<Vec<AccountGroup>, UpstreamError>;
}

#[async_trait]
impl Ledger for ProBonus {
    async fn find_by_phone(&self, phone: &Phone, deadline: Deadline) -> Result<Option<Account>, UpstreamError> {
        self.find_by_phone(phone, deadline).await
    }

    async fn register_check(
        &self,
        account: &AccountId,
        check: &OutsideCheck,
        deadline: Deadline,
    ) -> Result<(), UpstreamError> {
        self.register_check(account, check, deadline).await
    }

    async fn refill(
        &self,
        account: &AccountId,
        sum: Money,
        comment: &str,
        deadline: Deadline,
    ) -> Result<(), UpstreamError> {
        self.refill(account, sum, comment, deadline).await
    }

    async fn transactions(
        &self,
        account: &AccountId,
        history: History,
        deadline: Deadline,
    ) -> Result<Vec<Transaction>, UpstreamError> {
        self.whole_transactions(account, history, deadline).await
    }

    async fn pending(&self, account: &AccountId, deadline: Deadline) -> Result<Vec<Money>, UpstreamError> {
        self.pending(account, deadline).await
    }

    async fn check(&self, id: &CheckId, deadline: Deadline) -> Result<Option<Check>, UpstreamError> {
        match self.check(id, deadline).await {
            // No word about the check: whatever it might be stays open.
            Err(UpstreamError::Refused { .. }) => Ok(None),
            check => check,
        }
    }

    async fn account_groups(&self, deadline: Deadline) -> Result<Vec<AccountGroup>, UpstreamError> {
        self.account_groups(deadline).await
    }
}
