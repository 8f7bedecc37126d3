//! The guest of a request, as a type in the handler's signature: having one is having proven it.

use axum::extract::FromRequestParts;
use http::header;
use http::request::Parts;

use super::{App, ErrorCode, Problem, cookies};
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

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let headers = &parts.headers;
        let cookie = cookies::session(app, headers);
        let found = match (headers.get(header::AUTHORIZATION), cookie) {
            (Some(_), Some(_)) => return Err(Problem::new(ErrorCode::AmbiguousCredentials)),
            (Some(authorization), None) => {
                let token = authorization.to_str().ok().and_then(bearer);
                let token = token.ok_or_else(|| Problem::new(ErrorCode::Unauthenticated))?;
                app.sign_in.by_access_token(token).await
            }
            (None, Some(cookie)) => {
                cookies::guard(app, headers)?;
                app.sign_in.by_cookie(cookie).await
            }
            (None, None) => return Err(Problem::new(ErrorCode::Unauthenticated)),
        };
        let (guest, session) = found?;
        Ok(Self { guest, session })
    }
}

/// The token of `Bearer …`.
pub(super) fn bearer(text: &str) -> Option<&str> {
    let (scheme, token) = text.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.len() <= 2048).then_some(token)
}
