//! The operations as the other rooms call them.

use bytes::Bytes;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use metrics::{Counter, counter, histogram};
use serde_json::{Map, Value, json};

use super::answers;
use super::breaker::Breaker;
use super::bulkhead::Bulkhead;
use super::call::{Reply, Transport};
use super::credential::Credential;
use super::error::UpstreamError;
use super::json::Json;
use super::operation::{Group, Operation};
use super::retry::{RetryBudget, jitter};
use super::values::Values;
use crate::clock::{Clock, Deadline};
use crate::config::{PhoneFormat, ProbonusConfig};
use crate::entropy::Entropy;
use crate::model::{
    Account, AccountGroup, AccountId, Balance, Check, CheckId, Gender, Money, NewAccount, OutsideCheck, Phone,
    ProfileEdit, Transaction,
};

/// The client. `Debug` shows nothing.
pub struct ProBonus {
    transport: Transport,
    credential: Credential,
    gates: [Gate; 4],
    retries: RetryBudget,
    values: Values,
    phone_format: PhoneFormat,
    clock: Clock,
    entropy: Entropy,
    retried: Counter,
}

/// What all calls of one group pass.
struct Gate {
    bulkhead: Bulkhead,
    breaker: Breaker,
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

impl std::fmt::Debug for ProBonus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProBonus")
    }
}

/// A call slower than this share of its time counts as a failure: a server that hardly answers is about to not answer.
const SLOW: f64 = 0.9;

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
        Ok(Self {
            transport: Transport::new(config)?,
            credential: Credential::new(config.credential.clone(), config.token_header.clone(), clock.clone()),
            gates: Group::ALL.map(|group| Gate {
                bulkhead: Bulkhead::new(config.max_concurrency),
                breaker: Breaker::new(group.name(), clock.clone()),
            }),
            retries: RetryBudget::new(),
            values: Values {
                sums: config.sums,
                zone,
            },
            phone_format: config.phone_format,
            clock,
            entropy,
            retried: counter!("cabinet_upstream_retries_total"),
        })
    }

    /// The account of a phone; `None` when ProBonus says that there is none.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn find_by_phone(&self, phone: &Phone, deadline: Deadline) -> Result<Option<Account>, UpstreamError> {
        let arguments = json!({ "phone": self.spelled(phone) });
        let reply = self.call(Operation::FindByPhone, &arguments, deadline).await?;
        maybe(reply, |answer| self.values.account(answer))
    }

    /// Creates an account by the group's template. What ProBonus answers is not relied on: the account is looked up afterwards.
    ///
    /// # Errors
    /// See [`UpstreamError`]; its effect tells whether the account may exist now.
    pub async fn insert_by_template(&self, account: &NewAccount, deadline: Deadline) -> Result<(), UpstreamError> {
        let mut arguments = Map::new();
        arguments.insert("accountGroupId".into(), id_out(account.group.as_str()));
        arguments.insert("phone".into(), self.spelled(&account.phone).into());
        arguments.insert("firstName".into(), account.first_name.clone().into());
        let optional = [
            ("lastName", account.last_name.clone()),
            ("middleName", account.middle_name.clone()),
            ("birthday", account.birthday.map(|day| day.to_string())),
            ("gender", account.gender.map(|gender| gender_out(gender).to_owned())),
            ("email", account.email.clone()),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                arguments.insert(name.into(), value.into());
            }
        }
        self.write(Operation::InsertByTemplate, arguments.into(), deadline)
            .await
    }

    /// Changes fields of the questionnaire and nothing else.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn update(&self, id: &AccountId, edit: &ProfileEdit, deadline: Deadline) -> Result<(), UpstreamError> {
        let mut arguments = Map::new();
        arguments.insert("id".into(), id_out(id.as_str()));
        let day = |day: Option<Date>| day.map(|day| day.to_string());
        let fields = [
            ("firstName", edit.first_name.clone()),
            ("lastName", edit.last_name.clone()),
            ("middleName", edit.middle_name.clone()),
            ("birthday", edit.birthday.map(day)),
            (
                "gender",
                edit.gender
                    .map(|gender| gender.map(|gender| gender_out(gender).to_owned())),
            ),
            ("email", edit.email.clone()),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                arguments.insert(name.into(), value.into());
            }
        }
        self.write(Operation::Update, arguments.into(), deadline).await
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
        let arguments =
            json!({ "accountId": id_out(id.as_str()), "sum": self.values.sum_out(sum), "comment": comment });
        self.write(Operation::Refill, arguments, deadline).await
    }

    /// Books a purchase made outside `r_keeper`. Its sums are kopecks whatever the other sums are.
    ///
    /// # Errors
    /// See [`UpstreamError`]; its effect tells whether it may have been done.
    pub async fn register_check(&self, check: &OutsideCheck, deadline: Deadline) -> Result<(), UpstreamError> {
        let arguments = json!({
            "restCode": check.restaurant_code,
            "checkGuid": check.check_guid.to_string(),
            "accountId": id_out(check.account_id.as_str()),
            "rkUnit": check.unit_code,
            "externalCheck": check.external_number,
            "bonusSpentSum": check.bonus_spent.minor(),
            "discountSum": check.discount.minor(),
            "bonusAccruedSum": check.bonus_accrued.minor(),
            "moneySpentSum": check.money_spent.minor(),
            "checkData": check.content.as_deref().unwrap_or_default(),
        });
        self.write(Operation::RegisterCheck, arguments, deadline).await
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
        let mut arguments = json!({ "accountId": id.as_str() });
        match history {
            History::Days { from, to } => {
                arguments["dateFrom"] = from.to_string().into();
                arguments["dateTo"] = to.to_string().into();
            }
            History::Last(count) => arguments["count"] = count.into(),
        }
        let reply = self.call(Operation::Transactions, &arguments, deadline).await?;
        let nothing = reply.status == http::StatusCode::NO_CONTENT;
        let body = reply.accepted()?;
        if nothing {
            return Ok(Vec::new());
        }
        let answer = Json::parse(&body)?.unwrapped();
        if answer.is_null() {
            return Ok(Vec::new());
        }
        self.values.transactions(answer, id)
    }

    /// The balance in detail.
    ///
    /// # Errors
    /// See [`UpstreamError`]; whatever does not read is nonsense, never an empty balance.
    pub async fn balance(&self, id: &AccountId, deadline: Deadline) -> Result<Balance, UpstreamError> {
        let arguments = json!({ "accountId": id.as_str() });
        let body = self.call(Operation::Balance, &arguments, deadline).await?.accepted()?;
        self.values.balance(Json::parse(&body)?.unwrapped())
    }

    /// A check; `None` when there is none. Whose it is, the caller must prove.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn check(&self, id: &CheckId, deadline: Deadline) -> Result<Option<Check>, UpstreamError> {
        let reply = self
            .call(Operation::Check, &json!({ "id": id.as_str() }), deadline)
            .await?;
        let check = maybe(reply, |answer| self.values.check(answer))?;
        match check {
            Some(check) if check.id != *id => Err(UpstreamError::Invalid),
            check => Ok(check),
        }
    }

    /// The groups of accounts.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn account_groups(&self, deadline: Deadline) -> Result<Vec<AccountGroup>, UpstreamError> {
        let body = self
            .call(Operation::AccountGroups, &json!({}), deadline)
            .await?
            .accepted()?;
        answers::groups(Json::parse(&body)?.unwrapped())
    }

    /// A write: any success is a success, whatever ProBonus says along with it.
    async fn write(&self, operation: Operation, arguments: Value, deadline: Deadline) -> Result<(), UpstreamError> {
        let reply = self.call(operation, &arguments, deadline).await?;
        reply.accepted().map(|_: Bytes| ())
    }

    /// One call with everything it passes; a read that failed by chance is tried once more.
    async fn call(&self, operation: Operation, arguments: &Value, deadline: Deadline) -> Result<Reply, UpstreamError> {
        self.retries.earn();
        metrics::gauge!("cabinet_retries_left").set(f64::from(i32::try_from(self.retries.left()).unwrap_or(i32::MAX)));
        let first = self.once(operation, arguments, deadline).await;
        let failed = match &first {
            Ok(reply) => is_chance(reply),
            Err(error) => matches!(error, UpstreamError::Unavailable { retry_after: None, .. }),
        };
        if !failed || !operation.is_read() {
            return first;
        }
        let pause = jitter(&self.entropy);
        let time_for_another = deadline.remaining() > pause + self.transport.timeout() / 4;
        if !time_for_another || !self.retries.spend() {
            return first;
        }
        self.retried.increment(1);
        tokio::time::sleep(pause).await;
        self.once(operation, arguments, deadline).await
    }

    async fn once(&self, operation: Operation, arguments: &Value, deadline: Deadline) -> Result<Reply, UpstreamError> {
        let gate = &self.gates[operation.group() as usize];
        let _turn = gate
            .bulkhead
            .enter(deadline)
            .await
            .inspect_err(|error| count(operation, error.outcome()))?;
        let permit = gate
            .breaker
            .permit()
            .map_err(|wait| UpstreamError::not_sent(Some(wait)))
            .inspect_err(|_| count(operation, "paused"))?;
        let started = self.clock.steady();
        let outcome = self.authorized(operation, arguments, deadline).await;
        let took = self.clock.steady().saturating_sub(started);
        histogram!("cabinet_upstream_seconds", "operation" => operation.name()).record(took.as_secs_f64());
        let word = match &outcome {
            Ok(reply) => word_of(reply),
            Err(error) => error.outcome(),
        };
        count(operation, word);
        // A refused credential says nothing about ProBonus' health.
        if word != "credential_refused" {
            let slow = took.as_secs_f64() > self.transport.timeout().as_secs_f64() * SLOW;
            permit.tell(slow || matches!(word, "unavailable" | "invalid"));
        }
        outcome
    }

    /// The call with a credential; a refused one is renewed once, when it can be.
    async fn authorized(
        &self,
        operation: Operation,
        arguments: &Value,
        deadline: Deadline,
    ) -> Result<Reply, UpstreamError> {
        let authorization = self.credential.authorization(&self.transport, deadline).await?;
        let request = self.transport.request(operation, arguments);
        let request = request.header(authorization.name.clone(), authorization.value.clone());
        let reply = self.transport.send(operation, request, deadline).await?;
        if !reply.refuses_credential() {
            self.credential.accepted();
            return Ok(reply);
        }
        if self.credential.can_renew() {
            let renewed = self
                .credential
                .renewed(&authorization, &self.transport, deadline)
                .await?;
            let request = self.transport.request(operation, arguments);
            let request = request.header(renewed.name.clone(), renewed.value.clone());
            let reply = self.transport.send(operation, request, deadline).await?;
            if !reply.refuses_credential() {
                self.credential.accepted();
                return Ok(reply);
            }
        }
        self.credential.refused();
        Err(UpstreamError::CredentialRefused)
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

/// What an answer holds; `None` when it says that there is nothing.
fn maybe<T>(reply: Reply, read: impl FnOnce(Json) -> Result<T, UpstreamError>) -> Result<Option<T>, UpstreamError> {
    if reply.says_nothing() {
        return Ok(None);
    }
    let body = reply.accepted()?;
    let answer = Json::parse(&body)?.unwrapped();
    if answer.is_empty() {
        return Ok(None);
    }
    read(answer).map(Some)
}

fn count(operation: Operation, outcome: &'static str) {
    counter!("cabinet_upstream_requests_total", "operation" => operation.name(), "outcome" => outcome).increment(1);
}

/// A failure that another try may not meet. 429 is none: it asks to be left alone.
fn is_chance(reply: &Reply) -> bool {
    reply.status.is_server_error()
}

fn word_of(reply: &Reply) -> &'static str {
    match reply.status.as_u16() {
        401 | 403 => "credential_refused",
        408 | 429 | 500..=599 => "unavailable",
        404 | 200..=299 => "ok",
        400..=499 => "refused",
        _ => "invalid",
    }
}

/// An id as ProBonus most likely has it: a number when it is one.
fn id_out(id: &str) -> Value {
    let plain = id == "0" || (!id.starts_with('0') && id.len() <= 18 && id.bytes().all(|b| b.is_ascii_digit()));
    if plain {
        id.parse::<i64>().map_or_else(|_| id.into(), Value::from)
    } else {
        id.into()
    }
}

fn gender_out(gender: Gender) -> &'static str {
    match gender {
        Gender::Male => "male",
        Gender::Female => "female",
    }
}
