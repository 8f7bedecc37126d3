//! One recorded attempt: on disk as sent, then one call, then what came of it.

use super::order::{Kept, What};
use super::{Partner, PartnerError};
use crate::clock::Deadline;
use crate::model::{AccountId, OutsideCheck, Phone, mark, marked};
use crate::probonus::{Effect, UpstreamError};
use crate::store::{DaySum, OperationRow, Sent, Subject, account_subject};

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tried {
    /// ProBonus has it.
    Registered,
    /// ProBonus refused it for good.
    Rejected,
    /// It may have been done or not.
    Unknown,
    /// ProBonus turned it away and told when to come again. Whoever repeats it looks first.
    TurnedAway,
    /// Nothing was done for certain.
    Undone(UpstreamError),
}

impl Partner {
    /// One attempt. The statement that records it also proves that the operation is still ours, moments before the first byte leaves.
    ///
    /// # Errors
    /// Nothing left: the operation is not ours any more, the day's sum is used up, or the store cannot be asked.
    pub(super) async fn attempt(
        &self,
        row: &OperationRow,
        account: &AccountId,
        kept: &Kept,
        day: Option<&DaySum>,
        deadline: Deadline,
    ) -> Result<Tried, PartnerError> {
        let plain = serde_json::to_vec(kept).map_err(|_| PartnerError::Internal)?;
        let sealed = self.keys.seal(crate::keys::Purpose::Operation, &row.key_tag, &plain);
        let (lease_until_us, now_us) = (self.lease_until_us(), self.clock.now_us());
        let sent = self.store.operation_sent(row, &sealed, lease_until_us, now_us, day);
        match sent.await? {
            Sent::Yes => {}
            Sent::NotOurs => return Err(PartnerError::InProgress),
            Sent::DayUsedUp => {
                return Err(PartnerError::TooMany {
                    retry_after: self.rest_of_day(),
                });
            }
        }
        let tried = match self.call(row, account, kept, deadline).await {
            Ok(()) => Tried::Registered,
            Err(error) => match error.effect() {
                Effect::None => Tried::Undone(error),
                Effect::Rejected => Tried::Rejected,
                Effect::Unknown if error.retry_after().is_some() => Tried::TurnedAway,
                Effect::Unknown => Tried::Unknown,
            },
        };
        self.record(row, tried, account, kept, day).await;
        Ok(tried)
    }

    /// Writes down what is certain. When that fails the row stays as sent, and settling finds out again what is known here.
    async fn record(&self, row: &OperationRow, tried: Tried, account: &AccountId, kept: &Kept, day: Option<&DaySum>) {
        match tried {
            Tried::Registered => drop(self.registered(row, account, kept).await),
            Tried::Rejected => {
                if let Err(error) = self.store.operation_rejected(row, self.clock.now_us(), day).await {
                    tracing::warn!(%error, "an operation's outcome could not be kept; it will be settled");
                }
            }
            Tried::Unknown | Tried::TurnedAway | Tried::Undone(_) => {}
        }
    }

    /// It is certain that ProBonus has it: that is kept, and the guest sees it. Whether it was news.
    pub(super) async fn registered(&self, row: &OperationRow, account: &AccountId, kept: &Kept) -> bool {
        let subjects = self.subjects(account, kept);
        let news = self
            .store
            .operation_registered(row, &subjects, self.clock.now_us())
            .await;
        if let Err(error) = &news {
            tracing::warn!(%error, "an operation's outcome could not be kept; it will be settled");
        }
        news.unwrap_or(false)
    }

    /// The call itself.
    async fn call(
        &self,
        row: &OperationRow,
        account: &AccountId,
        kept: &Kept,
        deadline: Deadline,
    ) -> Result<(), UpstreamError> {
        match &kept.what {
            What::Check { .. } => {
                let check = outside_check(account, &kept.what).ok_or(UpstreamError::Invalid)?;
                self.ledger.register_check(&check, deadline).await
            }
            What::Refill { amount, comment } => {
                let comment = marked(comment.as_deref(), &mark(&row.id));
                self.ledger.refill(account, *amount, &comment, deadline).await
            }
        }
    }

    /// Whose views an operation outdates.
    fn subjects(&self, account: &AccountId, kept: &Kept) -> Vec<Subject> {
        let phone = kept.phone.as_deref().and_then(Phone::from_e164);
        let guest = phone.map(|phone| Subject::Guest(self.guest_key(&phone)));
        let account = Subject::Account(account_subject(&self.keys, account));
        std::iter::once(account).chain(guest).collect()
    }
}

fn outside_check(account: &AccountId, what: &What) -> Option<OutsideCheck> {
    match what.clone() {
        What::Check {
            guid,
            restaurant,
            unit,
            number,
            spent,
            discount,
            accrued,
            money,
            content,
        } => Some(OutsideCheck {
            check_guid: guid,
            account_id: account.clone(),
            restaurant_code: restaurant,
            unit_code: unit,
            external_number: number,
            bonus_spent: spent,
            discount,
            bonus_accrued: accrued,
            money_spent: money,
            content,
        }),
        What::Refill { .. } => None,
    }
}
