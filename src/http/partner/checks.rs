//! `/partner/v1/checks`: purchases made outside the restaurant's tills.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use http::HeaderMap;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Named, StateWord, called, done, moment, sum};
use crate::config::Scope;
use crate::http::body::Body;
use crate::http::{App, ErrorCode, FieldCode, Fields, FromFields, Problem, RequestFacts};
use crate::model::{Money, OperationKind, OutsideCheck};
use crate::partner::{Operation, Submission};

/// The longest description of a check, in characters.
const MOST_CONTENT: usize = 20_000;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(check)).routes(routes!(check_state))
}

/// An outside check and what became of it.
#[derive(Serialize, ToSchema)]
struct CheckState {
    /// The check's GUID.
    #[schema(example = "6f1c0a52-8f6e-4a39-9a2b-0d5f0c7f3b11")]
    check_guid: String,
    /// What became of it.
    state: StateWord,
    /// Recorded attempts to book it.
    attempts: i64,
    /// When it was first asked for.
    created_at: Timestamp,
    /// When the state last changed.
    updated_at: Timestamp,
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

fn guid(fields: &mut Fields) -> Option<uuid::Uuid> {
    let text = fields.required_text("check_guid", 1..=64)?;
    // The form with dashes alone: one check, one spelling. Nothing but zeros is what forgetting to make one looks like.
    let guid = uuid::Uuid::try_parse(&text)
        .ok()
        .filter(|guid| text.len() == 36 && !guid.is_nil());
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

impl CheckFields {
    fn submission(self, app: &App) -> Result<Submission, Problem> {
        let [bonus_spent, discount, bonus_accrued, money_spent] = self.sums;
        let check = OutsideCheck {
            check_guid: self.guid,
            restaurant_code: self.restaurant_code,
            unit_code: self.unit_code,
            external_number: self.external_number,
            bonus_spent,
            discount,
            bonus_accrued,
            money_spent,
            content: self.content,
        };
        Ok(Submission::of_check(self.whose.whose(app)?, check))
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
    called(&app, &headers, (Scope::Checks, "order_check"), async |caller| {
        let Body(fields) = Body::<CheckFields>::read(request, &app).await?;
        let submission = fields.submission(&app)?;
        let operation = app.partner.submit(caller, submission, facts.deadline).await?;
        Ok(done::<CheckState>(operation))
    })
    .await
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
    called(&app, &headers, (Scope::Checks, "ask_check"), async |caller| {
        let guid = uuid::Uuid::try_parse(&guid).map_err(|_| Problem::new(ErrorCode::NotFound))?;
        let operation = app
            .partner
            .status(caller, OperationKind::Check, &guid.to_string())
            .await?;
        Ok(Json(operation.into()))
    })
    .await
}
