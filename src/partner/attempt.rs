//! One recorded attempt: on disk as sent, then one call, then what came of it.

use std::sync::Arc;

use super::daily_limits::DailyLimits;
use super::journal::Journal;
use super::order::{Order, What};
use super::{Ledger, PartnerError};
use crate::clock::Deadline;
use crate::model::{AccountId, mark, marked};
use crate::probonus::{Effect, UpstreamError};
use crate::store::{OperationRow, Sent};

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tried {
    /// ProBonus says that it has it.
    Registered,
    /// ProBonus refused it for good.
    Rejected,
    /// It may have been done, or may be done yet, or not.
    Unknown,
    /// Nothing was done for certain, and the operation is on disk as it was before.
    Undone(UpstreamError),
}

/// Makes attempts.
pub(super) struct Attempts {
    ledger: Arc<dyn Ledger>,
    journal: Arc<Journal>,
    limits: DailyLimits,
}

impl Attempts {
    pub fn new(ledger: Arc<dyn Ledger>, journal: Arc<Journal>, limits: DailyLimits) -> Self {
        Self {
            ledger,
            journal,
            limits,
        }
    }

    /// One attempt.
    ///
    /// # Errors
    /// Nothing left: the operation is not ours any more, the day's sum is used up, or the store cannot be asked.
    pub async fn attempt(
        &self,
        row: &OperationRow,
        (account, order): (&AccountId, &Order),
        deadline: Deadline,
    ) -> Result<Tried, PartnerError> {
        let takes = self.limits.takes(&row.partner, order);
        match self.journal.sent(row, order, account, &takes).await? {
            Sent::Yes => {}
            Sent::NotOurs => return Err(PartnerError::InProgress),
            Sent::DayUsedUp => {
                return Err(PartnerError::TooMany {
                    retry_after: self.limits.rest_of_day(),
                });
            }
        }
        let Err(error) = self.call(row, (account, order), deadline).await else {
            // When it cannot be kept, settling finds out again what is known here.
            let _ = self.journal.registered(row, (account, order), None).await;
            return Ok(Tried::Registered);
        };
        Ok(match error.effect() {
            Effect::None if self.journal.undone(row).await => Tried::Undone(error),
            Effect::None | Effect::Unknown => Tried::Unknown,
            Effect::Rejected => {
                self.journal.rejected(row).await;
                Tried::Rejected
            }
        })
    }

    /// The call itself.
    async fn call(
        &self,
        row: &OperationRow,
        (account, order): (&AccountId, &Order),
        deadline: Deadline,
    ) -> Result<(), UpstreamError> {
        match &order.what {
            What::Check(check) => self.ledger.register_check(account, check, deadline).await,
            What::Refill(refill) => {
                let comment = marked(refill.comment.as_deref(), &mark(&row.id));
                self.ledger.refill(account, refill.amount, &comment, deadline).await
            }
        }
    }
}
