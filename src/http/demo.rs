//! What the demo tells its pages: the sandbox, the guests to try, the latest codes. Outside the demo there is none of this.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::App;

/// What the demo knows.
#[derive(Clone, Debug, Serialize)]
pub struct Demo {
    /// Where the sandbox is.
    pub sandbox_url: String,
    /// The guests to try.
    pub guests: Vec<DemoGuest>,
    /// Where the latest codes are.
    pub last_codes_url: &'static str,
}

/// A guest to try.
#[derive(Clone, Debug, Serialize)]
pub struct DemoGuest {
    /// The name.
    pub name: String,
    /// The phone, `+7…`; a test number.
    pub phone: String,
    /// What is special, in Russian.
    pub note: String,
    /// The same in English.
    pub note_en: String,
}

#[derive(Serialize)]
struct Code {
    masked_phone: String,
    code: String,
}

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/demo.json", get(demo))
        .route("/demo/codes", get(codes))
}

async fn demo(State(app): State<App>) -> Json<Option<Demo>> {
    Json(app.demo.clone())
}

async fn codes(State(app): State<App>) -> Json<Vec<Code>> {
    let codes = app.delivery.console_codes();
    let code = |(masked_phone, code)| Code { masked_phone, code };
    Json(codes.into_iter().map(code).collect())
}
