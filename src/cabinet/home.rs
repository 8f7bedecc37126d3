//! The first screen in one answer: parts fetched side by side out of the same slots; what failed is named, not invented.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use utoipa::ToSchema;

use super::history::HistorySeen;
use super::reading::Found;
use super::views::{AccountSeen, BalanceSeen};
use super::{Cabinet, Ready, Shown, Source, ViewError, Wish};
use crate::model::{Balance, Coupon, Guest, Level, Profile, Transaction};

/// Movements on the first screen.
const RECENT: usize = 10;

/// The first screen.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Home {
    /// As `GET /me/profile`.
    pub profile: Option<Profile>,
    /// As `GET /me/balance`.
    pub balance: Option<Balance>,
    /// The profile's level.
    pub level: Option<Level>,
    /// As the items of `GET /me/coupons`.
    pub coupons: Option<Vec<Coupon>>,
    /// The last movements.
    pub recent: Option<Vec<Transaction>>,
    /// Parts that failed and are `null` for that reason.
    #[schema(example = json!(["recent"]))]
    pub unavailable: Vec<&'static str>,
}

/// The first screen's answer as it was last made, and of which values.
#[derive(Default)]
pub(super) struct HomeSeen(Mutex<Option<Box<Made>>>);

struct Made {
    of: Parts,
    ready: Ready,
}

/// The serials of account, balance and history.
type Parts = [u64; 3];

impl HomeSeen {
    fn made_of(&self, parts: Parts) -> Option<Ready> {
        let made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some(made.as_ref().filter(|made| made.of == parts)?.ready.clone())
    }

    fn remember(&self, of: Parts, ready: Ready) {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *made = Some(Box::new(Made { of, ready }));
    }

    /// Bytes it takes.
    pub fn weight(&self) -> usize {
        let made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        made.as_ref().map_or(0, |made| size_of::<Made>() + made.ready.weight())
    }
}

impl Cabinet {
    /// `GET /me/home`. Made anew only when one of its parts is another than last time.
    ///
    /// # Errors
    /// See [`ViewError`]; only when there is nothing at all to show.
    pub async fn home(self: &Arc<Self>, guest: &Guest, wish: Wish) -> Result<Shown, ViewError> {
        let mut reader = self.begin_reading(guest, wish).await?;
        loop {
            let (account, balance, history) = tokio::join!(
                self.account_behind_phone(&reader.guest, wish),
                self.balance_seen(&reader.guest, wish),
                self.history_seen(&reader.guest, wish),
            );
            let changed = [balance.as_ref().err(), history.as_ref().err()].contains(&Some(&ViewError::AccountChanged));
            let account = match self.own(&mut reader, account).await {
                Ok(Some(account)) => Ok(account),
                Err(error) if error.may_show_last() => Err(error),
                Ok(None) => continue,
                Err(error) => return Err(error),
            };
            if !changed {
                return self.home_of(&reader.guest, account, balance, history);
            }
            self.read_anew(&mut reader, false).await?;
        }
    }

    fn home_of(
        &self,
        guest: &Guest,
        account: Result<Found<AccountSeen>, ViewError>,
        balance: Result<Found<BalanceSeen>, ViewError>,
        history: Result<Found<HistorySeen>, ViewError>,
    ) -> Result<Shown, ViewError> {
        if let (Ok(account), Ok(balance), Ok(history)) = (&account, &balance, &history) {
            let of = [account.filled.serial, balance.filled.serial, history.filled.serial];
            let source = worse(worse(account.source, balance.source), history.source);
            let views = self.guests.views(guest);
            if let Some(ready) = views.home.made_of(of) {
                return Ok(Shown { ready, source });
            }
            let as_of_us = account
                .filled
                .as_of_us
                .min(balance.filled.as_of_us)
                .min(history.filled.as_of_us);
            let mut home = Home::default();
            home.add_account(&account.filled.value);
            home.balance = Some(balance.filled.value.ready.content());
            home.recent = Some(history.filled.value.last(RECENT).to_vec());
            let ready = Ready::new(&home, as_of_us);
            views.home.remember(of, ready.clone());
            return Ok(Shown { ready, source });
        }
        part_of_home(account, balance, history)
    }
}

/// The first screen when something of it cannot be shown.
fn part_of_home(
    account: Result<Found<AccountSeen>, ViewError>,
    balance: Result<Found<BalanceSeen>, ViewError>,
    history: Result<Found<HistorySeen>, ViewError>,
) -> Result<Shown, ViewError> {
    let mut home = Home::default();
    // As old as its oldest part, as stale as its stalest.
    let mut as_of_us = i64::MAX;
    let mut source = Source::Hit;
    let mut add = |part_as_of_us: i64, part: Source| {
        as_of_us = as_of_us.min(part_as_of_us);
        source = worse(source, part);
    };
    let mut error = None;
    match account {
        Ok(found) => {
            home.add_account(&found.filled.value);
            add(found.filled.as_of_us, found.source);
        }
        Err(failed) => {
            home.unavailable.extend(["profile", "level", "coupons"]);
            error = Some(failed);
        }
    }
    match balance {
        Ok(found) => {
            home.balance = Some(found.filled.value.ready.content());
            add(found.filled.as_of_us, found.source);
        }
        Err(failed) => {
            home.unavailable.push("balance");
            error = error.or(Some(failed));
        }
    }
    match history {
        Ok(found) => {
            home.recent = Some(found.filled.value.last(RECENT).to_vec());
            add(found.filled.as_of_us, found.source);
        }
        Err(failed) => {
            home.unavailable.push("recent");
            error = error.or(Some(failed));
        }
    }
    match error {
        Some(error) if as_of_us == i64::MAX => Err(error),
        _ => Ok(Ready::new(&home, as_of_us).shown(source)),
    }
}

impl Home {
    fn add_account(&mut self, seen: &AccountSeen) {
        let profile = seen.profile();
        self.level.clone_from(&profile.level);
        self.profile = Some(profile);
        self.coupons = Some(seen.coupons());
    }
}

fn worse(a: Source, b: Source) -> Source {
    let rank = |source| match source {
        Source::Hit => 0,
        Source::Coalesced => 1,
        Source::Miss => 2,
        Source::Stale => 3,
    };
    if rank(b) > rank(a) { b } else { a }
}
