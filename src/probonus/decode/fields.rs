//! An object's fields by all their accepted names, each read strictly or tolerantly.
//!
//! Strict is what decides about money or access: sums, ids, whether an account is blocked, phones, tokens; when such a value is told and does
//! not read, the whole answer is nonsense. Everything else is tolerant: an odd value costs its own field, or its own entry of a list.

use jiff::Timestamp;
use jiff::civil::Date;
use rust_decimal::Decimal;

use super::json::{Json, NONSENSE, Object, Read};
use super::odd::Odd;
use super::scalars::Values;
use crate::model::{AccountId, CheckId, GroupId, InvalidId, Money, RestaurantRef, TransactionId};

/// Longest text of a questionnaire or a comment that is taken, in characters.
const MAX_TEXT: usize = 1000;

/// All accepted names of a field; the first is its own.
pub(super) type Names = &'static [&'static str];

/// What every part of an answer is read with.
#[derive(Clone, Copy)]
pub(in crate::probonus) struct Context<'c> {
    pub values: &'c Values,
    pub odd: &'c Odd,
}

/// An object whose fields are being read.
pub(super) struct Fields<'a, 'c> {
    object: Object<'a>,
    context: Context<'c>,
}

impl<'a, 'c> Fields<'a, 'c> {
    /// The fields of an object, or of the only one of a list.
    pub fn of(value: Json<'a>, context: Context<'c>) -> Read<Self> {
        let object = value.single()?.object()?;
        Ok(Self { object, context })
    }

    /// The field; nonsense when it is told and does not read.
    pub fn strict<T>(&self, names: Names, read: impl FnOnce(Json<'a>) -> Read<T>) -> Read<Option<T>> {
        self.object.told(names).map(read).transpose()
    }

    /// The field; not told when it does not read, which is noted.
    pub fn tolerant<T>(&self, names: Names, read: impl FnOnce(Json<'a>) -> Read<T>) -> Option<T> {
        let read = self.object.told(names).map(read)?;
        read.inspect_err(|_| self.context.odd.note(names[0])).ok()
    }

    pub fn money(&self, names: Names) -> Read<Option<Money>> {
        self.strict(names, |value| self.context.values.money(value))
    }

    pub fn required_money(&self, names: Names) -> Read<Money> {
        self.money(names)?.ok_or(NONSENSE)
    }

    pub fn flag(&self, names: Names) -> bool {
        self.tolerant(names, Json::flag).unwrap_or(false)
    }

    pub fn moment(&self, names: Names) -> Option<Timestamp> {
        self.tolerant(names, |value| self.context.values.calendar.moment(value))
            .flatten()
    }

    pub fn day(&self, names: Names) -> Option<Date> {
        self.tolerant(names, |value| self.context.values.calendar.day(value))
            .flatten()
    }

    /// A text or a number; an empty one is not told.
    pub fn text(&self, names: Names) -> Option<String> {
        let text = self.tolerant(names, |value| value.scalar().map(|text| clean(&text)));
        text.filter(|text| !text.is_empty())
    }

    /// An id that must be told.
    pub fn id<T: IdText>(&self, names: Names) -> Read<T> {
        self.strict(names, id)?.ok_or(NONSENSE)
    }

    /// The entries of a list; a list that is none, and entries that are `null`, are noted and left out.
    pub fn entries(&self, names: Names) -> Vec<Json<'a>> {
        let mut entries = self.tolerant(names, Json::entries).unwrap_or_default();
        entries.retain(|entry| self.is_told(*entry, names));
        entries
    }

    /// The same where a list that is none is nonsense.
    pub fn strict_entries(&self, names: Names) -> Read<Vec<Json<'a>>> {
        let mut entries = self.strict(names, Json::entries)?.unwrap_or_default();
        entries.retain(|entry| self.is_told(*entry, names));
        Ok(entries)
    }

    /// The objects of a list; whatever else stands there is noted and left out.
    pub fn objects(&self, names: Names) -> Vec<Fields<'a, 'c>> {
        let read = |entry| Fields::of(entry, self.context).inspect_err(|_| self.context.odd.note(names[0]));
        self.entries(names)
            .into_iter()
            .filter_map(|entry| read(entry).ok())
            .collect()
    }

    fn is_told(&self, entry: Json, names: Names) -> bool {
        if entry.is_null() {
            self.context.odd.note(names[0]);
        }
        !entry.is_null()
    }

    /// The restaurant of a movement or a check.
    pub fn restaurant(&self) -> Option<RestaurantRef> {
        let (code, name) = (self.text(&["restCode"]), self.text(&["restName"]));
        (code.is_some() || name.is_some()).then_some(RestaurantRef { code, name })
    }
}

/// An id as the vocabulary has it.
pub(super) trait IdText: Sized {
    fn of(text: &str) -> Result<Self, InvalidId>;
}
impl IdText for AccountId {
    fn of(text: &str) -> Result<Self, InvalidId> {
        // Nobody's account: whoever has it has everybody's.
        if is_no_id(text) {
            Err(InvalidId)
        } else {
            Self::parse(text)
        }
    }
}
impl IdText for TransactionId {
    fn of(text: &str) -> Result<Self, InvalidId> {
        Self::parse(text)
    }
}
impl IdText for CheckId {
    fn of(text: &str) -> Result<Self, InvalidId> {
        Self::parse(text)
    }
}
impl IdText for GroupId {
    fn of(text: &str) -> Result<Self, InvalidId> {
        Self::parse(text)
    }
}

/// An id: a text, or a whole number however it is written.
pub(super) fn id<T: IdText>(value: Json) -> Read<T> {
    T::of(&id_text(value)?).map_err(|_| NONSENSE)
}

/// An id that may be none: 0, the empty GUID and an empty text stand for that.
pub(super) fn optional_id<T: IdText>(value: Json) -> Read<Option<T>> {
    let told = Some(id_text(value)?).filter(|text| !is_no_id(text));
    told.map(|text| T::of(&text).map_err(|_| NONSENSE)).transpose()
}

fn id_text(value: Json) -> Read<String> {
    let text = value.scalar()?;
    let whole = (!value.is_text() && text.contains(['.', 'e', 'E']))
        .then(|| text.parse().or_else(|_| Decimal::from_scientific(&text)).ok())
        .flatten()
        .filter(Decimal::is_integer);
    Ok(whole.map_or_else(|| text.trim().to_owned(), |number| number.normalize().to_string()))
}

/// What stands where an id would, when there is none: .NET writes 0 and the empty GUID.
pub(super) fn is_no_id(text: &str) -> bool {
    text.trim().chars().all(|c| matches!(c, '0' | '-' | '{' | '}')) || text.trim() == "-1"
}

/// A text without control characters.
pub(super) fn clean(text: &str) -> String {
    let kept = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    kept.take(MAX_TEXT).collect::<String>().trim().to_owned()
}
