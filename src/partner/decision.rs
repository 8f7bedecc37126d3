//! What is done about an operation whose outcome is not known, by what was read. Knows nothing of how it is read or done.
//!
//! Absence alone proves nothing: a call may take effect late, and a history may lag. An order is sent a second time, and never a third,
//! only when the longest time of a late effect is over since its last call ended, and the history is seen to be current: something later
//! than that call shows in it. How late that showed is how far the history lags; the absence must stand for as long again, and for
//! [`SETTLING`] times the longest time of a late effect, so that neither clocks that differ nor copies made in rounds are taken for proof.

use std::time::Duration;

use super::evidence::{Sighting, Verdict};
use crate::clock::micros;
use crate::model::UnknownReason;
use crate::store::OperationRow;

/// The absence must stand for so many times the longest time of a late effect after the history was first seen to be current.
const SETTLING: u32 = 3;

/// Calls of one operation that may have had an effect.
const MOST_ATTEMPTS: i64 = 2;

/// What came to nothing is looked at again after a quarter of the time that it has been unknown, but not sooner than this, nor later.
const PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// While ProBonus cannot be read, not later than this.
const LONGEST_UNREAD_PAUSE: Duration = Duration::from_secs(30);

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is booked; by what that is shown.
    Registered(String),
    /// It is sent once more.
    SendAgain,
    /// It is looked at again after a pause; what the proof lacks until then.
    LookAgain {
        pause: Duration,
        reason: UnknownReason,
        history_lag_us: Option<i64>,
    },
}

/// The rule.
#[derive(Clone, Copy)]
pub(super) struct Rule {
    /// The longest time after its end in which a call may take effect.
    pub late_effect: Duration,
}

impl Rule {
    /// What is done about `row`, which was looked for at `now_us`; nothing was seen when reading failed.
    pub fn decide(self, row: &OperationRow, seen: Option<Sighting>, now_us: i64) -> Decision {
        let waited = Duration::from_micros(u64::try_from(now_us - row.sent_at_us).unwrap_or(0));
        let again = |reason, history_lag_us, longest: Duration| Decision::LookAgain {
            pause: (waited / 4).clamp(PAUSE, longest),
            reason,
            history_lag_us,
        };
        let Some(seen) = seen else {
            return again(UnknownReason::HistoryUnread, row.history_lag_us, LONGEST_UNREAD_PAUSE);
        };
        let lag_us = least_lag(row, &seen, now_us);
        match seen.verdict {
            Verdict::Booked(shown_by) => Decision::Registered(shown_by),
            Verdict::Doubtful(reason) => again(reason, lag_us, LONGEST_PAUSE),
            Verdict::Absent if row.attempts >= MOST_ATTEMPTS => again(UnknownReason::SentTwice, lag_us, LONGEST_PAUSE),
            Verdict::Absent => match (self.lacking_us(row, lag_us, now_us), lag_us) {
                (0, _) => Decision::SendAgain,
                (rest_us, _) if waited < self.late_effect => {
                    look_when_due(rest_us, waited, UnknownReason::LateEffect, lag_us)
                }
                (_, None) => again(UnknownReason::HistoryNotCurrent, None, LONGEST_PAUSE),
                (rest_us, Some(_)) => look_when_due(rest_us, waited, UnknownReason::HistorySettles, lag_us),
            },
        }
    }

    /// How long the absence must stand yet to prove; without an end while the history is not seen to be current.
    fn lacking_us(self, row: &OperationRow, lag_us: Option<i64>, now_us: i64) -> i64 {
        let Some(lag_us) = lag_us else { return i64::MAX };
        let proven_at_us = row
            .sent_at_us
            .saturating_add(micros(self.late_effect * (1 + SETTLING)))
            .saturating_add(lag_us);
        (proven_at_us - now_us).max(0)
    }
}

/// Looks again when it is time, and now and then before, for it may show.
fn look_when_due(rest_us: i64, waited: Duration, reason: UnknownReason, history_lag_us: Option<i64>) -> Decision {
    let rest = Duration::from_micros(u64::try_from(rest_us).unwrap_or(0));
    Decision::LookAgain {
        pause: rest.min((waited / 4).max(PAUSE)),
        reason,
        history_lag_us,
    }
}

/// How far the history lags at the least, by this look or by an earlier one since the last call.
fn least_lag(row: &OperationRow, seen: &Sighting, now_us: i64) -> Option<i64> {
    let by_this = seen.latest.map(|latest| (now_us - latest.as_microsecond()).max(0));
    match (row.history_lag_us, by_this) {
        (Some(before), Some(now)) => Some(before.min(now)),
        (before, now) => before.or(now),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::{OperationKind, OperationState};

    const LATE: i64 = 90;
    const RULE: Rule = Rule {
        late_effect: Duration::from_secs(LATE.unsigned_abs()),
    };

    /// An unknown operation whose last call ended at the epoch's second 1000.
    fn row(attempts: i64, history_lag_s: Option<i64>) -> OperationRow {
        OperationRow {
            key_tag: Vec::new(),
            id: String::new(),
            kind: OperationKind::Check,
            partner: String::new(),
            fingerprint: Vec::new(),
            sealed: None,
            state: OperationState::Unknown,
            attempts,
            owner: Vec::new(),
            lease_until_us: 0,
            created_at_us: 0,
            since_us: 0,
            sent_at_us: 1_000_000_000,
            changed_at_us: 0,
            history_lag_us: history_lag_s.map(|lag| lag * 1_000_000),
            reason: None,
        }
    }

    fn absent(latest_s: Option<i64>) -> Sighting {
        Sighting {
            verdict: Verdict::Absent,
            latest: latest_s.map(|second| Timestamp::from_second(second).expect("a moment")),
        }
    }

    /// What is decided so many seconds after the last call: the word of the reason, or what is done.
    fn decided(row: &OperationRow, seen: impl Into<Option<Sighting>>, after_s: i64) -> &'static str {
        match RULE.decide(row, seen.into(), (1000 + after_s) * 1_000_000) {
            Decision::Registered(_) => "registered",
            Decision::SendAgain => "send_again",
            Decision::LookAgain { reason, .. } => reason.word(),
        }
    }

    #[test]
    fn absence_alone_proves_nothing_however_long_it_lasts() {
        for (after_s, reason) in [
            (1, "late_effect"),
            (89, "late_effect"),
            (91, "history_not_current"),
            (10_000_000, "history_not_current"),
        ] {
            assert_eq!(decided(&row(1, None), absent(None), after_s), reason, "{after_s}");
        }
    }

    #[test]
    fn it_is_sent_again_when_the_history_is_current_and_the_absence_stands() {
        // A movement ten seconds after the call shows at once.
        let seen = |after_s| decided(&row(1, None), absent(Some(1010)), after_s);
        assert_eq!(seen(11), "late_effect");
        assert_eq!(seen(91), "history_settles");
        let proven = |lag| LATE * 4 + lag;
        let known = row(1, Some(1));
        assert_eq!(decided(&known, absent(Some(1010)), proven(1) - 1), "history_settles");
        assert_eq!(decided(&known, absent(Some(1010)), proven(1)), "send_again");
        // It shows four minutes late: so late may the order show, too.
        let lagging = row(1, Some(240));
        assert_eq!(
            decided(&lagging, absent(Some(1010)), proven(240) - 1),
            "history_settles"
        );
        assert_eq!(decided(&lagging, absent(Some(1010)), proven(240)), "send_again");
        assert_eq!(decided(&row(2, Some(1)), absent(Some(1010)), 10_000), "sent_twice");
    }

    #[test]
    fn what_is_read_decides_and_what_is_not_read_does_not() {
        let verdict = |verdict| {
            let latest = Timestamp::from_second(5000).ok();
            decided(&row(1, Some(0)), Sighting { verdict, latest }, 10_000)
        };
        assert_eq!(verdict(Verdict::Booked("movement 1".into())), "registered");
        assert_eq!(verdict(Verdict::Doubtful(UnknownReason::Lookalike)), "lookalike");
        assert_eq!(decided(&row(1, Some(0)), None, 10_000), "history_unread");
    }
}
