//! The guest of a request, as a type in the handler's signature: having one is having proven it.

use axum::extract::FromRequestParts;
use http::request::Parts;

use super::{App, ErrorCode, Problem};
use crate::model::{Guest, SessionId};

/// A guest with a valid session.
pub struct SignedInGuest {
    /// Who.
    pub guest: Guest,
    /// By which session.
    pub session: SessionId,
}

impl FromRequestParts<App> for SignedInGuest {
    type Rejection = Problem;

    async fn from_request_parts(_parts: &mut Parts, _app: &App) -> Result<Self, Problem> {
        Err(Problem::new(ErrorCode::Unauthenticated))
    }
}
