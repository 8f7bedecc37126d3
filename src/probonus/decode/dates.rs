//! Moments and days as ProBonus may spell them, and what stands where there is none.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time, date};
use jiff::fmt::temporal::Pieces;
use jiff::tz::{Offset, TimeZone};

use super::json::{Json, NONSENSE, Read};

/// The years whose offsets count: before them zones had minutes and seconds of their own, and nobody is that old.
const OFFSETS_FROM: Date = date(1930, 1, 1);
const OFFSETS_TO: Date = date(2040, 1, 1);

/// Days that databases and languages write where there is none: the least of SQL Server's `datetime`, the zeros of Delphi and Excel, of
/// SQL Server's casts, and the greatest of its `smalldatetime`.
const NO_DAYS: [Date; 5] = [
    date(1753, 1, 1),
    date(1899, 12, 30),
    date(1899, 12, 31),
    date(1900, 1, 1),
    date(2079, 6, 6),
];

/// .NET's least day is in the year 1, and "never" is 9999, 3000 or 2999.
const FIRST_YEAR: i16 = 2;
const LAST_YEAR: i16 = 2899;

/// Reads moments and days of a zone.
#[derive(Clone, Debug)]
pub(in crate::probonus) struct Calendar {
    zone: TimeZone,
    /// Those that the zone has or had.
    offsets: Vec<Offset>,
}

impl Calendar {
    /// The calendar of times that name no zone.
    pub fn new(zone: TimeZone) -> Self {
        let at = |day: Date| zone.to_timestamp(day.at(0, 0, 0, 0)).unwrap_or(Timestamp::UNIX_EPOCH);
        let until = at(OFFSETS_TO);
        let later = zone
            .following(at(OFFSETS_FROM))
            .take_while(|change| change.timestamp() < until);
        let mut offsets: Vec<Offset> = later.map(|change| change.offset()).collect();
        offsets.push(zone.to_offset(at(OFFSETS_FROM)));
        offsets.sort_unstable_by_key(|offset| offset.seconds());
        offsets.dedup();
        Self { zone, offsets }
    }

    /// A moment: RFC 3339, ISO without zone, `dd.MM.yyyy[ HH:mm[:ss]]`, or `/Date(…)/`; `None` where that stands for none. Microseconds
    /// are the finest we tell apart.
    pub fn moment(&self, value: Json) -> Read<Option<Timestamp>> {
        let text = value.text()?;
        let Some(spelled) = Spelled::read(text.trim())? else {
            return Ok(None);
        };
        let moment = match spelled {
            Spelled::Moment(moment, _) => moment,
            Spelled::Local(local) => local
                .to_zoned_datetime(self.zone.clone())
                .map_err(|_| NONSENSE)?
                .timestamp(),
        };
        if stands_for_none(self.day_of(moment)) {
            return Ok(None);
        }
        Timestamp::from_microsecond(moment.as_microsecond())
            .map(Some)
            .map_err(|_| NONSENSE)
    }

    /// A day: the same spellings. A midnight is the day it names, in its own zone or in an offset that ours has or had; another time counts
    /// in ours.
    pub fn day(&self, value: Json) -> Read<Option<Date>> {
        let text = value.text()?;
        let day = match Spelled::read(text.trim())? {
            None => return Ok(None),
            Some(Spelled::Moment(_, Some(written))) if written.time() == Time::midnight() => written.date(),
            Some(Spelled::Moment(moment, _)) => self.day_of(moment),
            Some(Spelled::Local(local)) => local.date(),
        };
        Ok(Some(day).filter(|day| !stands_for_none(*day)))
    }

    fn day_of(&self, moment: Timestamp) -> Date {
        let mut midnights = self.offsets.iter().map(|offset| offset.to_datetime(moment));
        let midnight = midnights.find(|local| local.time() == Time::midnight());
        midnight.map_or_else(|| moment.to_zoned_datetime(self.zone.clone()).date(), DateTime::date)
    }
}

/// A time as it is written.
enum Spelled {
    /// With a zone, and as the clock of that zone showed it.
    Moment(Timestamp, Option<DateTime>),
    /// Without one.
    Local(DateTime),
}

impl Spelled {
    /// `None` where the text stands for none.
    fn read(text: &str) -> Read<Option<Self>> {
        if text.is_empty() {
            return Ok(None);
        }
        if let Some(told) = text.strip_prefix("/Date(").and_then(|rest| rest.strip_suffix(")/")) {
            return milliseconds(told);
        }
        let pieces = Pieces::parse(text).ok();
        let written = pieces.map(|pieces| pieces.date().to_datetime(pieces.time().unwrap_or(Time::midnight())));
        let Some(written) = written.or_else(|| dotted(text)) else {
            return Err(NONSENSE);
        };
        if stands_for_none(written.date()) {
            return Ok(None);
        }
        if let Ok(moment) = text.parse::<Timestamp>() {
            return Ok(Some(Self::Moment(moment, Some(written))));
        }
        civil(text).map(|local| Some(Self::Local(local)))
    }
}

fn stands_for_none(day: Date) -> bool {
    !(FIRST_YEAR..=LAST_YEAR).contains(&day.year()) || NO_DAYS.contains(&day)
}

/// What .NET's older serializers write: milliseconds since 1970, and the offset that the server had (`/Date(1700000000000+0300)/`), in which
/// a midnight is a day's.
fn milliseconds(told: &str) -> Read<Option<Spelled>> {
    let sign = told
        .char_indices()
        .skip(1)
        .find(|(_, c)| matches!(c, '+' | '-'))
        .map(|(at, _)| at);
    let (number, offset) = told.split_at(sign.unwrap_or(told.len()));
    let milliseconds: i64 = number.trim().parse().map_err(|_| NONSENSE)?;
    // Beyond all calendars: .NET's greatest moment is, and it stands for "never".
    let Ok(moment) = Timestamp::from_millisecond(milliseconds) else {
        return Ok(None);
    };
    let written = match offset {
        "" => None,
        told => Some(offset_of(told).ok_or(NONSENSE)?.to_datetime(moment)),
    };
    Ok(Some(Spelled::Moment(moment, written)))
}

/// `+0300`.
fn offset_of(told: &str) -> Option<Offset> {
    let (sign, digits) = (if told.starts_with('-') { -1 } else { 1 }, told.get(1..)?);
    let right = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit());
    let number: i32 = digits.parse().ok().filter(|_| right)?;
    Offset::from_seconds(sign * (number / 100 * 3600 + number % 100 * 60)).ok()
}

fn civil(text: &str) -> Read<DateTime> {
    if let Some(time) = dotted(text) {
        return Ok(time);
    }
    let shape_of_a_day = text.len() >= 10 && text.as_bytes()[4] == b'-';
    if !shape_of_a_day {
        return Err(NONSENSE);
    }
    if text.len() == 10
        && let Ok(day) = text.parse::<Date>()
    {
        return Ok(day.at(0, 0, 0, 0));
    }
    text.parse().map_err(|_| NONSENSE)
}

/// `dd.MM.yyyy[ HH:mm[:ss]]`.
fn dotted(text: &str) -> Option<DateTime> {
    let (day, time) = text
        .split_once(' ')
        .map_or((text, "00:00"), |(day, time)| (day, time.trim()));
    let mut parts = day.split('.');
    let (d, m, y) = (parts.next()?, parts.next()?, parts.next()?);
    let digits = |part: &str, length: usize| part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
    let right = parts.next().is_none() && digits(d, 2) && digits(m, 2) && digits(y, 4);
    right.then(|| format!("{y}-{m}-{d}T{time}").parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn calendar() -> Calendar {
        Calendar::new(TimeZone::get("Europe/Moscow").expect("a zone"))
    }

    fn read<T: ToString>(text: &str, read: impl FnOnce(Json) -> Read<Option<T>>) -> String {
        let json = serde_json::to_string(text).expect("a text");
        match read(Json::parse(json.as_bytes()).expect("JSON")) {
            Ok(value) => value.map_or("none".to_owned(), |value| value.to_string()),
            Err(_) => "odd".to_owned(),
        }
    }

    fn moment(text: &str) -> String {
        read(text, |value| calendar().moment(value))
    }

    fn day(text: &str) -> String {
        read(text, |value| calendar().day(value))
    }

    #[test]
    fn moments_come_in_four_forms() {
        for same in [
            "2026-11-20T12:30:00+03:00",
            "2026-11-20T09:30:00Z",
            "2026-11-20T12:30:00",
            "20.11.2026 12:30",
            "20.11.2026 12:30:00",
            "2026-11-20 12:30:00",
            "2026-11-20T12:30",
            "2026-11-20T12:30:00.0000004+03:00",
            "/Date(1795167000000)/",
            "/Date(1795167000000+0300)/",
            "/Date(1795167000000-0500)/",
        ] {
            assert_eq!(moment(same), "2026-11-20T09:30:00Z", "{same}");
        }
        assert_eq!(moment("20.11.2026"), "2026-11-19T21:00:00Z");
        assert_eq!(moment("2026-11-20"), "2026-11-19T21:00:00Z");
        for odd in [
            "tomorrow",
            "2026",
            "31.02.2026",
            "20.11.26",
            "1700000000",
            "/Date()/",
            "/Date(x)/",
            "/Date(1+03)/",
            "infinity",
            "20.11.2026 25:00",
        ] {
            assert_eq!((moment(odd), day(odd)), ("odd".into(), "odd".into()), "{odd}");
        }
    }

    #[test]
    fn what_stands_for_none_is_none() {
        for none in [
            "",
            " ",
            "9999-12-31T23:59:59.9999999",
            "9999-12-31T23:59:59Z",
            "9999-12-31",
            "31.12.9999 23:59:59",
            "0001-01-01T00:00:00",
            "0001-01-01T00:00:00Z",
            "0001-01-01T00:00:00+03:00",
            "01.01.0001",
            "1753-01-01T00:00:00",
            "1753-01-01",
            "1899-12-30T00:00:00",
            "30.12.1899",
            "1900-01-01T00:00:00+02:30",
            "1900-01-01",
            "1899-12-31T21:00:00Z",
            "2079-06-06T23:59:00",
            "2999-12-31",
            "3000-01-01",
            "/Date(-62135596800000)/",
            "/Date(-62135607600000)/",
            "/Date(253402300799999)/",
            "/Date(9223372036854775807)/",
        ] {
            assert_eq!((moment(none), day(none)), ("none".into(), "none".into()), "{none}");
        }
        assert_eq!(day("1900-01-02"), "1900-01-02");
        assert_eq!(day("1970-01-01T00:00:00"), "1970-01-01");
        assert_eq!(day("2064-02-29"), "2064-02-29");
    }

    #[test]
    fn a_midnight_in_any_offset_the_zone_has_or_had_is_that_day() {
        for (text, expected) in [
            ("2026-11-19T21:30:00Z", "2026-11-20"),
            ("12.04.1990", "1990-04-12"),
            ("1990-04-12T00:00:00", "1990-04-12"),
            ("1990-04-12T00:00:00+10:00", "1990-04-12"),
            ("1990-04-12T00:00:00Z", "1990-04-12"),
            // In Moscow it was two hours then and is three now.
            ("1991-11-09T21:00:00Z", "1991-11-10"),
            ("1991-11-09T22:00:00Z", "1991-11-10"),
            ("1985-06-30T20:00:00Z", "1985-07-01"),
            ("2012-06-30T20:00:00Z", "2012-07-01"),
            ("2012-06-30T21:00:00Z", "2012-07-01"),
            ("2026-11-19T20:30:00Z", "2026-11-19"),
            ("/Date(689720400000)/", "1991-11-10"),
            ("/Date(689731200000+0000)/", "1991-11-10"),
            ("/Date(689698800000+0600)/", "1991-11-09"),
        ] {
            assert_eq!(day(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_day_survives_being_told_as_a_midnight(days in -14_000_i32..25_000, hours in prop::sample::select(vec![2_i64, 3, 4])) {
            let there = date(1970, 1, 1).checked_add(jiff::Span::new().days(days)).expect("a day");
            let midnight = TimeZone::UTC.to_timestamp(there.at(0, 0, 0, 0)).expect("a moment");
            let told = midnight - jiff::SignedDuration::from_hours(hours);
            prop_assert_eq!(day(&told.to_string()), there.to_string());
            prop_assert_eq!(day(&format!("/Date({})/", told.as_millisecond())), there.to_string());
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = (moment(&text), day(&text), moment(&format!("/Date({text})/")));
        }
    }
}
