//! What is written to ProBonus: accounts and their questionnaires, bonuses, outside checks. Done is only what ProBonus says was done.

use std::time::Duration;

use jiff::civil::Date;

use super::arguments::Arguments;
use super::client::ProBonus;
use super::decode::{Json, Verdict, prove_account, prove_phone, read_account};
use super::error::UpstreamError;
use super::operation::Operation;
use super::reads::History;
use crate::clock::Deadline;
use crate::model::{Account, AccountId, Gender, Money, NewAccount, OutsideCheck, Phone, ProfileEdit};

/// The time for learning how ids are written, out of a write's own.
const SEEING_IDS: Duration = Duration::from_secs(1);

impl ProBonus {
    /// Creates an account by the group's template: the account, when the answer tells it. A success without one is a success.
    ///
    /// # Errors
    /// See [`UpstreamError`]; its effect tells whether the account may exist now.
    pub async fn insert_by_template(
        &self,
        account: &NewAccount,
        deadline: Deadline,
    ) -> Result<Option<Account>, UpstreamError> {
        let arguments = Arguments::default()
            .id("accountGroupId", account.group.as_str(), &self.ids)
            .text("phone", self.spelled(&account.phone))
            .text("firstName", account.first_name.as_str())
            .maybe_text("lastName", account.last_name.as_deref())
            .maybe_text("middleName", account.middle_name.as_deref())
            .maybe_text("birthday", account.birthday.map(|day| day.to_string()))
            .maybe_text("gender", account.gender.map(gender_out))
            .maybe_text("email", account.email.as_deref());
        let reply = self
            .calls
            .make(Operation::InsertByTemplate, &arguments, deadline)
            .await?;
        match self.decide(&reply, Operation::InsertByTemplate)? {
            Verdict::Told(answer) if answer.is_object() => {
                prove_phone(answer, &account.phone)?;
                let account = self.read(Operation::InsertByTemplate, |context| read_account(answer, context));
                Ok(account.ok())
            }
            _ => Ok(None),
        }
    }

    /// Changes fields of the questionnaire of this account, which is this phone's, and nothing else.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn update(
        &self,
        id: &AccountId,
        phone: &Phone,
        edit: &ProfileEdit,
        deadline: Deadline,
    ) -> Result<(), UpstreamError> {
        let day = |day: Option<Date>| day.map(|day| day.to_string());
        let gender = |gender: Option<Gender>| gender.map(|gender| gender_out(gender).to_owned());
        let arguments = Arguments::default()
            .id("id", id.as_str(), &self.ids)
            .change("firstName", edit.first_name.clone())
            .change("lastName", edit.last_name.clone())
            .change("middleName", edit.middle_name.clone())
            .change("birthday", edit.birthday.map(day))
            .change("gender", edit.gender.map(gender))
            .change("email", edit.email.clone());
        let whose = |answer: Json<'_>| {
            prove_account(answer, &["id", "accountId"], id).and_then(|()| prove_phone(answer, phone))
        };
        self.write(Operation::Update, &arguments, whose, deadline).await
    }

    /// Accrues bonuses.
    ///
    /// # Errors
    /// See [`UpstreamError`]; its effect tells whether it may have been done.
    pub async fn refill(
        &self,
        id: &AccountId,
        sum: Money,
        comment: &str,
        deadline: Deadline,
    ) -> Result<(), UpstreamError> {
        self.see_ids(id, deadline).await;
        let arguments = Arguments::default()
            .id("accountId", id.as_str(), &self.ids)
            .number("sum", self.values.sum_out(sum))
            .text("comment", comment);
        let whose = |answer: Json<'_>| prove_account(answer, &["accountId"], id);
        self.write(Operation::Refill, &arguments, whose, deadline).await
    }

    /// Books a purchase made outside `r_keeper`. Its sums are kopecks whatever the other sums are.
    ///
    /// # Errors
    /// See [`UpstreamError`]; its effect tells whether it may have been done.
    pub async fn register_check(
        &self,
        id: &AccountId,
        check: &OutsideCheck,
        deadline: Deadline,
    ) -> Result<(), UpstreamError> {
        self.see_ids(id, deadline).await;
        let arguments = Arguments::default()
            .number("restCode", check.restaurant_code)
            .text("checkGuid", check.check_guid.to_string())
            .id("accountId", id.as_str(), &self.ids)
            .number("rkUnit", check.unit_code)
            .text("externalCheck", check.external_number.as_str())
            .number("bonusSpentSum", check.bonus_spent.minor())
            .number("discountSum", check.discount.minor())
            .number("bonusAccruedSum", check.bonus_accrued.minor())
            .number("moneySpentSum", check.money_spent.minor())
            .text("checkData", check.content.as_deref().unwrap_or_default());
        let whose = |answer: Json<'_>| prove_account(answer, &["accountId"], id);
        self.write(Operation::RegisterCheck, &arguments, whose, deadline).await
    }

    /// Reads how ProBonus writes ids before a write that could only guess it: what it refuses for its form is refused for good.
    async fn see_ids(&self, account: &AccountId, deadline: Deadline) {
        if self.ids.is_guess(account.as_str()) {
            // A guess is better than no booking.
            let _ = self
                .transactions(account, History::Last(1), deadline.at_most(SEEING_IDS))
                .await;
        }
    }

    /// A write: done when ProBonus says so, and what it says along is about `whose` it was.
    async fn write(
        &self,
        operation: Operation,
        arguments: &Arguments,
        whose: impl Fn(Json) -> Result<(), UpstreamError>,
        deadline: Deadline,
    ) -> Result<(), UpstreamError> {
        let reply = self.calls.make(operation, arguments, deadline).await?;
        match self.decide(&reply, operation)? {
            Verdict::Told(answer) if answer.is_object() => whose(answer),
            _ => Ok(()),
        }
    }
}

fn gender_out(gender: Gender) -> &'static str {
    match gender {
        Gender::Male => "male",
        Gender::Female => "female",
    }
}
