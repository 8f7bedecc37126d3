//! What ProBonus shows of an order: found, certainly absent, or neither.
//!
//! A GUID or a mark proves, whenever and however ProBonus dated the movement. Whatever else could be the order without saying so makes its
//! absence unprovable: then nothing is sent again.

use jiff::{Timestamp, ToSpan};
use uuid::Uuid;

use super::Partner;
use super::order::{Kept, What};
use super::seen::guid_of;
use crate::clock::Deadline;
use crate::model::{AccountId, Check, CheckId, Money, Transaction, mark, mark_in};
use crate::probonus::{History, UpstreamError};
use crate::store::OperationRow;

/// Clocks of ProBonus and ours may differ by this much, in seconds.
const SKEW_S: i64 = 300;

/// A ProBonus that tells times of another zone, or days alone, dates a movement this much too early, in seconds.
const MISDATED_S: i64 = 86_400;

/// Checks that are opened at once to find one; the next look goes on with others.
const MOST_CHECKS: usize = 100;

/// What reading says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Booked,
    Absent,
    Unprovable,
}

/// What a movement says about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// It is the order.
    Itself,
    /// It is another's for certain.
    Another,
    /// It might be.
    Silent,
}

/// How old a movement is beside an order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    /// It was there before, whatever the clocks say.
    Older,
    /// It seems older, and a misdated one would seem so, too.
    Doubtful,
    /// Not older than the order.
    OfItsTime,
}

/// When an order was given: what its movements' ages are told by.
#[derive(Clone, Copy)]
struct Given(Timestamp);

/// How a movement stands to an order.
#[derive(Clone, Copy)]
struct Place {
    age: Age,
    /// Its sum is one that the order makes.
    fits: bool,
}

/// A check as it was ordered, for comparing.
struct Wanted<'a> {
    guid: Uuid,
    number: &'a str,
    accrued: Money,
    spent: Money,
}

impl Partner {
    /// Reads whether ProBonus booked it.
    pub(super) async fn look(
        &self,
        row: &OperationRow,
        account: &AccountId,
        kept: &Kept,
        deadline: Deadline,
    ) -> Result<Finding, UpstreamError> {
        // The first attempt counts: any of them may be the one that was booked.
        let given = Given(Timestamp::from_microsecond(row.created_at_us).unwrap_or(Timestamp::MIN));
        // A day around it: ProBonus may see another day in the same moment.
        let from = given.since().to_zoned_datetime(self.zone.clone()).date();
        let today = self.clock.now().to_zoned_datetime(self.zone.clone()).date();
        let history = History::Days {
            from: from.checked_sub(1.day()).unwrap_or(from),
            to: today.checked_add(1.day()).unwrap_or(today),
        };
        let entries = self.ledger.transactions(account, history, deadline).await?;
        let (found, accrual) = match &kept.what {
            What::Refill { amount, .. } => (refill_finding(&entries, given, *amount, &mark(&row.id)), *amount),
            What::Check {
                guid,
                number,
                spent,
                accrued,
                ..
            } => {
                let wanted = Wanted {
                    guid: *guid,
                    number,
                    accrued: *accrued,
                    spent: *spent,
                };
                (self.look_for_check(&entries, given, &wanted, deadline).await?, *accrued)
            }
        };
        // An accrual that is on its way does not show in the history yet: one of the same sum might be it.
        if found == Finding::Absent
            && accrual > Money::ZERO
            && self.ledger.pending(account, deadline).await?.contains(&accrual)
        {
            return Ok(Finding::Unprovable);
        }
        Ok(found)
    }

    async fn look_for_check(
        &self,
        entries: &[Transaction],
        given: Given,
        wanted: &Wanted<'_>,
        deadline: Deadline,
    ) -> Result<Finding, UpstreamError> {
        if entries.iter().any(|entry| wanted.is_named_by(entry)) {
            return Ok(Finding::Booked);
        }
        // A purchase that moves no bonuses may leave no trace in the history of bonuses.
        let traceless = wanted.accrued == Money::ZERO && wanted.spent == Money::ZERO;
        let silent = |entry: &Transaction| entry.check_id.is_none() && given.may_be(entry) && wanted.fits(entry);
        let mut doubtful = traceless || entries.iter().any(silent);
        let mut opened: Vec<&CheckId> = Vec::new();
        for entry in wanted.worth_opening(entries, given) {
            let Some(id) = entry.check_id.as_ref().filter(|id| !opened.contains(id)) else {
                continue;
            };
            match self.seen.guid(id) {
                Some(guid) if guid == wanted.guid => return Ok(Finding::Booked),
                Some(_) => continue,
                None => {}
            }
            let place = Place {
                age: given.age_of(entry),
                fits: wanted.fits(entry),
            };
            if opened.len() >= MOST_CHECKS {
                doubtful |= place.may_be_it();
                continue;
            }
            opened.push(id);
            let check = self.ledger.check(id, deadline).await?;
            self.seen.remember(id, check.as_ref());
            match wanted.word_of(check.as_ref(), place) {
                Word::Itself => return Ok(Finding::Booked),
                Word::Silent => doubtful = true,
                Word::Another => {}
            }
        }
        Ok(if doubtful { Finding::Unprovable } else { Finding::Absent })
    }
}

impl Given {
    /// Nothing of the order's is dated before this by a clock that is right.
    fn since(self) -> Timestamp {
        self.0.checked_sub(SKEW_S.seconds()).unwrap_or(self.0)
    }

    fn age_of(self, entry: &Transaction) -> Age {
        let since = self.since();
        if entry.occurred_at >= since {
            Age::OfItsTime
        } else if entry.occurred_at >= since.checked_sub(MISDATED_S.seconds()).unwrap_or(since) {
            Age::Doubtful
        } else {
            Age::Older
        }
    }

    /// Whether a movement may be as young as the order.
    fn may_be(self, entry: &Transaction) -> bool {
        self.age_of(entry) >= Age::Doubtful
    }
}

impl Place {
    fn may_be_it(self) -> bool {
        self.age >= Age::Doubtful && self.fits
    }

    fn is_its(self) -> bool {
        self.age == Age::OfItsTime && self.fits
    }
}

impl Wanted<'_> {
    /// Whether a movement's own words name the order.
    fn is_named_by(&self, entry: &Transaction) -> bool {
        let guid = self.guid.to_string();
        let named = |text: &str| text.to_ascii_lowercase().contains(&guid);
        entry.comment.as_deref().is_some_and(named) || entry.check_id.as_ref().is_some_and(|id| named(id.as_str()))
    }

    /// Whether a movement's sum is one of those that the order makes: accrued and spent, apart or in one.
    fn fits(&self, entry: &Transaction) -> bool {
        let net = self.accrued.minor() - self.spent.minor();
        let sums = [self.accrued.minor(), -self.spent.minor(), net];
        sums.contains(&entry.amount.minor()) && entry.amount != Money::ZERO
    }

    /// Movements whose checks may be the order: first those that fit, then the others that may be of its time.
    fn worth_opening<'e>(&self, entries: &'e [Transaction], given: Given) -> Vec<&'e Transaction> {
        let (fit, others): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| self.fits(entry));
        let of_its_time = others.into_iter().filter(|entry| given.may_be(entry));
        fit.into_iter().chain(of_its_time).collect()
    }

    /// What the check of a movement says. Its number alone proves only where time and sum fit, too.
    fn word_of(&self, check: Option<&Check>, place: Place) -> Word {
        let guid = check.and_then(guid_of);
        let number = check.and_then(|check| check.number.as_deref());
        match (guid, number) {
            (Some(found), _) if found == self.guid => Word::Itself,
            (None, Some(found)) if found == self.number && place.is_its() => Word::Itself,
            (None, Some(found)) if found == self.number && place.age >= Age::Doubtful => Word::Silent,
            (None, None) if place.may_be_it() => Word::Silent,
            _ => Word::Another,
        }
    }
}

/// A refill is found by its mark. A movement of the same sum might be it, unless it is a purchase's or has another's mark: ProBonus may
/// show its own words instead of ours, or cut them off.
fn refill_finding(entries: &[Transaction], given: Given, amount: Money, mark: &str) -> Finding {
    let comment = |entry: &Transaction| entry.comment.clone().unwrap_or_default();
    if entries.iter().any(|entry| comment(entry).contains(mark)) {
        return Finding::Booked;
    }
    let silent = |entry: &Transaction| {
        given.may_be(entry) && entry.amount == amount && entry.check_id.is_none() && mark_in(&comment(entry)).is_none()
    };
    if entries.iter().any(silent) {
        Finding::Unprovable
    } else {
        Finding::Absent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{TransactionId, TransactionKind};

    const GUID: &str = "10000000-0000-4000-8000-000000000001";

    fn money(kopecks: i64) -> Money {
        Money::from_minor(kopecks).expect("a sum")
    }

    fn movement(amount: i64, comment: Option<&str>, check: Option<&str>) -> Transaction {
        Transaction {
            id: TransactionId::parse("1").expect("an id"),
            occurred_at: Timestamp::UNIX_EPOCH,
            kind: TransactionKind::Adjustment,
            amount: money(amount),
            balance_after: None,
            check_id: check.map(|id| CheckId::parse(id).expect("an id")),
            restaurant: None,
            comment: comment.map(str::to_owned),
        }
    }

    fn check(guid: Option<&str>, number: Option<&str>) -> Check {
        Check {
            id: CheckId::parse("7").expect("an id"),
            number: number.map(str::to_owned),
            restaurant: None,
            opened_at: None,
            closed_at: None,
            items: Vec::new(),
            total: None,
            discount: None,
            bonus_spent: None,
            bonus_accrued: None,
            money_spent: None,
            account_id: None,
            check_guid: guid.map(str::to_owned),
        }
    }

    fn wanted() -> Wanted<'static> {
        Wanted {
            guid: GUID.parse().expect("a GUID"),
            number: "D-1",
            accrued: money(500),
            spent: money(200),
        }
    }

    #[test]
    fn a_refill_is_proven_by_its_mark_alone_and_whatever_could_be_it_makes_its_absence_unprovable() {
        let (mark, other) = ("#gc-0a8b7a528f6e", "спасибо #gc-ffffffffffff");
        let found = |entry: Transaction, given| refill_finding(&[entry], given, money(700), mark);
        // Movements are of the epoch.
        let at = |second| Given(Timestamp::from_second(second).expect("a moment"));
        let (now, misdated, later) = (at(0), at(SKEW_S + MISDATED_S), at(SKEW_S + MISDATED_S + 1));
        assert_eq!(
            found(movement(700, Some("За отзыв #gc-0a8b7a528f6e"), None), later),
            Finding::Booked
        );
        for silent in [None, Some("Пополнение через API"), Some("За отзыв #gc-0a8b")] {
            for given in [now, misdated] {
                assert_eq!(
                    found(movement(700, silent, None), given),
                    Finding::Unprovable,
                    "{silent:?}"
                );
            }
            assert_eq!(found(movement(700, silent, None), later), Finding::Absent, "{silent:?}");
            assert_eq!(found(movement(701, silent, None), now), Finding::Absent, "{silent:?}");
            assert_eq!(
                found(movement(700, silent, Some("7")), now),
                Finding::Absent,
                "a purchase"
            );
        }
        assert_eq!(found(movement(700, Some(other), None), now), Finding::Absent);
    }

    #[test]
    fn an_order_may_move_bonuses_apart_or_in_one() {
        for (sum, fits) in [
            (500, true),
            (-200, true),
            (300, true),
            (200, false),
            (-500, false),
            (0, false),
        ] {
            assert_eq!(wanted().fits(&movement(sum, None, None)), fits, "{sum}");
        }
        let named = [
            movement(1, Some("заказ {10000000-0000-4000-8000-000000000001}"), None),
            movement(1, None, Some(GUID)),
        ];
        assert!(named.iter().all(|entry| wanted().is_named_by(entry)));
    }

    #[test]
    fn a_guid_proves_always_a_number_only_in_its_place_and_silence_proves_nothing() {
        let place = |age, fits| Place { age, fits };
        let (here, unlike) = (place(Age::OfItsTime, true), place(Age::OfItsTime, false));
        let (misdated, long_ago) = (place(Age::Doubtful, true), place(Age::Older, true));
        let other = "20000000-0000-4000-8000-000000000001";
        let spellings = [format!("{{{GUID}}}"), GUID.to_uppercase(), GUID.replace('-', "")];
        for guid in spellings {
            let found = check(Some(&guid), None);
            assert_eq!(wanted().word_of(Some(&found), long_ago), Word::Itself, "{guid}");
        }
        for none in ["", "0", "00000000-0000-0000-0000-000000000000"] {
            let found = check(Some(none), None);
            assert_eq!(wanted().word_of(Some(&found), here), Word::Silent, "{none}");
        }
        for (found, place, word) in [
            (Some(check(Some(other), Some("D-1"))), here, Word::Another),
            (Some(check(None, Some("D-1"))), here, Word::Itself),
            (Some(check(None, Some("D-1"))), unlike, Word::Silent),
            (Some(check(None, Some("D-1"))), misdated, Word::Silent),
            (Some(check(None, Some("D-2"))), misdated, Word::Another),
            (None, misdated, Word::Silent),
            (Some(check(None, Some("D-1"))), long_ago, Word::Another),
            (Some(check(None, Some("D-2"))), here, Word::Another),
            (Some(check(None, None)), here, Word::Silent),
            (Some(check(None, None)), unlike, Word::Another),
            (None, here, Word::Silent),
            (None, long_ago, Word::Another),
        ] {
            assert_eq!(wanted().word_of(found.as_ref(), place), word, "{found:?}");
        }
    }
}
