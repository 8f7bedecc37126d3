//! The operations as the other rooms call them.

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::answers;
use super::arguments::Arguments;
use super::calls::{AskedBy, Calls};
use super::decode::identity::{prove_account, prove_phone};
use super::decode::verdict::{Verdict, decide};
use super::error::UpstreamError;
use super::ids::IdForm;
use super::json::{Json, NONSENSE};
use super::operation::Operation;
use super::reply::Reply;
use super::resilience::Throttling;
use super::values::Values;
use crate::clock::{Clock, Deadline};
use crate::config::{Forms, PhoneFormat, ProbonusConfig};
use crate::entropy::Entropy;
use crate::model::{
    Account, AccountGroup, AccountId, Balance, Check, CheckId, Gender, Money, NewAccount, OutsideCheck, Phone,
    ProfileEdit, Transaction,
};

/// The time for learning how ids are written, out of a write's own.
const SEEING_IDS: Duration = Duration::from_secs(1);

/// The client. `Debug` shows nothing.
pub struct ProBonus {
    calls: Calls,
    values: Values,
    phone_format: PhoneFormat,
    forms: Forms,
    ids: IdForm,
}

/// Which part of a history is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// Days of the restaurants' calendar, both included.
    Days {
        /// The first.
        from: Date,
        /// The last.
        to: Date,
    },
    /// The last so many movements.
    Last(u32),
}

/// An account that was not made, or not for certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotInserted {
    /// Why, and what may have been done.
    pub error: UpstreamError,
    /// Whether ProBonus has said how it ended: what it has not made by now it will not make.
    pub over: bool,
}

impl std::fmt::Debug for ProBonus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProBonus")
    }
}

impl ProBonus {
    /// A client for the configured ProBonus; `zone` is that of times that name none.
    ///
    /// # Errors
    /// When the TLS library cannot be set up.
    pub fn new(
        config: &ProbonusConfig,
        zone: TimeZone,
        clock: Clock,
        entropy: Entropy,
    ) -> Result<Self, reqwest::Error> {
        Self::with_throttling(config, Throttling::default(), zone, clock, entropy)
    }

    /// The same, throttled otherwise than by default: for measuring what the defaults should be.
    ///
    /// # Errors
    /// When the TLS library cannot be set up.
    pub fn with_throttling(
        config: &ProbonusConfig,
        throttling: Throttling,
        zone: TimeZone,
        clock: Clock,
        entropy: Entropy,
    ) -> Result<Self, reqwest::Error> {
        Ok(Self {
            calls: Calls::new(config, throttling, clock, entropy)?,
            values: Values {
                sums: config.sums,
                zone,
            },
            phone_format: config.phone_format,
            forms: config.forms.clone(),
            ids: IdForm::default(),
        })
    }

    /// The account of a phone; `None` when ProBonus says that there is none. An account that says it is another phone's is nonsense.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn find_by_phone(&self, phone: &Phone, deadline: Deadline) -> Result<Option<Account>, UpstreamError> {
        let arguments = Arguments::default().text("phone", self.spelled(phone));
        let reply = self.calls.make(Operation::FindByPhone, &arguments, deadline).await?;
        let Verdict::Told(answer) = self.decide(&reply, Operation::FindByPhone)? else {
            return Ok(None);
        };
        let account = only_account(answer)?;
        prove_phone(account, phone)?;
        self.ids.learn(account);
        self.values.account(account).map(Some)
    }

    /// Creates an account by the group's template: the account, when the answer tells it. A success without one is a success.
    ///
    /// # Errors
    /// See [`NotInserted`]; its error's effect tells whether the account may exist now.
    pub async fn insert_by_template(
        &self,
        account: &NewAccount,
        deadline: Deadline,
    ) -> Result<Option<Account>, NotInserted> {
        let arguments = Arguments::default()
            .id("accountGroupId", account.group.as_str(), &self.ids)
            .text("phone", self.spelled(&account.phone))
            .text("firstName", account.first_name.as_str())
            .maybe_text("lastName", account.last_name.as_deref())
            .maybe_text("middleName", account.middle_name.as_deref())
            .maybe_text("birthday", account.birthday.map(|day| day.to_string()))
            .maybe_text("gender", account.gender.map(gender_out))
            .maybe_text("email", account.email.as_deref());
        let reply = self.calls.make(Operation::InsertByTemplate, &arguments, deadline).await;
        let reply = reply.map_err(|error| NotInserted { error, over: false })?;
        let told = self
            .decide(&reply, Operation::InsertByTemplate)
            .and_then(|verdict| match verdict {
                Verdict::Told(answer) if answer.is_object() => {
                    prove_phone(answer, &account.phone).map(|()| Some(answer))
                }
                _ => Ok(None),
            });
        let told = told.map_err(|error| NotInserted { error, over: true })?;
        Ok(told.and_then(|answer| self.values.account(answer).ok()))
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
    pub async fn register_check(&self, check: &OutsideCheck, deadline: Deadline) -> Result<(), UpstreamError> {
        self.see_ids(&check.account_id, deadline).await;
        let arguments = Arguments::default()
            .number("restCode", check.restaurant_code)
            .text("checkGuid", check.check_guid.to_string())
            .id("accountId", check.account_id.as_str(), &self.ids)
            .number("rkUnit", check.unit_code)
            .text("externalCheck", check.external_number.as_str())
            .number("bonusSpentSum", check.bonus_spent.minor())
            .number("discountSum", check.discount.minor())
            .number("bonusAccruedSum", check.bonus_accrued.minor())
            .number("moneySpentSum", check.money_spent.minor())
            .text("checkData", check.content.as_deref().unwrap_or_default());
        let whose = |answer: Json<'_>| prove_account(answer, &["accountId"], &check.account_id);
        self.write(Operation::RegisterCheck, &arguments, whose, deadline).await
    }

    /// The history, newest first.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn transactions(
        &self,
        id: &AccountId,
        history: History,
        deadline: Deadline,
    ) -> Result<Vec<Transaction>, UpstreamError> {
        let arguments = Arguments::default().id("accountId", id.as_str(), &self.ids);
        let arguments = match history {
            History::Days { from, to } => arguments
                .text("dateFrom", from.to_string())
                .text("dateTo", to.to_string()),
            History::Last(count) => arguments.number("count", count),
        };
        let reply = self.calls.make(Operation::Transactions, &arguments, deadline).await?;
        let Verdict::Told(answer) = self.decide(&reply, Operation::Transactions)? else {
            return Ok(Vec::new());
        };
        let movements = self.values.transactions(answer, id)?;
        if let Some(movement) = answers::movements(answer)?.first() {
            self.ids.learn_from_movement(*movement);
        }
        Ok(movements)
    }

    /// The balance in detail.
    ///
    /// # Errors
    /// See [`UpstreamError`]; whatever does not read is nonsense, never an empty balance.
    pub async fn balance(&self, id: &AccountId, deadline: Deadline) -> Result<Balance, UpstreamError> {
        let reply = self.balance_told(id, deadline).await?;
        self.values.balance(self.told_of(id, &reply)?)
    }

    /// Accruals that were booked and have not arrived: the history does not name them yet.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn pending(&self, id: &AccountId, deadline: Deadline) -> Result<Vec<Money>, UpstreamError> {
        let reply = self.balance_told(id, deadline).await?;
        self.values.pending(self.told_of(id, &reply)?)
    }

    async fn balance_told(&self, id: &AccountId, deadline: Deadline) -> Result<Reply, UpstreamError> {
        let arguments = Arguments::default().id("accountId", id.as_str(), &self.ids);
        self.calls.make(Operation::Balance, &arguments, deadline).await
    }

    /// What a balance tells, which must be this account's as far as it says whose it is.
    fn told_of<'a>(&self, id: &AccountId, reply: &'a Reply) -> Result<Json<'a>, UpstreamError> {
        match self.decide(reply, Operation::Balance)? {
            Verdict::Told(answer) => prove_account(answer, &["accountId"], id).map(|()| answer),
            Verdict::Nothing | Verdict::Absent => Err(NONSENSE),
        }
    }

    /// A check; `None` when there is none by that very id. Whose it is, the caller must prove.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn check(&self, id: &CheckId, deadline: Deadline) -> Result<Option<Check>, UpstreamError> {
        let arguments = Arguments::default().id("id", id.as_str(), &self.ids);
        let reply = self.calls.make(Operation::Check, &arguments, deadline).await?;
        self.check_told(id, &reply)
    }

    /// The same for a guest, whose failures stay theirs; `named`: their history names the check.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn check_asked_by(
        &self,
        account: &AccountId,
        named: bool,
        id: &CheckId,
        deadline: Deadline,
    ) -> Result<Option<Check>, UpstreamError> {
        let arguments = Arguments::default().id("id", id.as_str(), &self.ids);
        let account = account.as_str();
        let reply = self
            .calls
            .make_for(AskedBy { account, named }, &arguments, deadline)
            .await?;
        self.check_told(id, &reply)
    }

    fn check_told(&self, id: &CheckId, reply: &Reply) -> Result<Option<Check>, UpstreamError> {
        // An id is a guest's word: a ProBonus that knows none of such a form says so.
        if matches!(reply.status.as_u16(), 400 | 410 | 422) {
            return Ok(None);
        }
        let Verdict::Told(answer) = self.decide(reply, Operation::Check)? else {
            return Ok(None);
        };
        let check = self.values.check(answer)?;
        // Another spelling of an id (`007` for `7`) must not tell that there is such a check.
        Ok(Some(check).filter(|check| check.id == *id))
    }

    /// The groups of accounts.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn account_groups(&self, deadline: Deadline) -> Result<Vec<AccountGroup>, UpstreamError> {
        let arguments = Arguments::default();
        let reply = self.calls.make(Operation::AccountGroups, &arguments, deadline).await?;
        match self.decide(&reply, Operation::AccountGroups)? {
            Verdict::Told(answer) => answers::groups(answer),
            Verdict::Nothing | Verdict::Absent => Err(NONSENSE),
        }
    }

    /// Proves that the API is there and answers in its form, by an operation that knows nothing of guests: what a web server says about an
    /// address may look like "no such guest".
    ///
    /// # Errors
    /// See [`UpstreamError`]; a list without groups proves nothing.
    pub async fn prove_presence(&self, deadline: Deadline) -> Result<(), UpstreamError> {
        let groups = self.account_groups(deadline).await?;
        if groups.is_empty() { Err(NONSENSE) } else { Ok(()) }
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

    fn decide<'a>(&self, reply: &'a Reply, operation: Operation) -> Result<Verdict<'a>, UpstreamError> {
        decide(reply, operation, &self.forms)
    }

    fn spelled(&self, phone: &Phone) -> String {
        match self.phone_format {
            PhoneFormat::Digits => phone.digits().to_owned(),
            PhoneFormat::E164 => phone.e164().to_owned(),
            // Only Russian numbers have the `8…` spelling.
            PhoneFormat::National => match phone.digits().strip_prefix('7') {
                Some(rest) => format!("8{rest}"),
                None => phone.digits().to_owned(),
            },
        }
    }
}

/// The one account of an answer; the same one told twice is one.
fn only_account(answer: Json) -> Result<Json, UpstreamError> {
    if !answer.is_list() {
        return Ok(answer);
    }
    let accounts = answer.array()?;
    let id = |account: &Json<'_>| answers::account_id(*account);
    let first = *accounts.first().ok_or(NONSENSE)?;
    for other in &accounts {
        if id(other)? != id(&first)? {
            tracing::error!(
                target: "security",
                event = "several_accounts",
                "ProBonus has several accounts of one phone: its guest is shown none until they are merged"
            );
            metrics::counter!("cabinet_upstream_several_accounts_total").increment(1);
            return Err(UpstreamError::SeveralAccounts);
        }
    }
    Ok(first)
}

fn gender_out(gender: Gender) -> &'static str {
    match gender {
        Gender::Male => "male",
        Gender::Female => "female",
    }
}
