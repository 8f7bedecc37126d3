//! `/callbacks`: what message gateways report. Each report is signed in its gateway's own way; what is not signed changes nothing.

use axum::body::Body;
use axum::extract::{FromRequest, Multipart, Path, Request, State};
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::facts::RequestFacts;
use super::{App, ErrorCode, Problem};
use crate::delivery::{Report, ReportRefused};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(report))
        .routes(routes!(keyed_report))
}

/// The longest report, in bytes: a hundred records take a third of it.
const MAX_REPORT: usize = 64 * 1024;

impl From<ReportRefused> for Problem {
    fn from(refused: ReportRefused) -> Self {
        match refused {
            ReportRefused::NotTaken => Self::new(ErrorCode::NotFound),
            ReportRefused::Forged => Self::new(ErrorCode::Unauthenticated),
            ReportRefused::Malformed => Self::new(ErrorCode::MalformedRequest),
            ReportRefused::Store(error) => error.into(),
        }
    }
}

/// Takes a gateway's delivery report.
///
/// For `smsru` (form), `telegram` and `webhook` (JSON), as each of them signs it. The body depends on the gateway; a report that is
/// repeated, late or out of order changes nothing and is answered as taken.
#[utoipa::path(
    post,
    path = "/callbacks/{gateway}",
    operation_id = "reportDelivery",
    tag = "Gateways",
    params(("gateway" = String, Path, description = "`smsru`, `telegram` or `webhook`")),
    responses((status = 200, description = "Taken", body = String, content_type = "text/plain")),
    extensions(("x-problems" = json!(["malformed_request", "unauthenticated", "not_found", "body_too_large"]))),
)]
async fn report(
    State(app): State<App>,
    Path(gateway): Path<String>,
    request: Request,
) -> Result<&'static str, Problem> {
    take(&app, &gateway, None, request).await
}

/// Takes a delivery report at an address that ends with a secret.
///
/// For `smsc`, whose own checksum is weak.
#[utoipa::path(
    post,
    path = "/callbacks/{gateway}/{key}",
    operation_id = "reportDeliveryWithKey",
    tag = "Gateways",
    params(
        ("gateway" = String, Path, description = "`smsc`"),
        ("key" = String, Path, description = "`delivery.smsc.callback_path`"),
    ),
    responses((status = 200, description = "Taken", body = String, content_type = "text/plain")),
    extensions(("x-problems" = json!(["malformed_request", "unauthenticated", "not_found", "body_too_large"]))),
)]
async fn keyed_report(
    State(app): State<App>,
    Path((gateway, key)): Path<(String, String)>,
    request: Request,
) -> Result<&'static str, Problem> {
    take(&app, &gateway, Some(&key), request).await
}

async fn take(app: &App, gateway: &str, key: Option<&str>, request: Request) -> Result<&'static str, Problem> {
    let (parts, body) = request.into_parts();
    let deadline = RequestFacts::of(&parts.extensions).deadline;
    let collected = tokio::time::timeout_at(deadline.instant(), Limited::new(body, MAX_REPORT).collect());
    let body = match collected.await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(Problem::new(ErrorCode::BodyTooLarge)),
        Ok(Err(_)) | Err(_) => return Err(Problem::new(ErrorCode::MalformedRequest)),
    };
    let report = Report {
        headers: &parts.headers,
        fields: &fields(&parts.headers, &body).await,
        body: &body,
        key,
    };
    Ok(app.delivery.report(gateway, &report).await?)
}

/// The fields of a form, of either kind, or of a flat JSON object; none when the body is something else.
async fn fields(headers: &HeaderMap, body: &Bytes) -> Vec<(String, String)> {
    let content_type = headers.get(header::CONTENT_TYPE);
    let kind = content_type.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.starts_with("multipart/form-data") {
        return parts_of(kind, body).await.unwrap_or_default();
    }
    if kind.starts_with("application/json") {
        let object: serde_json::Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
        let flat = object.into_iter().map(|(name, value)| match value {
            Value::String(text) => (name, text),
            value => (name, value.to_string()),
        });
        return flat.collect();
    }
    url::form_urlencoded::parse(body).into_owned().collect()
}

async fn parts_of(kind: &str, body: &Bytes) -> Option<Vec<(String, String)>> {
    let request = Request::post("/").header(header::CONTENT_TYPE, kind);
    let request = request.body(Body::from(body.clone())).ok()?;
    let mut form = Multipart::from_request(request, &()).await.ok()?;
    let mut fields = Vec::new();
    while let Some(field) = form.next_field().await.ok()? {
        let name = field.name()?.to_owned();
        fields.push((name, field.text().await.ok()?));
    }
    Some(fields)
}
