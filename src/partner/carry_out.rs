//! Carrying an order out for a partner that waits: whose account, then attempts, repeated only while it is certain that nothing was done.

use std::time::Duration;

use super::attempt::Tried;
use super::evidence::Finding;
use super::operate::operation;
use super::order::Kept;
use super::{Operation, Partner, PartnerError, State};
use crate::clock::Deadline;
use crate::model::{AccountId, Phone};
use crate::store::{DaySum, OperationRow};

/// A call of which nothing was done is tried again after this long, within the request's time.
const RETRY: Duration = Duration::from_millis(500);

/// What ProBonus booked although it turned the call away is shown by its history after this long at the latest, for a partner that waits.
const SHOWN: Duration = Duration::from_secs(3);

impl Partner {
    /// The owner carries the order out for a partner that waits.
    pub(super) async fn carry_out(
        &self,
        row: OperationRow,
        held: Deadline,
        kept: Kept,
        deadline: Deadline,
    ) -> Result<Operation, PartnerError> {
        let work = self.carry_out_owned(&row, kept, deadline);
        self.while_owned(&row, held, work)
            .await
            .unwrap_or(Err(PartnerError::InProgress))
    }

    async fn carry_out_owned(
        &self,
        row: &OperationRow,
        mut kept: Kept,
        deadline: Deadline,
    ) -> Result<Operation, PartnerError> {
        let day = self.day_sum(&row.partner, &kept);
        let done = async {
            let account = self.account_of(&kept, deadline).await?;
            kept.account = Some(account.as_str().to_owned());
            self.try_until(row, &account, &kept, day.as_ref(), deadline).await
        };
        match done.await {
            Ok(Tried::Registered) => Ok(self.became(row, State::Registered)),
            Ok(Tried::Rejected) => Err(PartnerError::Rejected { replayed: false }),
            Ok(Tried::Unknown | Tried::TurnedAway) => {
                let now_us = self.clock.now_us();
                if let Err(error) = self.store.release_operation(row, false, now_us, now_us).await {
                    tracing::warn!(%error, "an operation's outcome could not be kept; it will be settled");
                }
                self.wake.notify_one();
                Ok(self.became(row, State::Unknown))
            }
            Err(PartnerError::InProgress) => Err(PartnerError::InProgress),
            Ok(Tried::Undone(error)) => {
                self.forget(row, day.as_ref()).await;
                Err(error.into())
            }
            // Nothing was sent.
            Err(error) => {
                self.forget(row, None).await;
                Err(error)
            }
        }
    }

    /// Attempts, repeated within the time there is while nothing was done for certain, or reading says so.
    async fn try_until(
        &self,
        row: &OperationRow,
        account: &AccountId,
        kept: &Kept,
        day: Option<&DaySum>,
        deadline: Deadline,
    ) -> Result<Tried, PartnerError> {
        let mut tried = self.attempt(row, account, kept, day, deadline).await?;
        loop {
            let wait = match tried {
                Tried::Undone(error) => error.retry_after().unwrap_or(RETRY),
                Tried::TurnedAway => SHOWN.min(self.late_effect),
                Tried::Registered | Tried::Rejected | Tried::Unknown => return Ok(tried),
            };
            let wait = wait.max(RETRY);
            if deadline.remaining() <= wait + RETRY {
                return Ok(tried);
            }
            tokio::time::sleep(wait).await;
            if tried == Tried::TurnedAway {
                match self.look(row, account, kept, deadline).await {
                    Ok(Finding::Absent) => {}
                    Ok(Finding::Booked) => {
                        self.registered(row, account, kept).await;
                        return Ok(Tried::Registered);
                    }
                    Ok(Finding::Unprovable) | Err(_) => return Ok(Tried::Unknown),
                }
            }
            // Once it may have been done, it stays so until it is known.
            tried = match (tried, self.attempt(row, account, kept, None, deadline).await) {
                (_, Err(PartnerError::InProgress)) => return Err(PartnerError::InProgress),
                (tried, Err(_)) => return Ok(tried),
                (Tried::TurnedAway, Ok(Tried::Undone(_))) => Tried::TurnedAway,
                (_, Ok(again)) => again,
            };
        }
    }

    async fn forget(&self, row: &OperationRow, day: Option<&DaySum>) {
        if let Err(error) = self.store.forget_operation(row, day).await {
            tracing::warn!(%error, "an operation that was not sent could not be forgotten; its lease runs out");
        }
    }

    /// Whose account it is; asked for when only the phone was named.
    pub(super) async fn account_of(&self, kept: &Kept, deadline: Deadline) -> Result<AccountId, PartnerError> {
        if let Some(account) = &kept.account {
            return AccountId::parse(account).map_err(|_| PartnerError::Internal);
        }
        let phone = kept
            .phone
            .as_deref()
            .and_then(Phone::from_e164)
            .ok_or(PartnerError::Internal)?;
        let account = self.ledger.find_by_phone(&phone, deadline).await?;
        account.map(|account| account.id).ok_or(PartnerError::AccountAbsent)
    }

    fn became(&self, row: &OperationRow, state: State) -> Operation {
        Operation {
            state,
            changed_at_us: self.clock.now_us(),
            attempts: row.attempts + 1,
            ..operation(row, false)
        }
    }
}
