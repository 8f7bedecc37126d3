//! The one layer around all routes: request id, facts, deadline, panic guard, problem documents, security headers, counting, logging.
//!
//! One layer does what seven generic ones would: the hot path pays for one pass over the request's head.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::{BoxError, Router};
use bytes::Bytes;
use futures_util::FutureExt;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version, header};
use tower::Service;
use tracing::Instrument;

use super::answer::CACHE_STATUS;
use super::facts::{self, REQUEST_ID, RequestFacts};
use super::forwarding::UntrustedForwarding;
use super::operations::{Operation, Operations};
use super::quick::QuickView;
use super::{App, ErrorCode, Language, Problem, cors, problem};
use crate::clock::Deadline;

/// Counts problem documents by their code.
const PROBLEMS: &str = "cabinet_problems_total";

/// Everything behind a guest-facing connection. Cheap to clone.
#[derive(Clone)]
pub struct Edge(Arc<Inner>);

struct Inner {
    app: App,
    router: Router,
    operations: Operations,
    /// Makes request ids: unguessable start, then counted.
    id_prefix: u64,
    id_next: AtomicU64,
    draining: AtomicBool,
    https: bool,
    forwarding: UntrustedForwarding,
}

impl Edge {
    /// Puts the layer around all routes of `app`.
    #[must_use]
    pub fn new(app: App) -> Self {
        for code in ErrorCode::ALL {
            // A counter that first appears with its first increment hides that from whoever looks at rates.
            metrics::counter!(PROBLEMS, "code" => code.as_str()).increment(0);
        }
        Self(Arc::new(Inner {
            router: super::routes::router(&app),
            operations: Operations::of(&super::routes::document()),
            id_prefix: u64::from_le_bytes(app.entropy.bytes()),
            id_next: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            https: app.config.public_url.scheme() == "https",
            forwarding: UntrustedForwarding::new(),
            app,
        }))
    }

    /// From now on every answer asks its connection to close, so that clients leave before the listener does; streams end.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
        self.0.app.leaving().cancel();
    }

    /// Whether [`Edge::drain`] was called.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// The whole answer to what cannot be read as a request, as it goes over the wire; the connection ends with it.
    pub(super) fn refusal(&self) -> Vec<u8> {
        let inner = &*self.0;
        let request_id = inner.next_id();
        let problem = Problem::new(ErrorCode::MalformedRequest);
        let (mut head, ()) = http::Response::new(()).into_parts();
        let body = problem::write(&problem, Language::default(), text(&request_id), &mut head);
        inner.common_headers(&mut head.headers, request_id, true);
        head.headers
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
        head.headers.insert(header::CONTENT_LENGTH, body.len().into());
        let mut wire = format!("HTTP/1.1 {}\r\n", problem.code.status()).into_bytes();
        for (name, value) in &head.headers {
            wire.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        wire.extend_from_slice(b"\r\n");
        wire.extend(body);
        wire
    }

    /// Answers one request that came from `peer`.
    pub fn answer<B>(self, peer: SocketAddr, request: Request<B>) -> impl Future<Output = Response>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        // Outside of the future, which would carry the request once as it came and once taken apart.
        let (parts, body) = request.into_parts();
        async move {
            let inner = &*self.0;
            let web = &inner.app.config.web;
            inner.forwarding.notice(peer, &parts.headers, &web.trusted_proxies);
            let request_id = facts::request_id(&parts.headers, || inner.next_id());
            let facts = RequestFacts {
                language: Language::of(&parts.headers),
                client_ip: facts::client_ip(peer, &parts.headers, &web.trusted_proxies),
                deadline: Deadline::within(web.request_timeout),
            };
            let operation = inner.operations.find(&parts.method, parts.uri.path());
            let method = parts.method.clone();
            let version = parts.version;
            let under_api = is_api(parts.uri.path());
            let other_origin = cors::allowance(&inner.app, &parts.headers);
            let mut response = if !facts::names_one_host(&parts) {
                Problem::new(ErrorCode::MalformedRequest).into_response()
            } else if let Some(response) = cors::preflight(&inner.app, &parts) {
                response
            } else if let Err(problem) = operation.admits(if under_api { parts.uri.query() } else { None }) {
                problem.into_response()
            } else if let Some(view) = operation.view.filter(|_| QuickView::is_asked_plainly(&parts)) {
                let call = pin!(view.answer(&inner.app, &parts.headers, facts.deadline));
                inner
                    .guarded(call, &method, facts.deadline, &request_id, operation)
                    .await
            } else {
                let mut call = Box::pin(inner.routed(parts, body, facts));
                let call = call.as_mut();
                inner
                    .guarded(call, &method, facts.deadline, &request_id, operation)
                    .await
            };
            inner.finish(&mut response, request_id, facts.language, under_api);
            cors::allow(&inner.app, other_origin, response.headers_mut());
            if version < Version::HTTP_2 && self.is_draining() {
                response
                    .headers_mut()
                    .insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            inner.account(&response, &method, operation, facts.deadline, under_api);
            response
        }
    }
}

impl Inner {
    fn next_id(&self) -> HeaderValue {
        let count = self.id_next.fetch_add(1, Ordering::Relaxed);
        let mut text = [0; uuid::fmt::Simple::LENGTH];
        let id = uuid::Uuid::from_u64_pair(self.id_prefix, count);
        HeaderValue::from_str(id.as_simple().encode_lower(&mut text)).expect("hexadecimal digits are a header value")
    }

    /// The answer that `call` makes, within the deadline; a panic becomes a 500.
    ///
    /// A warm read is ready at the first poll: it pays neither for a timer nor for a span. Whatever writes, or waits, has both.
    async fn guarded(
        &self,
        call: Pin<&mut impl Future<Output = Response>>,
        method: &Method,
        deadline: Deadline,
        request_id: &HeaderValue,
        operation: &Operation,
    ) -> Response {
        let mut call = AssertUnwindSafe(call).catch_unwind();
        if *method == Method::GET
            && self.app.config.telemetry.otlp_url.is_none()
            && let Poll::Ready(outcome) = futures_util::poll!(&mut call)
        {
            return outcome.unwrap_or_else(|_panic| panicked(request_id, operation));
        }
        let span = tracing::info_span!("request", request_id = text(request_id), operation = operation.id);
        // In a box of its own, so that who need not wait does not carry the room for it.
        let waited = Box::pin(tokio::time::timeout_at(deadline.instant(), call).instrument(span));
        match waited.await {
            Ok(outcome) => outcome.unwrap_or_else(|_panic| panicked(request_id, operation)),
            Err(_elapsed) => Problem::new(ErrorCode::Overloaded)
                .retry_after(Duration::from_secs(1))
                .into_response(),
        }
    }

    /// The routes' answer.
    async fn routed<B>(&self, mut parts: Parts, body: B, facts: RequestFacts) -> Response
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        parts.extensions.insert(facts);
        // Most requests have no body, and nothing need be carried along for it.
        let body = if body.is_end_stream() {
            Body::empty()
        } else {
            Body::new(body)
        };
        match self.router.clone().call(Request::from_parts(parts, body)).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// Writes the problem, if it is one, and the headers that every answer has.
    fn finish(&self, response: &mut Response, request_id: HeaderValue, language: Language, under_api: bool) {
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            let problem = response.extensions_mut().remove::<Problem>();
            let problem = problem.or_else(|| unexplained(response));
            if let Some(problem) = problem {
                metrics::counter!(PROBLEMS, "code" => problem.code.as_str()).increment(1);
                let (mut head, _) = std::mem::take(response).into_parts();
                head.headers.remove(header::CONTENT_LENGTH);
                let bytes = problem::write(&problem, language, text(&request_id), &mut head);
                head.status = problem.code.status();
                *response = Response::from_parts(head, Body::from(bytes));
            }
        }
        self.common_headers(response.headers_mut(), request_id, under_api);
    }

    fn common_headers(&self, headers: &mut HeaderMap, request_id: HeaderValue, under_api: bool) {
        headers.insert(REQUEST_ID, request_id);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        if under_api {
            headers
                .entry(header::CACHE_CONTROL)
                .or_insert(HeaderValue::from_static("no-store"));
            headers
                .entry(header::CONTENT_SECURITY_POLICY)
                .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
        } else {
            headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        }
        if self.https {
            headers.insert(
                header::STRICT_TRANSPORT_SECURITY,
                HeaderValue::from_static("max-age=31536000"),
            );
        }
    }

    /// Counts the answer, and logs it unless it is a successful read out of memory.
    fn account(
        &self,
        response: &Response,
        method: &Method,
        operation: &Operation,
        deadline: Deadline,
        under_api: bool,
    ) {
        let took = deadline.spent(self.app.config.web.request_timeout);
        let status = response.status();
        operation.record(status, took);
        let quiet = *method == Method::GET
            && (status.is_success() || status == StatusCode::NOT_MODIFIED)
            && (!under_api || is_hit(response.headers()));
        if !quiet || self.app.config.telemetry.access_log {
            tracing::info!(
                target: "access",
                request_id = response.headers().get(REQUEST_ID).map(text),
                method = method.as_str(),
                operation = operation.id,
                status = status.as_u16(),
                took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            );
        }
    }
}

fn panicked(request_id: &HeaderValue, operation: &Operation) -> Response {
    tracing::error!(
        request_id = text(request_id),
        operation = operation.id,
        "a handler panicked"
    );
    Problem::new(ErrorCode::Internal).into_response()
}

/// The text of a request's id.
fn text(request_id: &HeaderValue) -> &str {
    request_id.to_str().unwrap_or("-")
}

/// Whether the path is one of the contract's, and not a page or a gateway's report.
pub(super) fn is_api(path: &str) -> bool {
    path.starts_with("/api/") || path.starts_with("/partner/")
}

/// Whether `Cache-Status` says that the answer came out of memory.
fn is_hit(headers: &HeaderMap) -> bool {
    headers
        .get(CACHE_STATUS)
        .is_some_and(|value| value.as_bytes().windows(5).any(|part| part == b"; hit"))
}

/// The problem of an error that some extractor or service of a library answered without one. A page for people explains itself.
fn unexplained(response: &Response) -> Option<Problem> {
    let kind = response.headers().get(header::CONTENT_TYPE);
    let explained = kind.is_some_and(|kind| {
        let kind = kind.as_bytes();
        kind.starts_with(b"application/problem+json") || kind.starts_with(b"text/html")
    });
    if explained {
        return None;
    }
    Some(Problem::new(match response.status() {
        StatusCode::NOT_FOUND => ErrorCode::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => ErrorCode::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::BodyTooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ErrorCode::UnsupportedMediaType,
        status if status.is_client_error() => ErrorCode::MalformedRequest,
        _ => ErrorCode::Internal,
    }))
}
