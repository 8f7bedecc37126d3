//! `/partner/v1/account-groups`: ProBonus' groups of accounts.

use axum::Json;
use axum::extract::State;
use http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::called;
use crate::config::Scope;
use crate::http::{App, Problem, RequestFacts};
use crate::model::AccountGroup;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(groups))
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
    called(&app, &headers, (Scope::Guests, "groups"), async |_| {
        let items = app.partner.account_groups(facts.deadline).await?;
        Ok(Json(Groups { items }))
    })
    .await
}
