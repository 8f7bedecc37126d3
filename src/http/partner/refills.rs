//! `/partner/v1/refills`: bonuses given by a marketing system.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use http::HeaderMap;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::idempotency_key;
use super::{Named, StateWord, called, done, moment, sum};
use crate::config::Scope;
use crate::http::body::Body;
use crate::http::{App, ErrorCode, FieldCode, Fields, FromFields, Problem, RequestFacts};
use crate::model::{Money, OperationKind, Refill, resembles_mark};
use crate::partner::{Operation, RefillKey, Submission};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(refill))
        .routes(routes!(refill_state))
}

/// A refill and what became of it.
#[derive(Serialize, ToSchema)]
struct RefillState {
    /// Its id, given by us.
    #[schema(example = "0a8b7a52-8f6e-4a39-9a2b-0d5f0c7f3b11")]
    operation_id: String,
    /// What became of it.
    state: StateWord,
    /// Recorded attempts to give it.
    attempts: i64,
    /// When it was first asked for.
    created_at: Timestamp,
    /// When the state last changed.
    updated_at: Timestamp,
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
        let comment = comment(fields);
        Some(Self {
            whose: whose?,
            amount: amount?,
            comment,
        })
    }
}

/// What for. Our mark, or what looks like the beginning of one, is not a partner's to give.
fn comment(fields: &mut Fields) -> Option<String> {
    let comment = fields.text("comment", 0..=200)?;
    if resembles_mark(&comment) {
        fields.problem("comment", FieldCode::NotAllowed);
        return None;
    }
    Some(comment)
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
    params(("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, description = "Your own key of this refill: visible ASCII characters, bare or as a structured-field string; `k` and `\"k\"` are one key")),
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
    called(&app, &headers, (Scope::Refills, "order_refill"), async |caller| {
        let key = idempotency_key::read(&headers)?;
        let Body(fields) = Body::<RefillFields>::read(request, &app).await?;
        let submission = fields.submission(&app, key)?;
        let operation = app.partner.submit(caller, submission, facts.deadline).await?;
        Ok(done::<RefillState>(operation))
    })
    .await
}

impl RefillFields {
    fn submission(self, app: &App, key: RefillKey) -> Result<Submission, Problem> {
        let refill = Refill {
            amount: self.amount,
            comment: self.comment,
        };
        Ok(Submission::of_refill(self.whose.whose(app)?, refill, key))
    }
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
    called(&app, &headers, (Scope::Refills, "ask_refill"), async |caller| {
        let id = uuid::Uuid::try_parse(&id).map_err(|_| Problem::new(ErrorCode::NotFound))?;
        let operation = app
            .partner
            .status(caller, OperationKind::Refill, &id.to_string())
            .await?;
        Ok(Json(operation.into()))
    })
    .await
}
