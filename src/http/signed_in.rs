//! The guest of a request, as a type in the handler's signature: having one is having proven it.

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};

use super::{App, ErrorCode, Problem, cookies};
use crate::model::{Guest, SessionId};

const BEARER: &[u8] = b"bearer";

/// Longer than any token of ours, in bytes.
const MAX_TOKEN: usize = 2048;

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
        let cookie = cookies::session(app, headers)?;
        let found = match (bearer(headers)?, cookie) {
            (Some(_), Some(_)) => return Err(Problem::new(ErrorCode::AmbiguousCredentials)),
            (Some(token), None) => app.sign_in.by_access_token(token).await,
            (None, Some(cookie)) => {
                cookies::guard(app, headers)?;
                app.sign_in.by_cookie(cookie).await
            }
            (None, None) => return Err(Problem::new(ErrorCode::Unauthenticated)),
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

/// The token of `Authorization: Bearer …`; empty where it cannot be one of ours. Other schemes are a proxy's own and say nothing to us.
///
/// # Errors
/// When a bearer is named twice.
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut bearers = headers.get_all(header::AUTHORIZATION).iter().filter_map(|value| {
        let (scheme, token) = value.as_bytes().split_at_checked(BEARER.len())?;
        let ends = token.first().is_none_or(|byte| *byte == b' ');
        (ends && scheme.eq_ignore_ascii_case(BEARER)).then_some(token)
    });
    let first = bearers.next();
    if bearers.next().is_some() {
        return Err(Problem::new(ErrorCode::AmbiguousCredentials));
    }
    let text = |token| std::str::from_utf8(token).unwrap_or_default().trim();
    Ok(first
        .map(text)
        .map(|token| if token.len() > MAX_TOKEN { "" } else { token }))
}
