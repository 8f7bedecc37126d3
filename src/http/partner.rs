//! `/partner/v1`: server to server. Guests' credentials open nothing here.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body::Body;
use super::signed_in::bearer;
use super::{App, ErrorCode, FieldCode, Fields, FromFields, Problem, RequestFacts};
use crate::config::{PartnerConfig, Scope};
use crate::model::{AccountGroup, AccountId, Money, Phone};
use crate::partner::{Caller, CheckOrder, Operation, Order, PartnerError, RefillOrder, State as Became, Whose};

/// The greatest sum of one field, in kopecks: ten million roubles.
const MOST: i64 = 1_000_000_000;

/// The longest description of a check, in characters.
const MOST_CONTENT: usize = 20_000;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(check))
        .routes(routes!(check_state))
        .routes(routes!(refill))
        .routes(routes!(refill_state))
        .routes(routes!(groups))
}

impl From<PartnerError> for Problem {
    fn from(error: PartnerError) -> Self {
        match error {
            PartnerError::Unauthenticated => Self::new(ErrorCode::Unauthenticated),
            PartnerError::ScopeMissing => Self::new(ErrorCode::ScopeMissing),
            PartnerError::TooMany { retry_after } => Self::new(ErrorCode::TooManyRequests)
                .retry_after(retry_after)
                .header(
                    HeaderName::from_static("ratelimit-policy"),
                    HeaderValue::from_static("\"partner\""),
                )
                .header(
                    HeaderName::from_static("ratelimit"),
                    HeaderValue::from_static("\"partner\";r=0"),
                ),
            PartnerError::CheckConflict => Self::new(ErrorCode::CheckConflict),
            PartnerError::IdempotencyMismatch => Self::new(ErrorCode::IdempotencyMismatch),
            PartnerError::InProgress => {
                Self::new(ErrorCode::OperationInProgress).retry_after(std::time::Duration::from_secs(1))
            }
            PartnerError::Rejected { replayed } => {
                let problem = Self::new(ErrorCode::ValidationFailed);
                if replayed {
                    problem.header(REPLAYED, HeaderValue::from_static("true"))
                } else {
                    problem
                }
            }
            PartnerError::AccountAbsent => Self::new(ErrorCode::AccountAbsent),
            PartnerError::NotFound => Self::new(ErrorCode::NotFound),
            PartnerError::Unavailable { retry_after } => {
                Self::new(ErrorCode::UpstreamUnavailable).retry_after(retry_after)
            }
            PartnerError::Overloaded => Self::new(ErrorCode::Overloaded).retry_after(std::time::Duration::from_secs(1)),
            PartnerError::UpstreamInvalid => Self::new(ErrorCode::UpstreamInvalid),
            PartnerError::Store(error) => error.into(),
            PartnerError::Internal => Self::new(ErrorCode::Internal),
        }
    }
}

/// The partner of a request.
async fn caller(app: &App, headers: &HeaderMap, scope: Scope) -> Result<Caller, Problem> {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = authorization
        .and_then(bearer)
        .ok_or_else(|| Problem::new(ErrorCode::Unauthenticated))?;
    Ok(app.partner.caller(key, scope).await?)
}

/// What became of an operation.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum StateWord {
    /// Being worked on.
    Pending,
    /// ProBonus has it.
    Registered,
    /// ProBonus refused it for good.
    Rejected,
    /// Not known yet; it is being settled and never repeated blindly.
    Unknown,
}

impl From<Became> for StateWord {
    fn from(state: Became) -> Self {
        match state {
            Became::Pending => Self::Pending,
            Became::Registered => Self::Registered,
            Became::Rejected => Self::Rejected,
            Became::Unknown => Self::Unknown,
        }
    }
}

/// An outside check and what became of it.
#[derive(Serialize, ToSchema)]
struct CheckState {
    /// The check's GUID.
    #[schema(example = "6f1c0a52-8f6e-4a39-9a2b-0d5f0c7f3b11")]
    check_guid: String,
    /// What became of it.
    state: StateWord,
    /// Calls to ProBonus that may have left.
    attempts: i64,
    /// When it was first asked for.
    created_at: Timestamp,
    /// When the state last changed.
    updated_at: Timestamp,
}

/// A refill and what became of it.
#[derive(Serialize, ToSchema)]
struct RefillState {
    /// Its id, given by us.
    #[schema(example = "0a8b7a52-8f6e-4a39-9a2b-0d5f0c7f3b11")]
    operation_id: String,
    /// What became of it.
    state: StateWord,
    /// Calls to ProBonus that may have left.
    attempts: i64,
    /// When it was first asked for.
    created_at: Timestamp,
    /// When the state last changed.
    updated_at: Timestamp,
}

fn moment(us: i64) -> Timestamp {
    Timestamp::from_microsecond(us).unwrap_or(Timestamp::MIN)
}

impl From<Operation> for CheckState {
    fn from(operation: Operation) -> Self {
        Self {
            check_guid: operation.id,
            state: operation.state.into(),
            attempts: operation.attempts,
            created_at: moment(operation.created_at_us),
            updated_at: moment(operation.changed_at_us),
        }
    }
}

impl From<Operation> for RefillState {
    fn from(operation: Operation) -> Self {
        Self {
            operation_id: operation.id,
            state: operation.state.into(),
            attempts: operation.attempts,
            created_at: moment(operation.created_at_us),
            updated_at: moment(operation.changed_at_us),
        }
    }
}

/// 201 the first time, 200 again, 202 while it is not known.
fn done<T: From<Operation> + Serialize>(operation: Operation) -> Response {
    let status = match operation.state {
        Became::Unknown | Became::Pending => StatusCode::ACCEPTED,
        _ if operation.replayed => StatusCode::OK,
        _ => StatusCode::CREATED,
    };
    let replayed = operation.replayed;
    let mut response = (status, Json(T::from(operation))).into_response();
    if replayed {
        response
            .headers_mut()
            .insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// A purchase made outside the restaurant's tills. All sums in kopecks.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents the body; it is read into the room's own order")]
struct CheckRequest {
    /// Unique for ever, over all partners.
    #[schema(example = "6f1c0a52-8f6e-4a39-9a2b-0d5f0c7f3b11")]
    check_guid: uuid::Uuid,
    /// Whose account; or `phone`, exactly one of both.
    #[schema(required = false, nullable, example = "10021", max_length = 64)]
    account_id: Option<String>,
    /// The guest's phone; or `account_id`.
    #[schema(required = false, nullable, max_length = 64)]
    phone: Option<String>,
    /// The restaurant's code in ProBonus.
    #[schema(minimum = 0, maximum = 2_147_483_647, example = 1)]
    restaurant_code: i64,
    /// The station's code, for reports.
    #[schema(minimum = 0, maximum = 2_147_483_647, example = 1)]
    unit_code: i64,
    /// The number in the outside system.
    #[schema(min_length = 1, max_length = 100, example = "D-1001")]
    external_number: String,
    /// Bonuses paid with.
    #[schema(minimum = 0, maximum = 1_000_000_000, example = 0)]
    bonus_spent: i64,
    /// Discount.
    #[schema(minimum = 0, maximum = 1_000_000_000, example = 0)]
    discount: i64,
    /// Bonuses given.
    #[schema(minimum = 0, maximum = 1_000_000_000, example = 5000)]
    bonus_accrued: i64,
    /// Money paid.
    #[schema(minimum = 0, maximum = 1_000_000_000, example = 100_000)]
    money_spent: i64,
    /// What was bought, for reports.
    #[schema(required = false, nullable, max_length = 20_000)]
    content: Option<String>,
}

/// Fields of an order; the phone is read by the policy of the caller's app later.
struct CheckFields {
    guid: uuid::Uuid,
    whose: Named,
    restaurant_code: i64,
    unit_code: i64,
    external_number: String,
    sums: [Money; 4],
    content: Option<String>,
}

/// Whose account, not yet read.
enum Named {
    Account(AccountId),
    Phone(String),
}

impl Named {
    fn read(fields: &mut Fields) -> Option<Self> {
        let account = fields.text("account_id", 1..=64);
        let phone = fields.text("phone", 1..=64);
        match (account, phone) {
            (Some(account), None) => {
                let id = AccountId::parse(&account);
                if id.is_err() {
                    fields.problem("account_id", FieldCode::InvalidFormat);
                }
                id.ok().map(Self::Account)
            }
            (None, Some(phone)) => Some(Self::Phone(phone)),
            (Some(_), Some(_)) => {
                fields.problem("phone", FieldCode::NotAllowed);
                None
            }
            (None, None) => {
                fields.problem("account_id", FieldCode::Required);
                None
            }
        }
    }

    fn whose(self, app: &App) -> Result<Whose, Problem> {
        match self {
            Self::Account(id) => Ok(Whose::Account(id)),
            Self::Phone(text) => Phone::parse(&text, &app.config.auth.phones)
                .map(Whose::Phone)
                .map_err(|_| Problem::field("phone", FieldCode::InvalidFormat)),
        }
    }
}

fn sum(fields: &mut Fields, name: &str, least: i64) -> Option<Money> {
    fields.required_integer(name, least..=MOST).and_then(Money::from_minor)
}

fn guid(fields: &mut Fields) -> Option<uuid::Uuid> {
    let text = fields.required_text("check_guid", 1..=64)?;
    // The form with dashes alone: one check, one spelling.
    let guid = uuid::Uuid::try_parse(&text).ok().filter(|_| text.len() == 36);
    if guid.is_none() {
        fields.problem("check_guid", FieldCode::InvalidFormat);
    }
    guid
}

impl FromFields for CheckFields {
    fn read(fields: &mut Fields) -> Option<Self> {
        let guid = guid(fields);
        let whose = Named::read(fields);
        let restaurant_code = fields.required_integer("restaurant_code", 0..=i64::from(i32::MAX));
        let unit_code = fields.required_integer("unit_code", 0..=i64::from(i32::MAX));
        let external_number = fields.required_text("external_number", 1..=100);
        let sums = ["bonus_spent", "discount", "bonus_accrued", "money_spent"].map(|name| sum(fields, name, 0));
        let content = content(fields);
        let [Some(spent), Some(discount), Some(accrued), Some(money)] = sums else {
            return None;
        };
        Some(Self {
            guid: guid?,
            whose: whose?,
            restaurant_code: restaurant_code?,
            unit_code: unit_code?,
            external_number: external_number?,
            sums: [spent, discount, accrued, money],
            content,
        })
    }
}

/// Any text, line breaks included, within its length.
fn content(fields: &mut Fields) -> Option<String> {
    match fields.value("content")? {
        serde_json::Value::String(text) if text.chars().count() <= MOST_CONTENT => Some(text),
        serde_json::Value::String(_) => {
            fields.problem("content", FieldCode::TooLong);
            None
        }
        _ => {
            fields.problem("content", FieldCode::WrongType);
            None
        }
    }
}

/// What this partner may book for.
fn within(config: Option<&PartnerConfig>, restaurant: i64, unit: i64) -> Result<(), Problem> {
    let allowed = |list: Option<&Vec<i64>>, code: i64| list.is_none_or(|list| list.contains(&code));
    if !allowed(config.and_then(|config| config.restaurants.as_ref()), restaurant) {
        return Err(Problem::field("restaurant_code", FieldCode::NotAllowed));
    }
    if !allowed(config.and_then(|config| config.units.as_ref()), unit) {
        return Err(Problem::field("unit_code", FieldCode::NotAllowed));
    }
    Ok(())
}

/// Books an outside check, exactly once.
///
/// The same GUID with the same body answers the first outcome; with another body it is refused. 202 means that the outcome is not known
/// yet: it is settled by reading, and `GET` tells.
#[utoipa::path(
    post,
    path = "/partner/v1/checks",
    operation_id = "registerCheck",
    tag = "Partners",
    security(("partner" = [])),
    request_body = CheckRequest,
    responses(
        (status = 201, description = "Booked", body = CheckState),
        (status = 200, description = "Booked before (`Idempotent-Replayed: true`)", body = CheckState),
        (status = 202, description = "Not known yet", body = CheckState),
    ),
    extensions(("x-problems" = json!([
        "account_absent", "check_conflict", "operation_in_progress", "too_many_requests", "upstream_invalid", "upstream_unavailable"
    ]))),
)]
async fn check(
    State(app): State<App>,
    facts: RequestFacts,
    headers: HeaderMap,
    request: axum::extract::Request,
) -> Result<Response, Problem> {
    let caller = caller(&app, &headers, Scope::Checks).await?;
    let Body(order) = Body::<CheckFields>::read(request, &app).await?;
    within(
        app.config.partners.get(&caller.name),
        order.restaurant_code,
        order.unit_code,
    )?;
    let [bonus_spent, discount, bonus_accrued, money_spent] = order.sums;
    let order = CheckOrder {
        check_guid: order.guid,
        whose: order.whose.whose(&app)?,
        restaurant_code: order.restaurant_code,
        unit_code: order.unit_code,
        external_number: order.external_number,
        bonus_spent,
        discount,
        bonus_accrued,
        money_spent,
        content: order.content,
    };
    let operation = app
        .partner
        .operate(&caller, Order::Check(order), facts.deadline)
        .await?;
    Ok(done::<CheckState>(operation))
}

/// How an outside check stands.
#[utoipa::path(
    get,
    path = "/partner/v1/checks/{check_guid}",
    operation_id = "getOutsideCheck",
    tag = "Partners",
    security(("partner" = [])),
    params(("check_guid" = String, Path, description = "The check's GUID")),
    responses((status = 200, description = "How it stands", body = CheckState)),
    extensions(("x-problems" = json!(["not_found", "too_many_requests"]))),
)]
async fn check_state(
    State(app): State<App>,
    headers: HeaderMap,
    Path(guid): Path<String>,
) -> Result<Json<CheckState>, Problem> {
    let caller = caller(&app, &headers, Scope::Checks).await?;
    let guid = uuid::Uuid::try_parse(&guid).map_err(|_| Problem::new(ErrorCode::NotFound))?;
    let operation = app.partner.status(&caller, "check", &guid.to_string()).await?;
    Ok(Json(operation.into()))
}

/// Bonuses for a guest.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents the body; it is read into the room's own order")]
struct RefillRequest {
    /// Whose account; or `phone`, exactly one of both.
    #[schema(required = false, nullable, example = "10021", max_length = 64)]
    account_id: Option<String>,
    /// The guest's phone; or `account_id`.
    #[schema(required = false, nullable, max_length = 64)]
    phone: Option<String>,
    /// How much, in kopecks.
    #[schema(minimum = 1, maximum = 1_000_000_000, example = 10_000)]
    amount: i64,
    /// What for; the guest sees it.
    #[schema(required = false, nullable, max_length = 200)]
    comment: Option<String>,
}

struct RefillFields {
    whose: Named,
    amount: Money,
    comment: Option<String>,
}

impl FromFields for RefillFields {
    fn read(fields: &mut Fields) -> Option<Self> {
        let whose = Named::read(fields);
        let amount = sum(fields, "amount", 1);
        let comment = fields.text("comment", 0..=200);
        Some(Self {
            whose: whose?,
            amount: amount?,
            comment,
        })
    }
}

/// Gives bonuses, exactly once.
///
/// The same key with the same body answers the first outcome; with another body it is refused.
#[utoipa::path(
    post,
    path = "/partner/v1/refills",
    operation_id = "refill",
    tag = "Partners",
    security(("partner" = [])),
    params(("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, description = "Your own key of this refill: visible ASCII characters")),
    request_body = RefillRequest,
    responses(
        (status = 201, description = "Given", body = RefillState),
        (status = 200, description = "Given before (`Idempotent-Replayed: true`)", body = RefillState),
        (status = 202, description = "Not known yet", body = RefillState),
    ),
    extensions(("x-problems" = json!([
        "idempotency_key_required", "account_absent", "operation_in_progress", "idempotency_mismatch", "too_many_requests",
        "upstream_invalid", "upstream_unavailable"
    ]))),
)]
async fn refill(
    State(app): State<App>,
    facts: RequestFacts,
    headers: HeaderMap,
    request: axum::extract::Request,
) -> Result<Response, Problem> {
    let caller = caller(&app, &headers, Scope::Refills).await?;
    let key = idempotency_key(&headers)?;
    let Body(order) = Body::<RefillFields>::read(request, &app).await?;
    let most = app
        .config
        .partners
        .get(&caller.name)
        .and_then(|config| config.max_refill);
    if most.is_some_and(|most| order.amount > most) {
        return Err(Problem::field("amount", FieldCode::OutOfRange));
    }
    let order = RefillOrder {
        key,
        whose: order.whose.whose(&app)?,
        amount: order.amount,
        comment: order.comment,
    };
    let operation = app
        .partner
        .operate(&caller, Order::Refill(order), facts.deadline)
        .await?;
    Ok(done::<RefillState>(operation))
}

fn idempotency_key(headers: &HeaderMap) -> Result<String, Problem> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let key = match (keys.next(), keys.next()) {
        (Some(key), None) => key.to_str().ok().map(str::trim).filter(|key| !key.is_empty()),
        _ => None,
    };
    let key = key.ok_or_else(|| Problem::new(ErrorCode::IdempotencyKeyRequired))?;
    if key.len() > 128 {
        return Err(Problem::field("Idempotency-Key", FieldCode::TooLong));
    }
    Ok(key.to_owned())
}

/// How a refill stands.
#[utoipa::path(
    get,
    path = "/partner/v1/refills/{operation_id}",
    operation_id = "getRefill",
    tag = "Partners",
    security(("partner" = [])),
    params(("operation_id" = String, Path, description = "The `operation_id`")),
    responses((status = 200, description = "How it stands", body = RefillState)),
    extensions(("x-problems" = json!(["not_found", "too_many_requests"]))),
)]
async fn refill_state(
    State(app): State<App>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<RefillState>, Problem> {
    let caller = caller(&app, &headers, Scope::Refills).await?;
    let id = uuid::Uuid::try_parse(&id).map_err(|_| Problem::new(ErrorCode::NotFound))?;
    let operation = app.partner.status(&caller, "refill", &id.to_string()).await?;
    Ok(Json(operation.into()))
}

/// ProBonus' groups of accounts.
#[derive(Serialize, ToSchema)]
struct Groups {
    /// In ProBonus' order.
    items: Vec<AccountGroup>,
}

/// The groups of accounts; new ones are made by the template of a group that has one.
#[utoipa::path(
    get,
    path = "/partner/v1/account-groups",
    operation_id = "listAccountGroups",
    tag = "Partners",
    security(("partner" = [])),
    responses((status = 200, description = "The groups", body = Groups)),
    extensions(("x-problems" = json!(["too_many_requests", "upstream_invalid", "upstream_unavailable"]))),
)]
async fn groups(State(app): State<App>, facts: RequestFacts, headers: HeaderMap) -> Result<Json<Groups>, Problem> {
    caller(&app, &headers, Scope::Guests).await?;
    let items = app.partner.account_groups(facts.deadline).await?;
    Ok(Json(Groups { items }))
}
