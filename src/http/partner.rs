//! `/partner/v1`: server to server. Guests' credentials open nothing here.

mod checks;
mod groups;
mod idempotency_key;
mod refills;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::signed_in::bearer;
use super::{App, ErrorCode, FieldCode, Fields, Problem};
use crate::config::Scope;
use crate::model::{AccountId, Money, OperationState, Phone};
use crate::partner::{Breach, BreachKind, Caller, Operation, PartnerError, Whose};

/// The greatest sum of one field, in kopecks: ten million roubles.
const MOST: i64 = 1_000_000_000;

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(checks::routes())
        .merge(refills::routes())
        .merge(groups::routes())
}

/// One call of a partner whose key has `scope`, told in the audit log whatever becomes of it.
async fn called<T>(
    app: &App,
    headers: &HeaderMap,
    (scope, event): (Scope, &'static str),
    work: impl AsyncFnOnce(&Caller) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let key = bearer(headers)?.filter(|key| !key.is_empty());
    let caller = app.partner.caller(key, scope, event).await?;
    let done = work(&caller).await;
    let outcome = done.as_ref().err().map_or("answered", |problem| problem.code.as_str());
    tracing::info!(target: "audit", partner = caller.name.as_str(), event, outcome);
    done
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

impl From<OperationState> for StateWord {
    fn from(state: OperationState) -> Self {
        match state {
            OperationState::Pending | OperationState::Sent => Self::Pending,
            OperationState::Registered => Self::Registered,
            OperationState::Rejected => Self::Rejected,
            OperationState::Unknown => Self::Unknown,
        }
    }
}

fn moment(us: i64) -> Timestamp {
    Timestamp::from_microsecond(us).unwrap_or(Timestamp::MIN)
}

/// 201 the first time, 200 again, 202 while it is not known.
fn done<T: From<Operation> + Serialize>(operation: Operation) -> Response {
    let status = match operation.state {
        OperationState::Unknown | OperationState::Pending | OperationState::Sent => StatusCode::ACCEPTED,
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

/// Whose account, not yet read.
enum Named {
    Account(AccountId),
    Phone(String),
}

impl Named {
    fn read(fields: &mut Fields) -> Option<Self> {
        let told = |fields: &Fields, name| fields.has(name) && !fields.is_null(name);
        let nobody = !told(fields, "account_id") && !told(fields, "phone");
        let account = fields.text("account_id", 1..=64);
        let phone = fields.pasted("phone", 1..=64);
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
                if nobody {
                    fields.problem("account_id", FieldCode::Required);
                }
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

/// A breach of a cap as a field's problem.
fn told(breach: &Breach) -> (String, FieldCode) {
    let code = match breach.kind {
        BreachKind::NotAllowed => FieldCode::NotAllowed,
        BreachKind::TooMuch => FieldCode::OutOfRange,
    };
    (breach.field.to_owned(), code)
}

impl From<PartnerError> for Problem {
    fn from(error: PartnerError) -> Self {
        match error {
            // No guest signs in here.
            PartnerError::Unauthenticated => Self::new(ErrorCode::Unauthenticated).worded(
                "Ключ партнёра неверен или не указан",
                "The partner's key is wrong or missing",
            ),
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
            PartnerError::BeyondCaps(breaches) => Self {
                errors: breaches.iter().map(told).collect(),
                ..Self::new(ErrorCode::ValidationFailed)
            },
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
