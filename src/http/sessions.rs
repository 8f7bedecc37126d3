//! `/api/v1/me/sessions`: where the guest is signed in.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{App, ErrorCode, Problem, SignedInGuest};
use crate::model::SessionId;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, end_others))
        .routes(routes!(end))
}

/// The guest's sessions.
#[derive(Serialize, ToSchema)]
struct Sessions {
    /// Last used first.
    items: Vec<Session>,
}

/// One session.
#[derive(Serialize, ToSchema)]
struct Session {
    /// Its id.
    #[schema(example = "8c2f6c3e-7d0a-4e8e-9c55-0d6f3b9a2f11")]
    id: uuid::Uuid,
    /// What the guest calls the device.
    #[schema(example = "iPhone Анны")]
    device_name: Option<String>,
    /// When the guest signed in.
    created_at: Timestamp,
    /// When it was last used, to within a minute.
    last_seen_at: Timestamp,
    /// Whether it is the one that asks.
    current: bool,
}

/// Lists where the guest is signed in.
#[utoipa::path(
    get,
    path = "/api/v1/me/sessions",
    operation_id = "listSessions",
    tag = "Sessions",
    security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The sessions", body = Sessions)),
)]
async fn list(State(app): State<App>, guest: SignedInGuest) -> Result<Json<Sessions>, Problem> {
    let sessions = app.sign_in.sessions(&guest.guest).await?;
    let items = sessions.into_iter().map(|session| Session {
        id: session.id.0,
        device_name: session.device_name,
        created_at: session.created_at,
        last_seen_at: session.last_seen_at,
        current: session.id == guest.session,
    });
    Ok(Json(Sessions { items: items.collect() }))
}

/// Ends one session.
#[utoipa::path(
    delete,
    path = "/api/v1/me/sessions/{id}",
    operation_id = "endSession",
    tag = "Sessions",
    security(("bearer" = []), ("cookie" = [])),
    params(("id" = String, Path, description = "The session's id")),
    responses((status = 204, description = "Ended, on every replica")),
    extensions(("x-problems" = json!(["not_found"]))),
)]
async fn end(State(app): State<App>, guest: SignedInGuest, Path(id): Path<String>) -> Result<Response, Problem> {
    let id = uuid::Uuid::try_parse(&id).map_err(|_| Problem::new(ErrorCode::NotFound))?;
    let id = SessionId(id);
    if !app.sign_in.end_session(&guest.guest, id).await? {
        return Err(Problem::new(ErrorCode::NotFound));
    }
    if id == guest.session {
        return Ok(guest.ended(&app));
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Ends all other sessions.
#[utoipa::path(
    delete,
    path = "/api/v1/me/sessions",
    operation_id = "endOtherSessions",
    tag = "Sessions",
    security(("bearer" = []), ("cookie" = [])),
    responses((status = 204, description = "All others are ended, on every replica")),
)]
async fn end_others(State(app): State<App>, guest: SignedInGuest) -> Result<StatusCode, Problem> {
    app.sign_in.end_other_sessions(&guest.guest, guest.session).await?;
    Ok(StatusCode::NO_CONTENT)
}
