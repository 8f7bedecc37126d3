//! The account's views: profile and coupons come with it in one answer; the balance has its own.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::counters::Counted;
use super::reading::{Found, View};
use super::{Cabinet, Ready, Shown, ViewError, Wish};
use crate::clock::micros;
use crate::keys::Tag;
use crate::model::{Account, AccountBinding, AccountId, Balance, Coupon, Guest, Level, Money, NextLevel, Profile};

/// What is remembered of an account: what the guest sees of it, and little more.
pub(super) struct AccountSeen {
    pub id: AccountId,
    /// The keyed hash of the id.
    pub tag: Tag,
    pub blocked: bool,
    /// The first card or other identifier that a till may read.
    pub card: Option<Box<str>>,
    pub profile_ready: Ready,
    pub coupons_ready: Ready,
}

/// A balance with its answer.
pub(super) struct BalanceSeen {
    pub ready: Ready,
}

#[derive(Serialize, Deserialize)]
struct Coupons<'a> {
    items: Cow<'a, [Coupon]>,
}

#[async_trait]
impl View for AccountSeen {
    type Kept = Account;
    type Key = ();

    const COUNTED: Counted = Counted::Account;
    const NAMES_ACCOUNT: bool = true;

    fn kept_name(_: &Cabinet, (): &()) -> String {
        "account".into()
    }

    fn fresh_us(cabinet: &Cabinet) -> i64 {
        micros(cabinet.config.cache.profile_fresh)
    }

    async fn ask(cabinet: &Arc<Cabinet>, guest: &Guest, (): &(), wish: Wish) -> Result<Account, ViewError> {
        cabinet.accounts.look_up_for_all(guest, wish.deadline).await
    }

    fn make(cabinet: &Cabinet, guest: &Guest, account: &Account, as_of_us: i64) -> Self {
        let items = Cow::Borrowed(account.coupons.as_slice());
        Self {
            id: account.id.clone(),
            tag: cabinet.accounts.tag_of(&account.id),
            blocked: account.blocked,
            card: account.identifiers.first().map(|card| card.as_str().into()),
            profile_ready: Ready::new(&cabinet.profile_of(guest, account), as_of_us),
            coupons_ready: Ready::new(&Coupons { items }, as_of_us),
        }
    }

    fn weight(&self) -> usize {
        size_of::<Self>() + self.profile_ready.weight() + self.coupons_ready.weight()
    }

    fn account(&self, _: &Guest) -> AccountBinding {
        AccountBinding::Account(self.tag)
    }
}

impl AccountSeen {
    /// The profile as it is shown.
    pub fn profile(&self) -> Profile {
        self.profile_ready.content()
    }

    /// The coupons as they are shown.
    pub fn coupons(&self) -> Vec<Coupon> {
        self.coupons_ready.content::<Coupons>().items.into_owned()
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

    async fn ask(cabinet: &Arc<Cabinet>, guest: &Guest, (): &(), wish: Wish) -> Result<Balance, ViewError> {
        let account = cabinet.account_id(guest, wish).await?;
        Ok(cabinet.probonus.balance(&account, wish.deadline).await?)
    }

    fn make(_: &Cabinet, _: &Guest, balance: &Balance, as_of_us: i64) -> Self {
        Self {
            ready: Ready::new(balance, as_of_us),
        }
    }

    fn weight(&self) -> usize {
        size_of::<Self>() + self.ready.weight()
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
        let mut reader = self.begin_reading(guest, wish).await?;
        loop {
            let (account, balance) = tokio::join!(
                self.account_beside(&reader.guest, wish),
                self.balance_seen(&reader.guest, wish)
            );
            if let Some((found, source)) = self.beside_account(&mut reader, account, balance).await? {
                return Ok(found.filled.value.ready.shown(found.source.beside(source)));
            }
        }
    }

    /// The account of the guest's session.
    pub(super) async fn account_seen(
        self: &Arc<Self>,
        guest: &Guest,
        wish: Wish,
    ) -> Result<Found<AccountSeen>, ViewError> {
        let mut reader = self.begin_reading(guest, wish).await?;
        loop {
            let slot = self.guests.slots(guest.key).account();
            let found = self.find(&reader.guest, &slot, &(), wish).await;
            if let Some(found) = self.own(&mut reader, found).await? {
                return Ok(found);
            }
        }
    }

    pub(super) async fn balance_seen(
        self: &Arc<Self>,
        guest: &Guest,
        wish: Wish,
    ) -> Result<Found<BalanceSeen>, ViewError> {
        let slot = self.guests.views(guest).balance();
        self.find(guest, &slot, &(), wish).await
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
