//! The sandbox' connections: unlike our own server it must also be able to misbehave.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::api::{Answer, Arguments, OPERATIONS};
use super::faults::{Fault, Kind};
use super::{Call, Shared, control};

/// The longest body taken, in bytes.
const MAX_BODY: usize = 1024 * 1024;

/// Effects that are still to come; more are forgotten.
const MOST_LATE: usize = 1000;

/// A connection that is broken on purpose.
#[derive(Debug, thiserror::Error)]
#[error("the connection is broken on purpose")]
struct Broken;

pub(super) async fn accept(socket: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (shared, stop) = (shared.clone(), stop.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let shared = shared.clone();
                async move { answer(&shared, request).await }
            });
            let builder = Builder::new(TokioExecutor::new());
            let serving = builder.serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                _ = serving => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

async fn answer(shared: &Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Broken> {
    let path = request.uri().path().to_owned();
    let operation = OPERATIONS.iter().find(|(_, known, _)| *known == path);
    match operation {
        Some((name, _, reads)) => call(shared, name, *reads, request).await,
        None => Ok(control::answer(shared, request).await),
    }
}

async fn call(
    shared: &Arc<Shared>,
    operation: &'static str,
    reads: bool,
    request: Request<Incoming>,
) -> Result<Response<Body>, Broken> {
    let (parts, body) = request.into_parts();
    let Some(arguments) = arguments(&parts.method, parts.uri.query(), body).await else {
        return Ok(written(
            StatusCode::BAD_REQUEST,
            "{\"message\":\"Тело не разобрать\"}".into(),
        ));
    };
    let (fault, reply) = {
        let mut world = shared.world();
        shared.catch_up(&mut world);
        let guest = Shared::guest_of(&world, operation, &arguments);
        let chance = shared.config.entropy.below(100);
        let fault = world.faults.met(operation, guest.as_deref(), chance);
        let effective = fault.as_ref().is_none_or(|fault| fault.kind.takes_effect());
        let open = matches!(operation, "login" | "refresh_token");
        let reply = if !Shared::takes_method(&world, reads, &parts.method) {
            Answer {
                status: StatusCode::METHOD_NOT_ALLOWED,
                body: None,
            }
        } else if !open && !shared.authorized(&world, &parts.headers) {
            Answer {
                status: StatusCode::UNAUTHORIZED,
                body: Some(serde_json::json!({ "message": "Нет доступа" })),
            }
        } else if effective {
            shared.perform(&mut world, operation, &arguments)
        } else {
            Answer {
                status: StatusCode::OK,
                body: None,
            }
        };
        if let Some(fault) = fault.as_ref().filter(|fault| fault.kind == Kind::Late)
            && world.late.len() < MOST_LATE
        {
            let due_us = shared.now().as_microsecond() + i64::from(fault.late_s) * 1_000_000;
            world.late.push((due_us, operation, arguments.clone()));
        }
        let status = fault.as_ref().map_or(reply.status.as_u16(), |fault| match fault.kind {
            Kind::Status | Kind::ErrorAfter => fault.status,
            _ => reply.status.as_u16(),
        });
        let at = shared.now();
        world.journal.add(Call {
            at,
            operation,
            method: parts.method.to_string(),
            status,
            arguments: arguments.keys().cloned().collect(),
            fault: fault.as_ref().map(|fault| fault.kind.name()),
        });
        (fault, reply)
    };
    misbehave(fault, reply).await
}

/// Arguments out of the query, or out of a JSON body.
async fn arguments(method: &Method, query: Option<&str>, body: Incoming) -> Option<Arguments> {
    if *method == Method::GET {
        let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        return Some(
            pairs
                .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
                .collect(),
        );
    }
    let bytes = Limited::new(body, MAX_BODY).collect().await.ok()?.to_bytes();
    if bytes.is_empty() {
        return Some(Arguments::new());
    }
    match serde_json::from_slice(&bytes).ok()? {
        Value::Object(arguments) => Some(arguments),
        _ => None,
    }
}

fn written(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// Gives the answer as the fault wants it.
async fn misbehave(fault: Option<Fault>, reply: Answer) -> Result<Response<Body>, Broken> {
    let text = reply.body.as_ref().map(Value::to_string).unwrap_or_default();
    let Some(fault) = fault else {
        return Ok(written(reply.status, text));
    };
    if fault.latency_ms > 0 {
        tokio::time::sleep(Duration::from_millis(fault.latency_ms)).await;
    }
    let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let typed = |kind: &'static str, body: Body| {
        let mut response = Response::new(body);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    };
    Ok(match fault.kind {
        Kind::Latency => written(reply.status, text),
        Kind::Status | Kind::ErrorAfter => {
            let mut response = written(status, "{\"message\":\"Ошибка по заказу\"}".into());
            if let Some(seconds) = fault.retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            response
        }
        Kind::Garbage => typed("application/json", Body::from("{\"id\": 1, \"balance\": ]")),
        Kind::Html => typed(
            "text/html; charset=utf-8",
            Body::from("<html><body>Сервис недоступен</body></html>"),
        ),
        Kind::WrongType => typed("text/plain", Body::from(text)),
        Kind::Truncated => typed("application/json", Body::from_stream(broken_off(&text))),
        Kind::Drip => typed("application/json", Body::from_stream(drip(text))),
        Kind::Oversized => typed(
            "application/json",
            Body::from(format!("\"{}\"", "x".repeat(3 * 1024 * 1024))),
        ),
        Kind::Hang | Kind::HangAfter => {
            // Whoever asked gives up long before.
            tokio::time::sleep(Duration::from_mins(2)).await;
            return Err(Broken);
        }
        Kind::ResetBefore | Kind::ResetAfter | Kind::Late => return Err(Broken),
    })
}

/// Half of the answer, then a broken connection.
fn broken_off(text: &str) -> impl futures_util::Stream<Item = Result<Bytes, Broken>> + use<> {
    let half = Bytes::copy_from_slice(&text.as_bytes()[..text.len() / 2]);
    let broken = async {
        // The half is on its way before the connection breaks: without a pause the server throws both away.
        tokio::time::sleep(Duration::from_millis(30)).await;
        Err(Broken)
    };
    futures_util::stream::iter([Ok(half)]).chain(futures_util::stream::once(broken))
}

/// The answer, a byte a second.
fn drip(text: String) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> + use<> {
    futures_util::stream::iter(text.into_bytes()).then(|byte| async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(Bytes::copy_from_slice(&[byte]))
    })
}
