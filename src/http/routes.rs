//! The route table: every path that is answered, and the document that describes them.

use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::site::{File, conditional};
use super::{
    App, ErrorCode, Problem, auth, callbacks, demo, events, guest, openapi, partner, program, questionnaire, sessions,
    site,
};

/// The documented part of the table.
fn table() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::skeleton())
        .merge(auth::routes())
        .merge(sessions::routes())
        .merge(program::routes())
        .merge(questionnaire::routes())
        .merge(guest::routes())
        .merge(events::routes())
        .merge(partner::routes())
        .merge(callbacks::routes())
}

/// The OpenAPI document, as `/openapi.json` answers it and as it is kept in the repository.
#[must_use]
pub fn document() -> OpenApi {
    let mut document = table().into_openapi();
    openapi::complete(&mut document);
    document
}

/// The document's text: stable, indented, with a newline at the end.
///
/// # Panics
/// Never: the document is plain data.
#[must_use]
pub fn document_text() -> String {
    let mut text = document().to_pretty_json().expect("the document is plain data");
    text.push('\n');
    text
}

/// All routes of the guest-facing address.
pub(super) fn router(app: &App) -> Router {
    let (mut router, _) = table().split_for_parts();
    if app.config.web.docs {
        router = router.merge(docs());
    }
    if app.demo.is_some() {
        router = router.merge(demo::routes());
    }
    let files = site::Site::of(&app.config);
    router
        .fallback(move |app, method, uri, headers| site::fallback(files.clone(), app, method, uri, headers))
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(app.clone())
}

/// The document and Swagger UI, all from this binary.
fn docs() -> Router<App> {
    // One copy for everybody: it is large, and its readers may be many and slow.
    let document = Arc::new(File::new("openapi.json", document_text().into_bytes()));
    let config = utoipa_swagger_ui::Config::from("/openapi.json")
        .try_it_out_enabled(true)
        .persist_authorization(false)
        .display_request_duration(true)
        .validator_url("none");
    let document = axum::routing::get(move |headers: HeaderMap| {
        let answer = conditional(&document, &headers);
        async move { answer }
    });
    Router::new()
        .route("/openapi.json", document)
        .merge(utoipa_swagger_ui::SwaggerUi::new("/docs").config(config))
}

async fn method_not_allowed() -> Response {
    Problem::new(ErrorCode::MethodNotAllowed).into_response()
}
