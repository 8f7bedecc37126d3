//! Pages of other, configured origins: what browsers ask before they let such a page call us.

use axum::body::Body;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::{App, cookies};

const METHODS: &str = "GET, POST, PATCH, DELETE";
const HEADERS: &str = "authorization, content-type, x-cabinet, x-request-id, x-device-token, if-match, if-none-match, cache-control, accept-language, last-event-id";
const EXPOSED: &str = "etag, x-request-id, retry-after, ratelimit, ratelimit-policy, cache-status, x-device-token";

/// The origin of a page on another, allowed site.
fn other_origin<'a>(app: &App, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    let text = origin.to_str().ok()?;
    (!cookies::is_own(app, text) && cookies::is_allowed(app, text)).then_some(origin)
}

/// The answer to a browser's question before the request, if this is one.
pub(super) fn preflight(app: &App, parts: &Parts) -> Option<Response> {
    let asked = parts.method == Method::OPTIONS
        && parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        && parts.headers.contains_key(header::ORIGIN);
    if !asked {
        return None;
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if other_origin(app, &parts.headers).is_some() {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(HEADERS));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
    Some(response)
}

/// The headers that let such a page read the answer; decided before the request is handed on.
pub(super) fn allowance(app: &App, headers: &HeaderMap) -> Option<HeaderValue> {
    if app.config.web.allowed_origins.is_empty() {
        return None;
    }
    other_origin(app, headers).cloned()
}

/// Puts them on the answer.
pub(super) fn allow(app: &App, origin: Option<HeaderValue>, headers: &mut HeaderMap) {
    if app.config.web.allowed_origins.is_empty() {
        return;
    }
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }
}
