//! Settling what is not known, by reading what ProBonus booked since the attempt, and carrying out what an earlier owner left untouched.
//!
//! Found: registered. Proven absent for a while, with ProBonus answering sanely: sent once more, as another recorded attempt. Neither:
//! it stays unknown, and an operator decides.

use std::sync::Arc;
use std::time::Duration;

use super::attempt::Tried;
use super::console::opened;
use super::evidence::Finding;
use super::order::Kept;
use super::{LEASE, Partner, PartnerError};
use crate::clock::{Deadline, micros};
use crate::model::AccountId;
use crate::store::OperationRow;

/// How often what is due is looked for.
const BEAT: Duration = Duration::from_millis(500);

/// Beats between two counts, and between two rounds of wiping old orders.
const COUNTING: u64 = 4;
const WIPING: u64 = 1200;

/// Operations settled side by side: one that ProBonus is slow about does not hold up the others.
const HANDS: usize = 4;

/// One settling's time.
const TIME: Duration = Duration::from_secs(15);

/// What came to nothing is looked at again after a quarter of the time that it has been unknown, but not sooner than this.
const PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_UNPROVABLE_PAUSE: Duration = Duration::from_mins(5);

/// An order that cannot be opened is tried again after this long: its secret may be configured by then.
const UNREADABLE_PAUSE: Duration = Duration::from_hours(1);

/// Attempts of one operation; beyond that an operator looks.
const MOST_ATTEMPTS: i64 = 10;

/// The outcome is kept in full for 180 days.
const RETENTION_US: i64 = 180 * 86_400_000_000;

/// Orders wiped by one statement.
const WIPED_AT_ONCE: i64 = 500;

/// An operation is looked at again.
struct Again {
    /// After this long.
    pause: Duration,
    /// Whether an attempt was recorded that certainly did nothing.
    undone: bool,
}

impl Again {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "where it is used, nothing means that the operation is decided"
    )]
    fn after(pause: Duration) -> Option<Self> {
        Some(Self { pause, undone: false })
    }
}

pub(super) async fn run(room: Arc<Partner>) {
    for beat in 0_u64.. {
        tokio::select! {
            () = room.wake.notified() => {}
            () = tokio::time::sleep(BEAT) => {}
            () = room.stop.cancelled() => return,
        }
        if beat.is_multiple_of(WIPING) {
            room.wipe_old_orders().await;
        }
        let worker = room.clone();
        // An operation taken up is settled to its end, also at a stop.
        let _ = room.tasks.spawn(async move { worker.settle_due().await }).await;
        if beat.is_multiple_of(COUNTING) {
            room.count().await;
        }
    }
}

impl Partner {
    async fn wipe_old_orders(&self) {
        let before_us = self.clock.now_us() - RETENTION_US;
        while self
            .store
            .compact_operations(before_us, WIPED_AT_ONCE)
            .await
            .is_ok_and(|wiped| wiped >= WIPED_AT_ONCE.unsigned_abs())
        {}
    }

    async fn count(&self) {
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
        if self.store.orphan_operations(now_us, now_us).await.is_ok() {
            futures_util::future::join_all((0..HANDS).map(|_| self.settle_one_by_one())).await;
        }
    }

    async fn settle_one_by_one(&self) {
        while !self.stop.is_cancelled() {
            let owner = self.entropy.bytes::<16>();
            let held = Deadline::within(LEASE);
            let claimed = self
                .store
                .claim_due(&owner, self.lease_until_us(), self.clock.now_us())
                .await;
            let Ok(Some(row)) = claimed else { return };
            let again = self.while_owned(&row, held, self.settle(&row)).await;
            if let Some(Some(again)) = again {
                let now_us = self.clock.now_us();
                let due_at_us = now_us + micros(again.pause);
                let released = self.store.release_operation(&row, again.undone, due_at_us, now_us);
                // When this cannot be kept, the lease runs out.
                let _ = released.await;
            }
        }
    }

    /// Goes on with an operation that is ours; says when to look again, nothing when it is decided.
    async fn settle(&self, row: &OperationRow) -> Option<Again> {
        let deadline = Deadline::within(TIME);
        let Some(kept) = opened(&self.keys, row) else {
            tracing::error!(target: "audit", partner = row.partner.as_str(), event = "operation_unreadable", operation = row.id.as_str(), "an operation was sealed under a secret that is gone");
            return Again::after(UNREADABLE_PAUSE);
        };
        if row.state == "pending" {
            return self.take_up(row, kept, deadline).await;
        }
        let Ok(account) = AccountId::parse(kept.account.as_deref().unwrap_or_default()) else {
            return Again::after(UNREADABLE_PAUSE);
        };
        let waited_us = self.clock.now_us() - row.sent_at_us;
        let waited = Duration::from_micros(u64::try_from(waited_us).unwrap_or(0));
        let rest = self.late_effect.saturating_sub(waited);
        match self.look(row, &account, &kept, deadline).await {
            Ok(Finding::Booked) => {
                self.registered(row, &account, &kept).await;
                tell(row, "settled", "registered");
                None
            }
            Ok(Finding::Absent | Finding::Unprovable) if !rest.is_zero() => Again::after(rest.min(PAUSE)),
            Ok(Finding::Absent) if row.attempts < MOST_ATTEMPTS => {
                self.send_once_more(row, &account, &kept, deadline).await
            }
            Ok(Finding::Absent | Finding::Unprovable) => {
                tracing::warn!(target: "audit", partner = row.partner.as_str(), event = "operation_unprovable", operation = row.id.as_str(), "an operator decides: guest-cabinet operations list");
                Again::after((waited / 4).clamp(PAUSE, LONGEST_UNPROVABLE_PAUSE))
            }
            Err(_) => Again::after((waited / 4).clamp(PAUSE, LONGEST_PAUSE)),
        }
    }

    /// Carries out what an owner that is gone had not sent.
    async fn take_up(&self, row: &OperationRow, mut kept: Kept, deadline: Deadline) -> Option<Again> {
        let account = match self.account_of(&kept, deadline).await {
            Ok(account) => account,
            Err(PartnerError::AccountAbsent) => {
                tell(row, "taken_up", "account_absent");
                let _ = self.store.forget_operation(row, None).await;
                return None;
            }
            Err(_) => return Again::after(PAUSE),
        };
        kept.account = Some(account.as_str().to_owned());
        let day = self.day_sum(&row.partner, &kept);
        match self.attempt(row, &account, &kept, day.as_ref(), deadline).await {
            Ok(tried) => after(row, "taken_up", tried),
            Err(PartnerError::TooMany { retry_after }) => Again::after(retry_after),
            Err(_) => Again::after(PAUSE),
        }
    }

    async fn send_once_more(
        &self,
        row: &OperationRow,
        account: &AccountId,
        kept: &Kept,
        deadline: Deadline,
    ) -> Option<Again> {
        match self.attempt(row, account, kept, None, deadline).await {
            Ok(tried) => after(row, "sent_once_more", tried),
            Err(_) => Again::after(PAUSE),
        }
    }
}

/// The audit record of an attempt that no partner waits for, and when to look again.
fn after(row: &OperationRow, event: &'static str, tried: Tried) -> Option<Again> {
    let (word, again) = match tried {
        Tried::Registered => ("registered", None),
        Tried::Rejected => ("rejected", None),
        Tried::Unknown | Tried::TurnedAway => ("unknown", Again::after(Duration::ZERO)),
        Tried::Undone(_) => (
            "not_done",
            Some(Again {
                pause: PAUSE,
                undone: true,
            }),
        ),
    };
    tell(row, event, word);
    again
}

fn tell(row: &OperationRow, event: &'static str, outcome: &'static str) {
    tracing::info!(target: "audit", partner = row.partner.as_str(), event, operation = row.id.as_str(), outcome);
}
