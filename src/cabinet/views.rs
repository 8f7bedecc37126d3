//! The account's views: profile and coupons come with it in one answer; the balance has its own.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;

use super::counters::Counted;
use super::guests::{Found, View};
use super::{Cabinet, Ready, Shown, ViewError, Wish};
use crate::clock::Deadline;
use crate::model::{Account, AccountId, Balance, Coupon, Guest, Level, Money, NextLevel, Profile};

/// An account with the answers made of it.
pub(super) struct AccountSeen {
    pub account: Account,
    pub profile_ready: Ready,
    pub coupons_ready: Ready,
}

/// A balance with its answer.
pub(super) struct BalanceSeen {
    pub balance: Balance,
    pub ready: Ready,
}

#[derive(Serialize)]
struct Coupons<'a> {
    items: &'a [Coupon],
}

#[async_trait]
impl View for AccountSeen {
    type Kept = Account;
    type Key = ();

    const COUNTED: Counted = Counted::Account;

    fn kept_name(_: &Cabinet, (): &()) -> String {
        "account".into()
    }

    fn fresh_us(cabinet: &Cabinet) -> i64 {
        micros(cabinet.config.cache.profile_fresh)
    }

    async fn ask(cabinet: &Arc<Cabinet>, guest: &Guest, (): &(), deadline: Deadline) -> Result<Account, ViewError> {
        let account = cabinet.probonus.find_by_phone(&guest.phone, deadline).await?;
        account.ok_or(ViewError::AccountAbsent)
    }

    fn make(cabinet: &Cabinet, guest: &Guest, account: &Account, as_of_us: i64) -> Self {
        cabinet.guests.owns(&account.id, guest.key);
        let items = &account.coupons;
        Self {
            account: account.clone(),
            profile_ready: Ready::new(&cabinet.profile_of(guest, account), as_of_us),
            coupons_ready: Ready::new(&Coupons { items }, as_of_us),
        }
    }

    fn weight(&self) -> usize {
        // The account's own texts are about as long as the profile made of them.
        size_of::<Self>() + 2 * self.profile_ready.weight() + 2 * self.coupons_ready.weight()
    }
}

#[async_trait]
impl View for BalanceSeen {
    type Kept = Balance;
    type Key = ();

    const COUNTED: Counted = Counted::Balance;

    fn kept_name(_: &Cabinet, (): &()) -> String {
        "balance".into()
    }

    fn fresh_us(cabinet: &Cabinet) -> i64 {
        micros(cabinet.config.cache.balance_fresh)
    }

    async fn ask(cabinet: &Arc<Cabinet>, guest: &Guest, (): &(), deadline: Deadline) -> Result<Balance, ViewError> {
        let account = cabinet.account_id(guest, deadline).await?;
        Ok(cabinet.probonus.balance(&account, deadline).await?)
    }

    fn make(_: &Cabinet, _: &Guest, balance: &Balance, as_of_us: i64) -> Self {
        Self {
            balance: balance.clone(),
            ready: Ready::new(balance, as_of_us),
        }
    }

    fn weight(&self) -> usize {
        size_of::<Self>() + size_of_val(self.balance.expiring.as_slice()) + self.ready.weight()
    }
}

impl Cabinet {
    /// `GET /me/profile`.
    ///
    /// # Errors
    /// See [`ViewError`].
    pub async fn profile(self: &Arc<Self>, guest: &Guest, wish: Wish) -> Result<Shown, ViewError> {
        let found = self.account_seen(guest, wish).await?;
        Ok(found.filled.value.profile_ready.shown(found.source))
    }

    /// `GET /me/coupons`.
    ///
    /// # Errors
    /// See [`ViewError`].
    pub async fn coupons(self: &Arc<Self>, guest: &Guest, wish: Wish) -> Result<Shown, ViewError> {
        let found = self.account_seen(guest, wish).await?;
        Ok(found.filled.value.coupons_ready.shown(found.source))
    }

    /// `GET /me/balance`.
    ///
    /// # Errors
    /// See [`ViewError`].
    pub async fn balance(self: &Arc<Self>, guest: &Guest, wish: Wish) -> Result<Shown, ViewError> {
        let found = self.balance_seen(guest, wish).await?;
        Ok(found.filled.value.ready.shown(found.source))
    }

    pub(super) async fn account_seen(
        self: &Arc<Self>,
        guest: &Guest,
        wish: Wish,
    ) -> Result<Found<AccountSeen>, ViewError> {
        let slot = self.guests.slots(guest.key).account();
        self.find(guest, &slot, &(), wish).await
    }

    pub(super) async fn balance_seen(
        self: &Arc<Self>,
        guest: &Guest,
        wish: Wish,
    ) -> Result<Found<BalanceSeen>, ViewError> {
        let slot = self.guests.slots(guest.key).balance();
        self.find(guest, &slot, &(), wish).await
    }

    /// The id of the guest's account. Ids do not change, so any account that may still be shown will do.
    pub(super) async fn account_id(
        self: &Arc<Self>,
        guest: &Guest,
        deadline: Deadline,
    ) -> Result<AccountId, ViewError> {
        if let Some(account) = self.known_account(guest) {
            return Ok(account);
        }
        let wish = Wish { renew: false, deadline };
        let found = self.account_seen(guest, wish).await?;
        Ok(found.filled.value.account.id.clone())
    }

    pub(super) fn known_account(&self, guest: &Guest) -> Option<AccountId> {
        let slot = self.guests.slots(guest.key).account();
        let last = slot.last(self.ages::<AccountSeen>(), self.clock.now_us())?;
        Some(last.value.account.id.clone())
    }

    /// What the guest sees of an account. The phone is the proven one, whatever ProBonus has.
    pub(super) fn profile_of(&self, guest: &Guest, account: &Account) -> Profile {
        Profile {
            first_name: account.first_name.clone(),
            last_name: account.last_name.clone(),
            middle_name: account.middle_name.clone(),
            birthday: account.birthday,
            gender: account.gender,
            email: account.email.clone(),
            phone: guest.phone.e164().to_owned(),
            level: account
                .level
                .as_ref()
                .map(|level| self.level_of(level, account.turnover)),
            blocked: account.blocked,
        }
    }

    /// The level with the way to the next one, which the programme's configuration knows.
    fn level_of(&self, level: &Level, turnover: Option<Money>) -> Level {
        let next = turnover.and_then(|turnover| {
            let levels = &self.config.program.levels;
            let next = levels.iter().find(|level| level.from_turnover > turnover)?;
            Some(NextLevel {
                name: next.name.clone(),
                remaining: next.from_turnover.checked_add(turnover.negated())?,
            })
        });
        Level {
            turnover,
            next,
            ..level.clone()
        }
    }
}

pub(super) fn micros(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
