//! Reading what ProBonus shows of an order: found, absent, or neither; and what its history shows besides, by which it is seen to be
//! current.

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::Ledger;
use super::check_guids::CheckGuids;
use super::journal::Journal;
use super::matching::{CheckMatcher, Match, RefillMatcher, Since};
use super::order::{Order, What};
use crate::clock::{Clock, Deadline};
use crate::model::{AccountId, CheckId, Money, Transaction, UnknownReason, mark};
use crate::probonus::{History, UpstreamError};
use crate::store::OperationRow;

/// Checks that are opened at once to find one; the next look goes on with others.
const MOST_CHECKS: usize = 100;

/// What reading says of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is booked; what shows it, with what it is in front of its id.
    Booked(String),
    /// Nothing that is shown is it, or might be it.
    Absent,
    /// Something might be it.
    Doubtful(UnknownReason),
}

/// One look into an account's history.
#[derive(Clone, Debug)]
pub(super) struct Sighting {
    pub verdict: Verdict,
    /// The latest movement after the moment that was asked about and not in the future, however it came.
    pub latest: Option<Timestamp>,
}

/// Reads histories for orders.
pub(super) struct Evidence {
    ledger: Arc<dyn Ledger>,
    journal: Arc<Journal>,
    guids: CheckGuids,
    zone: TimeZone,
    clock: Clock,
}

impl Evidence {
    pub fn new(ledger: Arc<dyn Ledger>, journal: Arc<Journal>, zone: TimeZone, clock: Clock) -> Self {
        Self {
            ledger,
            journal,
            guids: CheckGuids::new(),
            zone,
            clock,
        }
    }

    /// Looks for the order of an operation, and for movements later than its last call. The first attempt counts: any of them may be the
    /// one that was booked.
    ///
    /// # Errors
    /// When what there is cannot be read: then nothing is known.
    pub async fn look(
        &self,
        row: &OperationRow,
        (account, order): (&AccountId, &Order),
        deadline: Deadline,
    ) -> Result<Sighting, UpstreamError> {
        let since = Since(moment(row.since_us));
        let entries = self
            .ledger
            .transactions(account, self.days_since(since), deadline)
            .await?;
        let (sent, now) = (moment(row.sent_at_us), self.clock.now());
        let later = entries.iter().map(|entry| entry.occurred_at);
        let latest = later.filter(|at| is_later(*at, sent) && *at <= now).max();
        let mut verdict = match &order.what {
            What::Refill(refill) => {
                let mark = mark(&row.id);
                let matcher = RefillMatcher {
                    refill,
                    mark: &mark,
                    since,
                };
                by_movements(&entries, |entry| matcher.by_movement(entry))
            }
            What::Check(check) => {
                let unique = self.journal.is_number_unique(row, account, order).await;
                let matcher = CheckMatcher {
                    check,
                    since,
                    number_is_unique: unique.unwrap_or(false),
                };
                self.look_for_check(&entries, &matcher, deadline).await?
            }
        };
        // An accrual that is on its way does not show in the history yet: one of the same sum might be it.
        let accrual = order.accrual();
        if verdict == Verdict::Absent
            && accrual > Money::ZERO
            && self.ledger.pending(account, deadline).await?.contains(&accrual)
        {
            verdict = Verdict::Doubtful(UnknownReason::PendingLookalike);
        }
        Ok(Sighting { verdict, latest })
    }

    /// A day around the time: ProBonus may see another day in the same moment.
    fn days_since(&self, since: Since) -> History {
        let from = since.earliest().to_zoned_datetime(self.zone.clone()).date();
        let today = self.clock.now().to_zoned_datetime(self.zone.clone()).date();
        History::Days {
            from: from.checked_sub(1.day()).unwrap_or(from),
            to: today.checked_add(1.day()).unwrap_or(today),
        }
    }

    async fn look_for_check(
        &self,
        entries: &[Transaction],
        matcher: &CheckMatcher<'_>,
        deadline: Deadline,
    ) -> Result<Verdict, UpstreamError> {
        let mut verdict = by_movements(entries, |entry| matcher.by_movement(entry));
        if let Verdict::Booked(_) = verdict {
            return Ok(verdict);
        }
        if verdict == Verdict::Absent && matcher.is_traceless() {
            verdict = Verdict::Doubtful(UnknownReason::NoTrace);
        }
        let mut opened: Vec<&CheckId> = Vec::new();
        for entry in matcher.worth_opening(entries) {
            let Some(id) = entry.check_id.as_ref().filter(|id| !opened.contains(id)) else {
                continue;
            };
            let place = matcher.place_of(entry);
            let found = match self.guids.get(id) {
                Some(guid) if guid == matcher.check.check_guid => Match::Itself,
                Some(_) => Match::Another,
                None if opened.len() >= MOST_CHECKS && place.may_be_it() => Match::Perhaps(UnknownReason::Lookalike),
                None if opened.len() >= MOST_CHECKS => Match::Another,
                None => {
                    opened.push(id);
                    let check = self.ledger.check(id, deadline).await?;
                    self.guids.remember(id, check.as_ref());
                    matcher.by_check(check.as_ref(), place)
                }
            };
            match found {
                Match::Itself => return Ok(Verdict::Booked(format!("check {}", id.as_str()))),
                Match::Perhaps(reason) => verdict = Verdict::Doubtful(reason),
                Match::Another => {}
            }
        }
        Ok(verdict)
    }
}

/// Whether a movement is later than a call. A ProBonus that tells whole seconds says of one in the same second that it is not earlier.
fn is_later(at: Timestamp, sent: Timestamp) -> bool {
    at > sent || (at.subsec_nanosecond() == 0 && at.as_second() == sent.as_second())
}

fn moment(us: i64) -> Timestamp {
    Timestamp::from_microsecond(us).unwrap_or(Timestamp::MIN)
}

/// What movements say that need no check to be opened.
fn by_movements(entries: &[Transaction], judge: impl Fn(&Transaction) -> Match) -> Verdict {
    let mut verdict = Verdict::Absent;
    for entry in entries {
        match judge(entry) {
            Match::Itself => return Verdict::Booked(shown_by(entry)),
            Match::Perhaps(reason) => verdict = Verdict::Doubtful(reason),
            Match::Another => {}
        }
    }
    verdict
}

/// What of the history shows an order: the check of its movements, or the movement itself where there is none.
fn shown_by(entry: &Transaction) -> String {
    match &entry.check_id {
        Some(id) => format!("check {}", id.as_str()),
        None => format!("movement {}", entry.id.as_str()),
    }
}
