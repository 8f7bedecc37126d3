//! The first screen in one answer: parts fetched side by side out of the same slots; what failed is named, not invented.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::{Cabinet, Ready, Shown, Source, ViewError, Wish};
use crate::model::{Balance, Coupon, Guest, Level, Profile, Transaction};

/// Movements on the first screen.
const RECENT: usize = 10;

/// The first screen.
#[derive(Clone, Debug, Serialize, ToSchema)]
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

impl Cabinet {
    /// `GET /me/home`.
    ///
    /// # Errors
    /// See [`ViewError`]; only when there is nothing at all to show.
    pub async fn home(self: &Arc<Self>, guest: &Guest, wish: Wish) -> Result<Shown, ViewError> {
        let (account, balance, recent) = tokio::join!(
            self.account_seen(guest, wish),
            self.balance_seen(guest, wish),
            self.recent(guest, RECENT, wish),
        );
        let mut home = Home {
            profile: None,
            balance: None,
            level: None,
            coupons: None,
            recent: None,
            unavailable: Vec::new(),
        };
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
                let seen = &found.filled.value;
                home.profile = Some(seen.profile.clone());
                home.level.clone_from(&seen.profile.level);
                home.coupons = Some(seen.account.coupons.clone());
                add(found.filled.as_of_us, found.source);
            }
            Err(failed @ ViewError::AccountAbsent) => return Err(failed),
            Err(failed) => {
                home.unavailable.extend(["profile", "level", "coupons"]);
                error = Some(failed);
            }
        }
        match balance {
            Ok(found) => {
                home.balance = Some(found.filled.value.balance.clone());
                add(found.filled.as_of_us, found.source);
            }
            Err(failed) => {
                home.unavailable.push("balance");
                error = error.or(Some(failed));
            }
        }
        match recent {
            Ok((entries, as_of_us, source)) => {
                home.recent = Some(entries);
                add(as_of_us, source);
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
