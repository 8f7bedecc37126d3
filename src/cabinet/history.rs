//! The history: filtered by the business calendar, in pages that stay stable while new movements arrive.
//!
//! ProBonus answers whole periods. A cursor names the last movement shown, so that newer ones change nothing behind it.

use std::cmp::Ordering;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::{SignedDuration, ToSpan};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::counters::Counted;
use super::reading::{Found, View};
use super::slot::Filled;
use super::{Cabinet, Ready, Shown, Source, ViewError, Wish};
use crate::clock::{Deadline, micros};
use crate::keys::Purpose;
use crate::model::{CheckId, Guest, RestaurantRef, Transaction, TransactionKind, without_marks};
use crate::probonus::History;

/// How far back the usual history goes, and how far the whole.
const USUAL_MONTHS: i64 = 12;
const WHOLE_YEARS: i64 = 20;

/// Movements on a page when the guest does not say.
pub const USUAL_LIMIT: usize = 20;

/// What a guest asks of the history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The first business day.
    pub from: Option<Date>,
    /// The last business day.
    pub to: Option<Date>,
    /// Only this kind.
    pub kind: Option<TransactionKind>,
    /// Movements on the page; 20 when not said.
    pub limit: Option<usize>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// A page of the history.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Page {
    /// Newest first.
    pub items: Vec<Transaction>,
    /// Where the next page starts; `null` on the last one.
    pub next_cursor: Option<String>,
}

/// The last twelve months.
pub(super) struct HistorySeen {
    entries: Vec<Transaction>,
    /// The first page as most guests ask for it.
    first_page: Ready,
}

/// As far back as ProBonus goes.
pub(super) struct WholeHistorySeen {
    entries: Vec<Transaction>,
}

/// A history as it is kept.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    entries: Vec<Transaction>,
}

/// The place of a movement in the order: later first, of one moment the longer and greater id first.
fn order(a: (Timestamp, &str), b: (Timestamp, &str)) -> Ordering {
    let key = |(at, id): (Timestamp, &str)| (at, id.len());
    key(b).cmp(&key(a)).then_with(|| b.1.cmp(a.1))
}

#[async_trait]
impl View for HistorySeen {
    type Kept = Kept;
    type Key = ();

    const COUNTED: Counted = Counted::Transactions;

    fn kept_name(_: &Cabinet, (): &()) -> String {
        "transactions".into()
    }

    fn fresh_us(cabinet: &Cabinet) -> i64 {
        micros(cabinet.config.cache.transactions_fresh)
    }

    async fn ask(cabinet: &Arc<Cabinet>, guest: &Guest, (): &(), wish: Wish) -> Result<Kept, ViewError> {
        let from = cabinet.usual_from();
        cabinet.ask_history(guest, from, wish).await
    }

    fn make(cabinet: &Cabinet, guest: &Guest, kept: &Kept, as_of_us: i64) -> Self {
        let entries = cabinet.named(&kept.entries);
        let page = cabinet.page(guest, &entries, &Query::default(), None);
        Self {
            first_page: Ready::new(&page, as_of_us),
            entries,
        }
    }

    fn weight(&self) -> usize {
        size_of::<Self>() + weight_of(&self.entries) + self.first_page.weight()
    }
}

impl HistorySeen {
    /// The last movements.
    pub fn last(&self, count: usize) -> &[Transaction] {
        &self.entries[..count.min(self.entries.len())]
    }
}

/// Bytes that movements take: each with a few short texts of its own.
fn weight_of(entries: &[Transaction]) -> usize {
    size_of_val(entries) + 128 * entries.len()
}

#[async_trait]
impl View for WholeHistorySeen {
    type Kept = Kept;
    type Key = ();

    const COUNTED: Counted = Counted::WholeTransactions;

    fn kept_name(_: &Cabinet, (): &()) -> String {
        "whole_transactions".into()
    }

    fn fresh_us(cabinet: &Cabinet) -> i64 {
        micros(cabinet.config.cache.transactions_fresh)
    }

    async fn ask(cabinet: &Arc<Cabinet>, guest: &Guest, (): &(), wish: Wish) -> Result<Kept, ViewError> {
        let today = cabinet.today();
        let from = today.checked_sub(WHOLE_YEARS.years()).unwrap_or(today);
        cabinet.ask_history(guest, from, wish).await
    }

    fn make(cabinet: &Cabinet, _: &Guest, kept: &Kept, _: i64) -> Self {
        Self {
            entries: cabinet.named(&kept.entries),
        }
    }

    fn weight(&self) -> usize {
        size_of::<Self>() + weight_of(&self.entries)
    }
}

impl Cabinet {
    /// `GET /me/transactions`.
    ///
    /// # Errors
    /// See [`ViewError`].
    pub async fn transactions(self: &Arc<Self>, guest: &Guest, query: &Query, wish: Wish) -> Result<Shown, ViewError> {
        let after = match &query.cursor {
            Some(cursor) => Some(self.read_cursor(guest, query, cursor)?),
            None => None,
        };
        let mut reader = self.begin_reading(guest, wish).await?;
        loop {
            let (account, page) = tokio::join!(
                self.account_beside(&reader.guest, wish),
                self.page_seen(&reader.guest, query, after.as_ref(), wish)
            );
            if let Some((shown, source)) = self.beside_account(&mut reader, account, page).await? {
                let source = shown.source.beside(source);
                return Ok(Shown { source, ..shown });
            }
        }
    }

    async fn page_seen(
        self: &Arc<Self>,
        guest: &Guest,
        query: &Query,
        after: Option<&Place>,
        wish: Wish,
    ) -> Result<Shown, ViewError> {
        if query.from.is_some_and(|from| from < self.usual_from()) {
            let found = self.whole_history_seen(guest, wish).await?;
            return Ok(self.page_shown(guest, &found.filled, |seen| &seen.entries, query, after, found.source));
        }
        let found = self.history_seen(guest, wish).await?;
        if *query == Query::default() {
            return Ok(found.filled.value.first_page.shown(found.source));
        }
        Ok(self.page_shown(guest, &found.filled, |seen| &seen.entries, query, after, found.source))
    }

    fn page_shown<V>(
        &self,
        guest: &Guest,
        filled: &Filled<V>,
        entries: impl Fn(&V) -> &Vec<Transaction>,
        query: &Query,
        after: Option<&Place>,
        source: Source,
    ) -> Shown {
        let page = self.page(guest, entries(&filled.value), query, after);
        Ready::new(&page, filled.as_of_us).shown(source)
    }

    pub(super) async fn history_seen(
        self: &Arc<Self>,
        guest: &Guest,
        wish: Wish,
    ) -> Result<Found<HistorySeen>, ViewError> {
        let slot = self.guests.views(guest).history();
        self.find(guest, &slot, &(), wish).await
    }

    async fn whole_history_seen(
        self: &Arc<Self>,
        guest: &Guest,
        wish: Wish,
    ) -> Result<Found<WholeHistorySeen>, ViewError> {
        let slot = self.guests.views(guest).whole_history();
        self.find(guest, &slot, &(), wish).await
    }

    /// Whether the guest's history names the check, be it as far back as ProBonus goes.
    pub(super) async fn history_names(
        self: &Arc<Self>,
        guest: &Guest,
        check: &CheckId,
        deadline: Deadline,
    ) -> Result<bool, ViewError> {
        let wish = Wish { renew: false, deadline };
        let named = |entries: &[Transaction]| entries.iter().any(|entry| entry.check_id.as_ref() == Some(check));
        if named(&self.history_seen(guest, wish).await?.filled.value.entries) {
            return Ok(true);
        }
        Ok(named(&self.whole_history_seen(guest, wish).await?.filled.value.entries))
    }

    async fn ask_history(self: &Arc<Self>, guest: &Guest, from: Date, wish: Wish) -> Result<Kept, ViewError> {
        let account = self.account_id(guest, wish).await?;
        // A business day ends within the next calendar day.
        let to = self.today().checked_add(1.day()).unwrap_or(from);
        let history = History::Days { from, to };
        let entries = self.probonus.transactions(&account, history, wish.deadline).await?;
        Ok(Kept { entries })
    }

    /// Restaurants by the names guests know, comments without what is ours in them.
    fn named(&self, entries: &[Transaction]) -> Vec<Transaction> {
        let name = |entry: &Transaction| Transaction {
            restaurant: self.restaurant(entry.restaurant.as_ref()),
            comment: entry.comment.as_deref().and_then(without_marks),
            ..entry.clone()
        };
        entries.iter().map(name).collect()
    }

    /// A restaurant with the programme's name for it, when it has one.
    pub(super) fn restaurant(&self, told: Option<&RestaurantRef>) -> Option<RestaurantRef> {
        let told = told?;
        let known = told.code.as_ref().and_then(|code| {
            let restaurants = &self.config.program.restaurants;
            restaurants.iter().find(|restaurant| restaurant.code == *code)
        });
        Some(RestaurantRef {
            code: told.code.clone(),
            name: known.map(|known| known.name.clone()).or_else(|| told.name.clone()),
        })
    }

    /// Today by the business calendar.
    pub(super) fn today(&self) -> Date {
        self.business_day(self.clock.now())
    }

    fn usual_from(&self) -> Date {
        let today = self.today();
        today.checked_sub(USUAL_MONTHS.months()).unwrap_or(today)
    }

    /// The business day of a moment: what happens before the day starts belongs to the day before.
    fn business_day(&self, at: Timestamp) -> Date {
        let start = self.config.day_start;
        let seconds = i64::from(start.hour()) * 3600 + i64::from(start.minute()) * 60;
        let shifted = at.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(at);
        shifted.to_zoned_datetime(self.config.time_zone.clone()).date()
    }

    fn page(&self, guest: &Guest, entries: &[Transaction], query: &Query, after: Option<&Place>) -> Page {
        let start = after.map_or(0, |place| {
            entries.partition_point(|entry| {
                order((entry.occurred_at, entry.id.as_str()), (place.at, &place.id)) != Ordering::Greater
            })
        });
        let from = query.from.unwrap_or_else(|| self.usual_from());
        let wanted = |entry: &&Transaction| {
            let day = self.business_day(entry.occurred_at);
            let kind = query.kind.is_none_or(|kind| kind == entry.kind);
            kind && day >= from && query.to.is_none_or(|to| day <= to)
        };
        let limit = query.limit.unwrap_or(USUAL_LIMIT);
        let mut items: Vec<Transaction> = entries[start..]
            .iter()
            .filter(wanted)
            .take(limit + 1)
            .cloned()
            .collect();
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items
            .last()
            .filter(|_| more)
            .map(|last| self.cursor(guest, query, last.occurred_at, last.id.as_str()));
        Page { items, next_cursor }
    }

    /// A cursor: the place, and a keyed hash that binds it to guest and filters. The same place always has the same cursor.
    fn cursor(&self, guest: &Guest, query: &Query, at: Timestamp, id: &str) -> String {
        let mut place = at.as_microsecond().to_be_bytes().to_vec();
        place.extend_from_slice(id.as_bytes());
        let tag = self.keys.mac(Purpose::Cursor, &[&guest.key.0, &filters(query), &place]);
        let mut cursor = tag[..16].to_vec();
        cursor.extend_from_slice(&place);
        URL_SAFE_NO_PAD.encode(cursor)
    }

    fn read_cursor(&self, guest: &Guest, query: &Query, cursor: &str) -> Result<Place, ViewError> {
        let read = || {
            let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
            let (tag, place) = bytes.split_at_checked(16)?;
            let (at, id) = place.split_at_checked(8)?;
            let filters = filters(query);
            let parts: &[&[u8]] = &[&guest.key.0, &filters, place];
            let made = |whole: [u8; 32]| aws_lc_rs::constant_time::verify_slices_are_equal(&whole[..16], tag).is_ok();
            let current = made(self.keys.mac(Purpose::Cursor, parts));
            let ours = current || self.keys.previous_mac(Purpose::Cursor, parts).is_some_and(made);
            let at = Timestamp::from_microsecond(i64::from_be_bytes(at.try_into().ok()?)).ok()?;
            let id = std::str::from_utf8(id).ok()?.to_owned();
            ours.then_some(Place { at, id })
        };
        read().ok_or(ViewError::InvalidCursor)
    }
}

/// Where a page ended.
struct Place {
    at: Timestamp,
    id: String,
}

/// What a cursor is bound to besides the guest.
fn filters(query: &Query) -> Vec<u8> {
    format!("{:?} {:?} {:?}", query.from, query.to, query.kind).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_movements_come_first_and_ids_break_ties() {
        let at = |seconds| Timestamp::from_second(seconds).expect("a moment");
        assert_eq!(order((at(2), "1"), (at(1), "9")), Ordering::Less);
        assert_eq!(order((at(1), "10"), (at(1), "9")), Ordering::Less);
        assert_eq!(order((at(1), "8"), (at(1), "9")), Ordering::Greater);
        assert_eq!(order((at(1), "9"), (at(1), "9")), Ordering::Equal);
    }
}
