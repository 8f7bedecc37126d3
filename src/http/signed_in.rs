//! The guest of a request, as a type in the handler's signature: having one is having proven it.

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};

use super::{App, ErrorCode, Problem, cookies};
use crate::model::{Guest, SessionId};

/// A guest with a valid session.
pub struct SignedInGuest {
    /// Who.
    pub guest: Guest,
    /// By which session.
    pub session: SessionId,
    /// Whether it was carried by a cookie.
    by_cookie: bool,
}

impl SignedInGuest {
    /// The answer when this very session has ended: a browser throws its cookie away.
    pub(super) fn ended(&self, app: &App) -> Response {
        let mut response = StatusCode::NO_CONTENT.into_response();
        if self.by_cookie {
            let headers = response.headers_mut();
            headers.append(header::SET_COOKIE, cookies::clear_session(app));
        }
        response
    }
}

impl SignedInGuest {
    /// The guest whom a request's head names.
    pub(super) async fn of(app: &App, headers: &HeaderMap) -> Result<Self, Problem> {
        let cookie = cookies::session(app, headers);
        let mut authorizations = headers.get_all(header::AUTHORIZATION).iter();
        let found = match (authorizations.next(), authorizations.next(), cookie) {
            (_, Some(_), _) | (Some(_), _, Some(_)) => return Err(Problem::new(ErrorCode::AmbiguousCredentials)),
            (Some(authorization), None, None) => {
                let token = authorization.to_str().ok().and_then(bearer);
                let token = token.ok_or_else(|| Problem::new(ErrorCode::Unauthenticated))?;
                app.sign_in.by_access_token(token).await
            }
            (None, None, Some(cookie)) => {
                cookies::guard(app, headers)?;
                app.sign_in.by_cookie(cookie).await
            }
            (None, None, None) => return Err(Problem::new(ErrorCode::Unauthenticated)),
        };
        let (guest, session) = found?;
        Ok(Self {
            guest,
            session,
            by_cookie: cookie.is_some(),
        })
    }
}

impl FromRequestParts<App> for SignedInGuest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Self::of(app, &parts.headers).await
    }
}

/// The token of `Bearer …`.
pub(super) fn bearer(text: &str) -> Option<&str> {
    let (scheme, token) = text.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.len() <= 2048).then_some(token)
}
