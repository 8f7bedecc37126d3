//! The guest's account: profile, level, balance, coupons.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AccountId, GroupId, Money, Phone};

/// The guest's gender as the questionnaire has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gender {
    /// Male.
    Male,
    /// Female.
    Female,
}

/// What the guest sees of themselves. `Debug` is masked: it is personal data from the first field to the last.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Profile {
    /// First name.
    #[schema(example = "Анна")]
    pub first_name: Option<String>,
    /// Last name.
    #[schema(example = "Смирнова")]
    pub last_name: Option<String>,
    /// Middle name (patronymic).
    pub middle_name: Option<String>,
    /// Birthday.
    #[schema(example = "1990-04-12")]
    pub birthday: Option<Date>,
    /// Gender.
    pub gender: Option<Gender>,
    /// E-mail address.
    #[schema(example = "anna@example.ru")]
    pub email: Option<String>,
    /// The phone that was proven, `+7…`.
    #[schema(example = "+79160000001")]
    pub phone: String,
    /// The loyalty level, when ProBonus names one.
    pub level: Option<Level>,
    /// Whether the account is blocked: it can be looked at, not used.
    pub blocked: bool,
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Profile(…)")
    }
}

/// A loyalty level and the way to the next one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Level {
    /// The level's name.
    #[schema(example = "Золотой")]
    pub name: String,
    /// Share of a purchase returned as bonuses, in percent, as decimal text; `null` when ProBonus does not say.
    #[schema(example = "7.5", pattern = r"^\d+(\.\d+)?$")]
    pub bonus_percent: Option<String>,
    /// Discount in percent, as decimal text; `null` when ProBonus does not say.
    #[schema(example = "0", pattern = r"^\d+(\.\d+)?$")]
    pub discount_percent: Option<String>,
    /// Money spent so far, in kopecks.
    pub turnover: Option<Money>,
    /// The next level of the programme; `null` at the top or when the programme's levels are not configured.
    pub next: Option<NextLevel>,
}

/// The next level and what is missing to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NextLevel {
    /// Its name.
    #[schema(example = "Платиновый")]
    pub name: String,
    /// Money still to be spent, in kopecks.
    pub remaining: Money,
}

/// What is on the account, what is coming and what burns when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Balance {
    /// Bonuses that can be spent now, in kopecks.
    pub available: Money,
    /// Bonuses accrued and not yet usable, in kopecks.
    pub pending: Money,
    /// Always `RUB`: bonuses are counted in kopecks.
    pub currency: Currency,
    /// What burns, one entry per day, soonest first.
    pub expiring: Vec<Expiry>,
    /// The first of `expiring`.
    pub next_expiry: Option<Expiry>,
}

/// What sums are counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum Currency {
    /// Russian roubles, in kopecks.
    #[default]
    #[serde(rename = "RUB")]
    Rub,
}

/// Bonuses that burn on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Expiry {
    /// How much, in kopecks.
    pub amount: Money,
    /// The day (business calendar) on which it burns.
    #[schema(example = "2026-12-31")]
    pub expires_on: Date,
}

/// A coupon of the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Coupon {
    /// Its id in ProBonus.
    pub id: Option<String>,
    /// What it is called.
    #[schema(example = "Десерт в подарок")]
    pub name: Option<String>,
    /// What the guest shows or says.
    #[schema(example = "SWEET-10")]
    pub code: Option<String>,
    /// What it gives.
    pub description: Option<String>,
    /// Valid from this moment.
    pub valid_from: Option<Timestamp>,
    /// Valid until this moment.
    pub valid_to: Option<Timestamp>,
    /// Already used.
    pub used: bool,
}

/// What `find_by_phone` tells about an account, translated once. Not a view: views are made of it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// The account's id.
    pub id: AccountId,
    /// Its group.
    pub group: Option<GroupId>,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// Middle name.
    pub middle_name: Option<String>,
    /// Birthday.
    pub birthday: Option<Date>,
    /// Gender.
    pub gender: Option<Gender>,
    /// E-mail address.
    pub email: Option<String>,
    /// Current balance, in kopecks; `None` when not told.
    pub balance: Option<Money>,
    /// Whether the account is blocked.
    pub blocked: bool,
    /// Money spent so far, in kopecks.
    pub turnover: Option<Money>,
    /// The level as ProBonus tells it: `next` is always `None` here.
    pub level: Option<Level>,
    /// Coupons.
    pub coupons: Vec<Coupon>,
    /// Card numbers and other identifiers a till may read.
    pub identifiers: Vec<String>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The questionnaire of a guest who signs up, validated. `Debug` shows nothing.
#[derive(Clone)]
pub struct NewAccount {
    /// The proven phone.
    pub phone: Phone,
    /// The configured group.
    pub group: GroupId,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: Option<String>,
    /// Middle name.
    pub middle_name: Option<String>,
    /// Birthday.
    pub birthday: Option<Date>,
    /// Gender.
    pub gender: Option<Gender>,
    /// E-mail address.
    pub email: Option<String>,
}

impl NewAccount {
    /// What ProBonus told of the account it made, which need not be all of what it was made of.
    #[must_use]
    pub fn completing(&self, told: Account) -> Account {
        Account {
            first_name: told.first_name.or_else(|| Some(self.first_name.clone())),
            last_name: told.last_name.or_else(|| self.last_name.clone()),
            middle_name: told.middle_name.or_else(|| self.middle_name.clone()),
            birthday: told.birthday.or(self.birthday),
            gender: told.gender.or(self.gender),
            email: told.email.or_else(|| self.email.clone()),
            ..told
        }
    }
}

impl std::fmt::Debug for NewAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewAccount(…)")
    }
}

macro_rules! apply {
    ($edit:ident to $what:ident: $($field:ident),*) => {
        $(if let Some(value) = &$edit.$field {
            $what.$field.clone_from(value);
        })*
    };
}

/// Changes to the questionnaire: the only fields of an account that are ever edited. The outer `None` leaves a field as it is, the
/// inner one clears it. `Debug` shows nothing.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProfileEdit {
    /// First name.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub first_name: Option<Option<String>>,
    /// Last name.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub last_name: Option<Option<String>>,
    /// Middle name.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub middle_name: Option<Option<String>>,
    /// Birthday.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub birthday: Option<Option<Date>>,
    /// Gender.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub gender: Option<Option<Gender>>,
    /// E-mail address.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub email: Option<Option<String>>,
}

/// What stands there was given, be it `null`.
#[expect(clippy::option_option, reason = "the outer one: given; the inner one: cleared")]
fn given<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl ProfileEdit {
    /// The profile with these changes.
    #[must_use]
    pub fn applied_to_profile(&self, mut profile: Profile) -> Profile {
        apply!(self to profile: first_name, last_name, middle_name, birthday, gender, email);
        profile
    }

    /// These changes and then those of `later`.
    #[must_use]
    pub fn followed_by(mut self, later: &Self) -> Self {
        for (field, later) in [
            (&mut self.first_name, &later.first_name),
            (&mut self.last_name, &later.last_name),
            (&mut self.middle_name, &later.middle_name),
            (&mut self.email, &later.email),
        ] {
            if later.is_some() {
                field.clone_from(later);
            }
        }
        self.birthday = later.birthday.or(self.birthday);
        self.gender = later.gender.or(self.gender);
        self
    }

    /// The account with these changes.
    #[must_use]
    pub fn applied_to_account(&self, mut account: Account) -> Account {
        apply!(self to account: first_name, last_name, middle_name, birthday, gender, email);
        account
    }
}

impl std::fmt::Debug for ProfileEdit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProfileEdit(…)")
    }
}
