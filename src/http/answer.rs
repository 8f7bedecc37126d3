//! A guest view as an HTTP answer: bytes made beforehand, tag, 304, where it came from.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::entity_tag::is_named;
use super::{App, ErrorCode, Problem, RequestFacts};
use crate::cabinet::{Ready, Shown, Source, ViewError, Wish};
use crate::clock::Deadline;
use crate::keys::{hex, sha256};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// RFC 9211.
pub(super) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What a read asks for besides the view: freshness, and the tags the caller has. Taken out of the head without copying it.
pub(super) struct Reading {
    /// What it wants of freshness, and until when.
    pub wish: Wish,
    tags: Vec<HeaderValue>,
}

impl FromRequestParts<App> for Reading {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers, RequestFacts::deadline_of(&parts.extensions)))
    }
}

impl Reading {
    /// What a request's head asks for.
    pub(super) fn of(headers: &HeaderMap, deadline: Deadline) -> Self {
        let renew = headers.get_all(header::CACHE_CONTROL).iter().any(|value| {
            let text = value.to_str().unwrap_or_default();
            text.split(',').any(|word| word.trim().eq_ignore_ascii_case("no-cache"))
        });
        Self {
            wish: Wish { renew, deadline },
            tags: headers.get_all(header::IF_NONE_MATCH).iter().cloned().collect(),
        }
    }
}

/// The answer: 304 when the caller has the content already, but never for a stale one.
pub(super) fn view(shown: Shown, reading: &Reading) -> Response {
    let Shown { ready, source } = shown;
    let stale = source == Source::Stale;
    let unchanged = !stale && is_named(reading.tags.iter(), ready.tag());
    let body = match (unchanged, stale) {
        (true, _) => Body::empty(),
        (false, true) => Body::from(ready.stale_body()),
        (false, false) => Body::from(ready.body()),
    };
    let mut response = Response::new(body);
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let head = response.headers_mut();
    // Room for these and for those that every answer gets.
    head.reserve(12);
    if !unchanged {
        head.insert(header::CONTENT_TYPE, JSON);
    }
    head.insert(header::ETAG, ready.etag());
    head.insert(header::CACHE_CONTROL, NO_STORE);
    head.insert(CACHE_STATUS, HeaderValue::from_static(cache_status(source)));
    response
}

/// What is made of a view and has neither `as_of` nor `stale`: tagged by the whole of it.
pub(super) fn tagged(kind: HeaderValue, body: Vec<u8>, source: Source, reading: &Reading) -> Response {
    let etag = format!("\"{}\"", hex(&sha256(&body)[..12]));
    let unchanged = source != Source::Stale && is_named(reading.tags.iter(), etag.as_bytes());
    let mut response = Response::new(Body::empty());
    let head = response.headers_mut();
    head.insert(header::CACHE_CONTROL, NO_STORE);
    head.insert(CACHE_STATUS, HeaderValue::from_static(cache_status(source)));
    if let Ok(etag) = HeaderValue::try_from(etag) {
        head.insert(header::ETAG, etag);
    }
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        head.insert(header::CONTENT_TYPE, kind);
        *response.body_mut() = Body::from(body);
    }
    response
}

/// A view that was just made by a write.
pub(super) fn written(status: StatusCode, ready: &Ready) -> Response {
    let mut response = Response::new(Body::from(ready.body()));
    *response.status_mut() = status;
    let head = response.headers_mut();
    head.insert(header::CONTENT_TYPE, JSON);
    head.insert(header::ETAG, ready.etag());
    head.insert(header::CACHE_CONTROL, NO_STORE);
    response
}

fn cache_status(source: Source) -> &'static str {
    match source {
        Source::Hit => "guest-cabinet; hit",
        Source::Miss => "guest-cabinet; fwd=miss; stored",
        Source::Coalesced => "guest-cabinet; fwd=miss; collapsed",
        Source::Stale => "guest-cabinet; hit; detail=stale",
    }
}

impl From<ViewError> for Problem {
    fn from(error: ViewError) -> Self {
        let wait = |seconds: u32| std::time::Duration::from_secs(seconds.max(1).into());
        match error {
            ViewError::AccountAbsent => Self::new(ErrorCode::AccountAbsent),
            ViewError::AccountExists => Self::new(ErrorCode::AccountExists),
            ViewError::AccountBlocked => Self::new(ErrorCode::AccountBlocked),
            ViewError::NotFound => Self::new(ErrorCode::NotFound),
            ViewError::InvalidCursor => Self::field("cursor", super::FieldCode::InvalidFormat),
            ViewError::VersionMismatch => Self::new(ErrorCode::VersionMismatch),
            ViewError::SessionExpired => Self::new(ErrorCode::SessionExpired),
            ViewError::InProgress { retry_after_s } => {
                Self::new(ErrorCode::OperationInProgress).retry_after(wait(retry_after_s))
            }
            ViewError::Refused => Self::new(ErrorCode::ValidationFailed),
            ViewError::AccountChanged => Self::new(ErrorCode::UpstreamUnavailable).retry_after(wait(1)),
            ViewError::Unavailable { retry_after_s } => {
                Self::new(ErrorCode::UpstreamUnavailable).retry_after(wait(retry_after_s))
            }
            ViewError::CredentialRefused => Self::new(ErrorCode::UpstreamUnavailable).retry_after(wait(5)),
            ViewError::Overloaded => Self::new(ErrorCode::Overloaded).retry_after(wait(1)),
            ViewError::Nonsense => Self::new(ErrorCode::UpstreamInvalid),
            ViewError::StoreDown => super::store_down(),
            ViewError::Internal => Self::new(ErrorCode::Internal),
        }
    }
}
