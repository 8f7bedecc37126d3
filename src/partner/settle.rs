//! Settling what is not known, by reading what ProBonus booked since the attempt.
//!
//! Found: registered. Proven absent for a while, with ProBonus answering sanely: sent once more, as another recorded attempt. Neither:
//! it stays unknown, and an operator decides.

use std::sync::Arc;
use std::time::Duration;

use jiff::{Timestamp, ToSpan};

use super::order::{Kept, What};
use super::{LEASE_US, Partner};
use crate::clock::Deadline;
use crate::keys::Purpose;
use crate::model::{AccountId, Transaction};
use crate::probonus::{History, UpstreamError};
use crate::store::OperationRow;

/// How often what is due is looked for.
const BEAT: Duration = Duration::from_millis(500);

/// One settling's time.
const TIME: Duration = Duration::from_secs(15);

/// Clocks of ProBonus and ours may differ by this much.
const SKEW: i64 = 300;

/// Calls of one operation; beyond that an operator looks.
const MOST_ATTEMPTS: i64 = 10;

/// Checks that are opened to find one. Among more movements of the same sum nothing is proven absent.
const MOST_CHECKS: usize = 100;

/// The outcome is kept in full for 180 days.
const RETENTION_US: i64 = 180 * 86_400_000_000;

/// What reading says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Booked,
    Absent,
    Unprovable,
}

pub(super) async fn run(room: Arc<Partner>) {
    let mut beats: u32 = 0;
    loop {
        tokio::select! {
            () = room.wake.notified() => {}
            () = tokio::time::sleep(BEAT) => {}
            () = room.stop.cancelled() => return,
        }
        beats = beats.wrapping_add(1);
        if beats.is_multiple_of(20) {
            room.upkeep().await;
        }
        let worker = room.clone();
        // An operation taken up is settled to its end, also at a stop.
        let _ = room.tasks.spawn(async move { worker.settle_due().await }).await;
    }
}

impl Partner {
    async fn upkeep(&self) {
        let now_us = self.clock.now_us();
        while self
            .store
            .compact_operations(now_us - RETENTION_US, 500)
            .await
            .is_ok_and(|wiped| wiped >= 500)
        {}
        for state in ["pending", "sent", "unknown"] {
            if let Ok(count) = self.store.count_operations(state).await {
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                metrics::gauge!("cabinet_partner_operations", "state" => state).set(f64::from(count));
            }
        }
    }

    /// Settles what is due.
    pub async fn settle_due(&self) {
        let now_us = self.clock.now_us();
        if self.store.orphan_operations(now_us, now_us).await.is_err() {
            return;
        }
        loop {
            let owner = self.entropy.bytes::<16>();
            let now_us = self.clock.now_us();
            let lease_until_us = now_us + LEASE_US.max(2 * i64::try_from(TIME.as_micros()).unwrap_or(LEASE_US));
            match self.store.claim_unknown(&owner, lease_until_us, now_us).await {
                Ok(Some(row)) => self.settle(row).await,
                Ok(None) | Err(_) => return,
            }
            if self.stop.is_cancelled() {
                return;
            }
        }
    }

    async fn settle(&self, row: OperationRow) {
        let deadline = Deadline::within(TIME);
        let Some((account, kept)) = self.opened(&row) else {
            tracing::error!(target: "audit", event = "operation_unreadable", "an operation was sealed under a secret that is gone");
            self.postpone(&row, Duration::from_hours(1)).await;
            return;
        };
        let found = self.look(&row, &account, &kept, deadline).await;
        let now_us = self.clock.now_us();
        let waited_us = now_us - row.sent_at_us;
        let wait_us = i64::try_from(self.settling.wait.as_micros()).unwrap_or(i64::MAX);
        match found {
            Ok(Finding::Booked) => {
                if self.store.operation_became(&row, "registered", 0, now_us).await.is_ok() {
                    tracing::info!(target: "audit", partner = row.partner.as_str(), event = "settled", outcome = "registered");
                    self.show(&account, &kept).await;
                }
            }
            Ok(Finding::Absent) if waited_us < wait_us => {
                let rest = u64::try_from(wait_us - waited_us).unwrap_or(0);
                self.postpone(&row, Duration::from_micros(rest).min(Duration::from_secs(2)))
                    .await;
            }
            Ok(Finding::Absent) if row.attempts < MOST_ATTEMPTS => {
                tracing::info!(target: "audit", partner = row.partner.as_str(), event = "sent_once_more");
                if self.send_once(&row, &account, &kept, deadline).await.is_err() {
                    // Nothing left, or it was refused for good; in the first case the row says sent and its lease runs out.
                    self.postpone(&row, Duration::from_secs(2)).await;
                }
            }
            Ok(Finding::Absent | Finding::Unprovable) => {
                tracing::warn!(target: "audit", partner = row.partner.as_str(), event = "operation_unprovable", "an operator decides: guest-cabinet operations list");
                self.postpone(&row, Duration::from_mins(10)).await;
            }
            Err(_) => self.postpone(&row, Duration::from_secs(2)).await,
        }
    }

    /// Looks again later.
    async fn postpone(&self, row: &OperationRow, by: Duration) {
        let now_us = self.clock.now_us();
        let at_us = now_us + i64::try_from(by.as_micros()).unwrap_or(0);
        let _ = self.store.operation_became(row, "unknown", at_us, now_us).await;
    }

    fn opened(&self, row: &OperationRow) -> Option<(AccountId, Kept)> {
        let plain = self
            .keys
            .open(Purpose::Operation, &row.key_tag, row.sealed.as_deref()?)?;
        let kept: Kept = serde_json::from_slice(&plain).ok()?;
        let account = AccountId::parse(kept.account.as_deref()?).ok()?;
        Some((account, kept))
    }

    /// Reads whether ProBonus booked it.
    async fn look(
        &self,
        row: &OperationRow,
        account: &AccountId,
        kept: &Kept,
        deadline: Deadline,
    ) -> Result<Finding, UpstreamError> {
        // The first attempt counts: any of them may be the one that was booked.
        let since = Timestamp::from_microsecond(row.created_at_us).unwrap_or(Timestamp::MIN);
        let since = since.checked_sub(SKEW.seconds()).unwrap_or(since);
        let from = since.to_zoned_datetime(self.zone.clone()).date();
        let today = self.clock.now().to_zoned_datetime(self.zone.clone()).date();
        let history = History::Days {
            from,
            to: today.checked_add(1.day()).unwrap_or(today),
        };
        let all = self.ledger.transactions(account, history, deadline).await?;
        let entries: Vec<&Transaction> = all.iter().filter(|entry| entry.occurred_at >= since).collect();
        match &kept.what {
            What::Refill { amount, .. } => Ok(refill_finding(&entries, *amount, &self.mark(&row.id))),
            What::Check {
                guid,
                number,
                spent,
                accrued,
                ..
            } => {
                if spent.minor() == 0 && accrued.minor() == 0 {
                    // A purchase that moves no bonuses leaves no trace in the history of bonuses.
                    return Ok(Finding::Unprovable);
                }
                let moved = |entry: &&&Transaction| {
                    entry.amount == *accrued && accrued.minor() > 0
                        || entry.amount == spent.negated() && spent.minor() > 0
                };
                let guid = guid.to_string();
                let alike: Vec<_> = entries.iter().filter(moved).collect();
                let mut doubtful = alike.len() > MOST_CHECKS;
                for entry in alike.into_iter().take(MOST_CHECKS) {
                    if entry.comment.as_deref().is_some_and(|comment| comment.contains(&guid)) {
                        return Ok(Finding::Booked);
                    }
                    let Some(id) = &entry.check_id else {
                        doubtful = true;
                        continue;
                    };
                    let Some(check) = self.ledger.check(id, deadline).await? else {
                        doubtful = true;
                        continue;
                    };
                    match (&check.check_guid, &check.number) {
                        (Some(found), _) if found.trim_matches(['{', '}']).eq_ignore_ascii_case(&guid) => {
                            return Ok(Finding::Booked);
                        }
                        (None, Some(found)) if found == number => return Ok(Finding::Booked),
                        // Another's.
                        (Some(_), _) | (None, Some(_)) => {}
                        (None, None) => doubtful = true,
                    }
                }
                // An accrual that is on its way does not show in the history yet: one of the same sum might be it.
                if !doubtful && accrued.minor() > 0 {
                    doubtful = self.ledger.pending(account, deadline).await?.contains(accrued);
                }
                Ok(if doubtful { Finding::Unprovable } else { Finding::Absent })
            }
        }
    }
}

/// A refill is found by its mark. A movement of the same sum without a word might be it.
fn refill_finding(entries: &[&Transaction], amount: crate::model::Money, mark: &str) -> Finding {
    let comment_has = |entry: &&&Transaction| entry.comment.as_deref().is_some_and(|comment| comment.contains(mark));
    if entries.iter().any(|entry| comment_has(&entry)) {
        return Finding::Booked;
    }
    let silent = entries
        .iter()
        .any(|entry| entry.amount == amount && entry.comment.is_none());
    if silent { Finding::Unprovable } else { Finding::Absent }
}
