//! What a movement, or the check it belongs to, says about an order. Knows nothing of how they are read.
//!
//! ProBonus' own fields prove: a check's GUID, our mark at the end of a refill's comment. Text that a person or a partner may have written
//! proves only where the rest fits: sum, kind and moment. What is another operation's by its own mark is never this one's. Whatever else
//! could be the order without saying so makes its absence unprovable.

use jiff::{Timestamp, ToSpan};
use uuid::Uuid;

use super::check_guids::guid_of;
use crate::model::{Check, Money, OutsideCheck, Refill, Transaction, TransactionKind, UnknownReason, mark_in};

/// Clocks of ProBonus and ours may differ by this much, in seconds.
const SKEW_S: i64 = 300;

/// A ProBonus that tells times of another zone, or days alone, dates a movement this much too early, in seconds.
const MISDATED_S: i64 = 86_400;

/// What a movement says about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// It is the order.
    Itself,
    /// It is another's for certain.
    Another,
    /// It might be the order, for this reason.
    Perhaps(UnknownReason),
}

/// How old a movement is beside an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Age {
    /// It was there before, whatever the clocks say.
    Older,
    /// It seems older, and a misdated one would seem so, too.
    Doubtful,
    /// Not older than the order.
    OfItsTime,
}

/// When an order may have been booked at the earliest: what its movements' ages are told by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Since(pub Timestamp);

impl Since {
    /// Nothing of the order's is dated before this by a clock that is right.
    pub fn earliest(self) -> Timestamp {
        self.0.checked_sub(SKEW_S.seconds()).unwrap_or(self.0)
    }

    pub fn age_of(self, entry: &Transaction) -> Age {
        let earliest = self.earliest();
        if entry.occurred_at >= earliest {
            Age::OfItsTime
        } else if entry.occurred_at >= earliest.checked_sub(MISDATED_S.seconds()).unwrap_or(earliest) {
            Age::Doubtful
        } else {
            Age::Older
        }
    }

    /// Whether a movement may be as young as the order.
    pub fn admits(self, entry: &Transaction) -> bool {
        self.age_of(entry) >= Age::Doubtful
    }
}

/// How a movement stands to an order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub age: Age,
    /// Its sum and kind are those that the order makes.
    pub fits: bool,
    /// Its comment names the order.
    pub named: bool,
}

impl Place {
    pub fn may_be_it(self) -> bool {
        self.age >= Age::Doubtful && self.fits
    }

    fn is_its(self) -> bool {
        self.age == Age::OfItsTime && self.fits
    }
}

/// A check as it was ordered, for comparing.
pub(super) struct CheckMatcher<'a> {
    pub check: &'a OutsideCheck,
    pub since: Since,
    /// Whether no other order of the account has the same number and sums.
    pub number_is_unique: bool,
}

impl CheckMatcher<'_> {
    /// Whether the order moves no bonuses: then it may leave no trace in the history of bonuses.
    pub fn is_traceless(&self) -> bool {
        self.check.bonus_accrued == Money::ZERO && self.check.bonus_spent == Money::ZERO
    }

    pub fn place_of(&self, entry: &Transaction) -> Place {
        Place {
            age: self.since.age_of(entry),
            fits: self.fits(entry),
            named: self.is_named_in(entry),
        }
    }

    /// Whether a movement is one of those that the order makes: accrued and spent, apart or in one.
    fn fits(&self, entry: &Transaction) -> bool {
        let (accrued, spent) = (self.check.bonus_accrued.minor(), self.check.bonus_spent.minor());
        let sum = entry.amount.minor();
        let of_a_check = !matches!(
            entry.kind,
            TransactionKind::Refill | TransactionKind::Refund | TransactionKind::Burn
        );
        of_a_check && sum != 0 && [accrued, -spent, accrued - spent].contains(&sum)
    }

    fn is_named_in(&self, entry: &Transaction) -> bool {
        let comment = entry.comment.as_deref().unwrap_or_default().to_ascii_lowercase();
        comment.contains(&self.check.check_guid.to_string())
    }

    /// What a movement says that belongs to no check, or to one whose very id is the GUID.
    pub fn by_movement(&self, entry: &Transaction) -> Match {
        let id = entry.check_id.as_ref().map(|id| Uuid::try_parse(id.as_str()).ok());
        let place = self.place_of(entry);
        match id {
            Some(id) if id == Some(self.check.check_guid) => Match::Itself,
            None if has_mark(entry) => Match::Another,
            None if place.named && place.is_its() => Match::Itself,
            None if place.named && place.age >= Age::Doubtful => Match::Perhaps(UnknownReason::NamedElsewhere),
            None if place.may_be_it() => Match::Perhaps(UnknownReason::Lookalike),
            Some(_) | None => Match::Another,
        }
    }

    /// Movements whose checks may be the order: first those that fit, then the others that may be of its time.
    pub fn worth_opening<'e>(&self, entries: &'e [Transaction]) -> Vec<&'e Transaction> {
        let with_check = entries
            .iter()
            .filter(|entry| entry.check_id.is_some() && !has_mark(entry));
        let (fit, others): (Vec<_>, Vec<_>) = with_check.partition(|entry| self.fits(entry));
        let of_its_time = others.into_iter().filter(|entry| self.since.admits(entry));
        fit.into_iter().chain(of_its_time).collect()
    }

    /// What the check of a movement says. A number, or the movement's comment, proves only where the rest fits, too; a number only when
    /// no other order has it.
    pub fn by_check(&self, check: Option<&Check>, place: Place) -> Match {
        if let Some(found) = check.and_then(guid_of) {
            let itself = found == self.check.check_guid;
            return if itself { Match::Itself } else { Match::Another };
        }
        let number = check.and_then(|check| check.number.as_deref());
        let numbered = number == Some(self.check.external_number.as_str());
        if place.is_its() && (place.named || (numbered && self.number_is_unique)) {
            Match::Itself
        } else if place.is_its() && numbered {
            Match::Perhaps(UnknownReason::SameNumber)
        } else if place.age >= Age::Doubtful && (numbered || place.named) {
            Match::Perhaps(UnknownReason::NamedElsewhere)
        } else if number.is_none() && place.may_be_it() {
            Match::Perhaps(UnknownReason::Lookalike)
        } else {
            Match::Another
        }
    }
}

/// Whether a movement is a refill of ours.
fn has_mark(entry: &Transaction) -> bool {
    entry
        .comment
        .as_deref()
        .is_some_and(|comment| mark_in(comment).is_some())
}

/// A refill as it was ordered, for comparing.
pub(super) struct RefillMatcher<'a> {
    pub refill: &'a Refill,
    pub mark: &'a str,
    pub since: Since,
}

impl RefillMatcher<'_> {
    /// What a movement says. One of the same sum might be the order, unless it is a purchase's or has another's mark: ProBonus may show its
    /// own words instead of ours, or cut them off.
    pub fn by_movement(&self, entry: &Transaction) -> Match {
        let mark = mark_in(entry.comment.as_deref().unwrap_or_default());
        let given = !matches!(entry.kind, TransactionKind::Spend | TransactionKind::Burn);
        let fits = entry.check_id.is_none() && given && entry.amount == self.refill.amount;
        match (mark, self.since.admits(entry)) {
            (Some(mark), true) if mark == self.mark && fits => Match::Itself,
            (Some(mark), _) if mark == self.mark => Match::Perhaps(UnknownReason::NamedElsewhere),
            (None, true) if fits => Match::Perhaps(UnknownReason::Lookalike),
            _ => Match::Another,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CheckId, TransactionId};

    const GUID: &str = "10000000-0000-4000-8000-000000000001";
    const MARK: &str = "#gc-0a8b7a528f6e";

    fn money(kopecks: i64) -> Money {
        Money::from_minor(kopecks).expect("a sum")
    }

    /// A movement of the epoch.
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

    fn ordered() -> OutsideCheck {
        OutsideCheck {
            check_guid: GUID.parse().expect("a GUID"),
            restaurant_code: 1,
            unit_code: 1,
            external_number: "D-1".into(),
            bonus_spent: money(200),
            discount: Money::ZERO,
            bonus_accrued: money(500),
            money_spent: money(10_000),
            content: None,
        }
    }

    fn since(second: i64) -> Since {
        Since(Timestamp::from_second(second).expect("a moment"))
    }

    fn matcher(check: &OutsideCheck, second: i64) -> CheckMatcher<'_> {
        CheckMatcher {
            check,
            since: since(second),
            number_is_unique: true,
        }
    }

    const LOOKALIKE: Match = Match::Perhaps(UnknownReason::Lookalike);
    const ELSEWHERE: Match = Match::Perhaps(UnknownReason::NamedElsewhere);

    #[test]
    fn a_refill_is_proven_by_its_mark_where_the_sum_fits_and_whatever_could_be_it_makes_its_absence_unprovable() {
        let refill = Refill {
            amount: money(700),
            comment: None,
        };
        let found = |entry: Transaction, second| {
            let matcher = RefillMatcher {
                refill: &refill,
                mark: MARK,
                since: since(second),
            };
            matcher.by_movement(&entry)
        };
        let (now, misdated, later) = (0, SKEW_S + MISDATED_S, SKEW_S + MISDATED_S + 1);
        let marked = Some("За отзыв #gc-0a8b7a528f6e");
        for second in [now, misdated] {
            assert_eq!(found(movement(700, marked, None), second), Match::Itself);
        }
        for (amount, check, second) in [(701, None, now), (700, Some("7"), now), (700, None, later)] {
            assert_eq!(found(movement(amount, marked, check), second), ELSEWHERE);
        }
        for silent in [None, Some("Пополнение через API"), Some("За отзыв #gc-0a8b")] {
            for second in [now, misdated] {
                assert_eq!(found(movement(700, silent, None), second), LOOKALIKE, "{silent:?}");
            }
            assert_eq!(found(movement(700, silent, None), later), Match::Another, "{silent:?}");
            assert_eq!(found(movement(701, silent, None), now), Match::Another, "{silent:?}");
            assert_eq!(
                found(movement(700, silent, Some("7")), now),
                Match::Another,
                "a purchase"
            );
        }
        for others in ["спасибо #gc-ffffffffffff", "#gc-0a8b7a528f6e #gc-ffffffffffff"] {
            assert_eq!(
                found(movement(700, Some(others), None), now),
                Match::Another,
                "{others}"
            );
        }
    }

    #[test]
    fn an_order_may_move_bonuses_apart_or_in_one() {
        let check = ordered();
        for (sum, fits) in [
            (500, true),
            (-200, true),
            (300, true),
            (200, false),
            (-500, false),
            (0, false),
        ] {
            assert_eq!(matcher(&check, 0).fits(&movement(sum, None, None)), fits, "{sum}");
        }
        let given = Transaction {
            kind: TransactionKind::Refill,
            ..movement(500, None, None)
        };
        assert!(!matcher(&check, 0).fits(&given), "a refill is no purchase");
    }

    #[test]
    fn a_comment_names_a_check_only_where_the_rest_fits_and_without_the_mark_of_another_operation() {
        let check = ordered();
        let named = format!("заказ {{{GUID}}}");
        let marked = format!("к заказу {GUID} {MARK}");
        let found = |entry: &Transaction, second| matcher(&check, second).by_movement(entry);
        assert_eq!(found(&movement(500, Some(&named), None), 0), Match::Itself);
        assert_eq!(found(&movement(500, Some(&marked), None), 0), Match::Another);
        assert_eq!(found(&movement(501, Some(&named), None), 0), ELSEWHERE);
        assert_eq!(found(&movement(500, Some(&named), None), SKEW_S + 1), ELSEWHERE);
        assert_eq!(
            found(&movement(500, Some(&named), None), SKEW_S + MISDATED_S + 1),
            Match::Another
        );
        assert_eq!(found(&movement(500, None, None), 0), LOOKALIKE);
        assert_eq!(found(&movement(1, None, Some(GUID)), 0), Match::Itself);
    }

    #[test]
    fn a_guid_proves_always_a_number_only_in_its_place_and_silence_proves_nothing() {
        let wanted = ordered();
        let place = |age, fits| Place {
            age,
            fits,
            named: false,
        };
        let (here, unlike) = (place(Age::OfItsTime, true), place(Age::OfItsTime, false));
        let (misdated, long_ago) = (place(Age::Doubtful, true), place(Age::Older, true));
        let other = "20000000-0000-4000-8000-000000000001";
        for guid in [format!("{{{GUID}}}"), GUID.to_uppercase(), GUID.replace('-', "")] {
            let found = check(Some(&guid), None);
            assert_eq!(
                matcher(&wanted, 0).by_check(Some(&found), long_ago),
                Match::Itself,
                "{guid}"
            );
        }
        for none in ["", "0", "00000000-0000-0000-0000-000000000000"] {
            let found = check(Some(none), None);
            assert_eq!(matcher(&wanted, 0).by_check(Some(&found), here), LOOKALIKE, "{none}");
        }
        for (found, place, verdict) in [
            (Some(check(Some(other), Some("D-1"))), here, Match::Another),
            (Some(check(None, Some("D-1"))), here, Match::Itself),
            (Some(check(None, Some("D-1"))), unlike, ELSEWHERE),
            (Some(check(None, Some("D-1"))), misdated, ELSEWHERE),
            (Some(check(None, Some("D-2"))), misdated, Match::Another),
            (None, misdated, LOOKALIKE),
            (Some(check(None, Some("D-1"))), long_ago, Match::Another),
            (Some(check(None, Some("D-2"))), here, Match::Another),
            (Some(check(None, None)), here, LOOKALIKE),
            (Some(check(None, None)), unlike, Match::Another),
            (None, here, LOOKALIKE),
            (None, long_ago, Match::Another),
        ] {
            assert_eq!(
                matcher(&wanted, 0).by_check(found.as_ref(), place),
                verdict,
                "{found:?}"
            );
        }
        let named = Place { named: true, ..here };
        for (found, place, verdict) in [
            (check(Some(other), None), named, Match::Another),
            (check(None, Some("D-2")), named, Match::Itself),
            (check(None, None), Place { named: true, ..unlike }, ELSEWHERE),
            (
                check(None, None),
                Place {
                    named: true,
                    ..long_ago
                },
                Match::Another,
            ),
        ] {
            assert_eq!(matcher(&wanted, 0).by_check(Some(&found), place), verdict, "{found:?}");
        }
        let shared = CheckMatcher {
            number_is_unique: false,
            ..matcher(&wanted, 0)
        };
        let numbered = check(None, Some("D-1"));
        assert_eq!(
            shared.by_check(Some(&numbered), here),
            Match::Perhaps(UnknownReason::SameNumber)
        );
    }
}
