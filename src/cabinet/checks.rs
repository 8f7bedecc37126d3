//! Checks down to the dishes, shown only to whom they are proven to belong.
//!
//! `get_by_id` knows no owner. A check is the guest's when their own history names it, or when ProBonus says that it is of their account;
//! everything else does not exist for them.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::counters::Counted;
use super::reading::View;
use super::{Cabinet, Ready, Shown, ViewError, Wish};
use crate::clock::micros;
use crate::keys::{Purpose, hex};
use crate::model::{Check, CheckId, Guest};
use crate::probonus::UpstreamError;

/// Checks that the history does not name are asked for so often in a minute: nobody tries ids out on ProBonus.
const LOOKUPS: u32 = 10;
const MINUTE_US: i64 = 60_000_000;

/// A check proven to be the guest's, with its answer.
pub(super) struct CheckSeen {
    check: Check,
    ready: Ready,
}

/// A guest's lookups of checks that their history does not name.
#[derive(Default)]
pub(super) struct Lookups(Mutex<(i64, u32)>);

impl Lookups {
    fn allows(&self, now_us: i64) -> bool {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now_us - window.0 >= MINUTE_US {
            *window = (now_us, 0);
        }
        window.1 += 1;
        window.1 <= LOOKUPS
    }
}

#[async_trait]
impl View for CheckSeen {
    type Kept = KeptCheck;
    type Key = CheckId;

    const COUNTED: Counted = Counted::Check;

    fn kept_name(cabinet: &Cabinet, id: &CheckId) -> String {
        let tag = cabinet.keys.mac(Purpose::Subject, &[b"check", id.as_str().as_bytes()]);
        format!("check {}", hex(&tag[..12]))
    }

    fn fresh_us(cabinet: &Cabinet) -> i64 {
        micros(cabinet.config.cache.check_fresh)
    }

    async fn ask(cabinet: &Arc<Cabinet>, guest: &Guest, id: &CheckId, wish: Wish) -> Result<KeptCheck, ViewError> {
        let account = cabinet.account_id(guest, wish).await?;
        let listed = cabinet.history_names(guest, id, wish.deadline).await;
        let views = cabinet.guests.views(guest);
        let named = listed == Ok(true);
        if !named && !id.is_usual() {
            // What ProBonus itself never named to this guest and no id looks like is not carried to it.
            listed?;
            return Err(ViewError::NotFound);
        }
        if !named && !views.lookups.allows(cabinet.clock.steady_us()) {
            return Err(ViewError::NotFound);
        }
        let asked = cabinet.probonus.check_asked_by(&account, named, id, wish.deadline);
        let check = match asked.await {
            // A ProBonus may refuse ids that it does not know, and the guest's history does not name this one.
            Err(UpstreamError::Refused { .. }) if listed == Ok(false) => None,
            check => check?,
        };
        let owner = check.as_ref().and_then(|check| check.account_id.as_ref());
        // Without the history only ProBonus' word proves a check; whatever that does not prove looks alike, be it there or not.
        let proven = match owner {
            Some(owner) if *owner == account => true,
            Some(_) => listed.and(Ok(false))?,
            None => listed?,
        };
        check.filter(|_| proven).map(KeptCheck).ok_or(ViewError::NotFound)
    }

    fn make(cabinet: &Cabinet, _: &Guest, KeptCheck(check): &KeptCheck, as_of_us: i64) -> Self {
        let check = Check {
            restaurant: cabinet.restaurant(check.restaurant.as_ref()),
            ..check.clone()
        };
        Self {
            ready: Ready::new(&check, as_of_us),
            check,
        }
    }

    fn weight(&self) -> usize {
        // The check's own texts are about as long as the answer made of them.
        size_of::<Self>() + size_of_val(self.check.items.as_slice()) + 2 * self.ready.weight()
    }
}

/// A check as it is kept: only proven ones are.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct KeptCheck(Check);

impl Cabinet {
    /// `GET /me/checks/{id}`.
    ///
    /// # Errors
    /// See [`ViewError`]; whatever is not proven to be this guest's is [`ViewError::NotFound`].
    pub async fn check(self: &Arc<Self>, guest: &Guest, id: &CheckId, wish: Wish) -> Result<Shown, ViewError> {
        // Without an account there is no history to look into, and the guest should hear that.
        let mut reader = self.begin_reading(guest, Wish { renew: false, ..wish }).await?;
        loop {
            let slot = self.guests.views(&reader.guest).check(id);
            let (account, check) = tokio::join!(
                self.account_beside(&reader.guest, Wish { renew: false, ..wish }),
                self.find(&reader.guest, &slot, id, wish)
            );
            if let Some((found, source)) = self.beside_account(&mut reader, account, check).await? {
                debug_assert_eq!(found.filled.value.check.id, *id);
                return Ok(found.filled.value.ready.shown(found.source.beside(source)));
            }
        }
    }
}
