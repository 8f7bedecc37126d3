//! `/sandbox`: everything about the sandbox is controlled over HTTP, by tests, by the page, by the web cabinet's developer drawer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Body;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::book::Account;
use super::faults::Fault;
use super::till::Purchase;
use super::{Dialect, Shared, World, describe, page, people, phones};

/// The longest body taken, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// Purchases and jumps in time are bounded: no sum overflows, no date leaves the calendar.
const MOST_KOPECKS: i64 = 10_000_000_000;
const MOST_SECONDS: i64 = 10 * 366 * 24 * 3600;

pub(super) type Done = Result<Value, (StatusCode, String)>;

pub(super) fn wrong(what: impl std::fmt::Display) -> (StatusCode, String) {
    (StatusCode::UNPROCESSABLE_ENTITY, what.to_string())
}

pub(super) async fn answer(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    if let Some(file) = page::file(&path) {
        return file;
    }
    if describe::PATHS.contains(&path.as_str()) {
        let document = describe::document(&shared.world().dialect);
        return with_cors(json_response(StatusCode::OK, &document), &parts.headers);
    }
    if parts.method == Method::OPTIONS {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        return with_cors(response, &parts.headers);
    }
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => {
            return json_response(
                StatusCode::PAYLOAD_TOO_LARGE,
                &json!({ "error": "the body is too large" }),
            );
        }
    };
    let done = control(shared, &parts.method, &path, &body);
    let response = match done {
        Ok(value) => json_response(StatusCode::OK, &value),
        Err((status, what)) => json_response(status, &json!({ "error": what })),
    };
    with_cors(response, &parts.headers)
}

fn json_response(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Pages on this machine may control the sandbox: the web cabinet's developer drawer does.
fn with_cors(mut response: Response<Body>, asked: &http::HeaderMap) -> Response<Body> {
    let local = asked.get(header::ORIGIN).filter(|origin| {
        let host = origin.to_str().ok().and_then(|origin| url::Url::parse(origin).ok());
        host.is_some_and(|url| matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")))
    });
    if let Some(origin) = local {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, POST, PUT, DELETE"),
        );
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("content-type"),
        );
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
    }
    response
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, (StatusCode, String)> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(wrong)
}

fn control(shared: &Shared, method: &Method, path: &str, body: &[u8]) -> Done {
    let mut world = shared.world();
    shared.catch_up(&mut world);
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (method.as_str(), parts.as_slice()) {
        ("GET", ["sandbox"]) => Ok(state(shared, &world)),
        ("GET", ["sandbox", "guests"]) => Ok(guests(shared, &mut world)),
        ("GET", ["sandbox", "accounts", id]) => account(shared, &mut world, id),
        ("POST", ["sandbox", "till", "purchase"]) => purchase(shared, &mut world, &read(body)?),
        ("POST", ["sandbox", "till", "spend"]) => spend(shared, &mut world, &read(body)?),
        ("POST", ["sandbox", "till", "refund"]) => refund(shared, &mut world, &read(body)?),
        ("POST", ["sandbox", "phones", "move"]) => phones::move_account(&mut world, &read(body)?),
        ("POST", ["sandbox", "phones", "share"]) => phones::share(&mut world, &read(body)?),
        ("POST", ["sandbox", "phones", "mix-up"]) => phones::mix_up(&mut world, &read(body)?),
        ("DELETE", ["sandbox", "phones", "mix-up"]) => Ok(phones::straighten(&mut world)),
        ("POST", ["sandbox", "clock"]) => advance(shared, &read(body)?),
        ("GET", ["sandbox", "faults"]) => Ok(json!(world.faults.0)),
        ("POST", ["sandbox", "faults"]) => {
            let fault: Fault = read(body)?;
            if world.faults.0.len() >= 100 {
                return Err(wrong("there are a hundred faults already: DELETE /sandbox/faults"));
            }
            if let Some(problem) = fault.problem() {
                return Err(wrong(problem));
            }
            world.faults.0.push(fault);
            Ok(json!(world.faults.0))
        }
        ("DELETE", ["sandbox", "faults"]) => {
            world.faults.0.clear();
            world.revoked = false;
            Ok(json!([]))
        }
        ("PUT", ["sandbox", "credential"]) => {
            #[derive(Deserialize)]
            #[serde(deny_unknown_fields)]
            struct Credential {
                revoked: bool,
            }
            world.revoked = read::<Credential>(body)?.revoked;
            world.tokens.clear();
            world.refresh_tokens.clear();
            Ok(json!({ "revoked": world.revoked }))
        }
        ("GET", ["sandbox", "dialect"]) => Ok(json!(world.dialect)),
        ("PUT", ["sandbox", "dialect"]) => {
            world.dialect = read::<Dialect>(body)?;
            Ok(json!(world.dialect))
        }
        ("GET", ["sandbox", "journal"]) => Ok(journal(&world)),
        ("DELETE", ["sandbox", "journal"]) => {
            world.journal = super::Journal::default();
            Ok(journal(&world))
        }
        ("POST", ["sandbox", "reset"]) => {
            shared.moved_us.store(0, Ordering::SeqCst);
            *world = World::new(shared.config.dialect.clone(), shared.now(), &shared.zone);
            Ok(state(shared, &world))
        }
        _ => Err((
            StatusCode::NOT_FOUND,
            format!("there is no {method} {path}; see /openapi.json or the page at /"),
        )),
    }
}

fn state(shared: &Shared, world: &World) -> Value {
    json!({
        "now": shared.now().to_string(),
        "accounts": world.book.accounts.len(),
        "faults": world.faults.0,
        "revoked": world.revoked,
        "dialect": world.dialect,
        "calls": world.journal.total,
    })
}

fn journal(world: &World) -> Value {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for call in &world.journal.calls {
        *counts.entry(call.operation).or_default() += 1;
    }
    let calls: Vec<&super::Call> = world.journal.calls.iter().rev().take(200).collect();
    json!({ "total": world.journal.total, "counts": counts, "calls": calls })
}

fn guests(shared: &Shared, world: &mut World) -> Value {
    let now = shared.now();
    let list: Vec<Value> = people::GUESTS
        .iter()
        .map(|person| {
            let id = world.book.by_phone(person.phone);
            if let Some(id) = id {
                world.book.settle(id, now, &shared.zone);
            }
            let account = id.and_then(|id| world.book.accounts.get(&id));
            let guest = person.guest();
            json!({
                "name": guest.name,
                "phone": guest.phone,
                "note": guest.note,
                "note_en": guest.note_en,
                "account_id": id,
                "balance": account.map(Account::balance),
            })
        })
        .collect();
    json!({ "guests": list, "now": now.to_string() })
}

/// Everything about one account, with what was booked: a doubled booking is seen here.
fn account(shared: &Shared, world: &mut World, id: &str) -> Done {
    let id: i64 = id.parse().map_err(|_| wrong("the id is a number"))?;
    world.book.settle(id, shared.now(), &shared.zone);
    let account = world
        .book
        .accounts
        .get(&id)
        .ok_or((StatusCode::NOT_FOUND, "there is no such account".to_owned()))?;
    let history: Vec<Value> = account
        .history
        .iter()
        .rev()
        .take(1000)
        .map(|entry| {
            json!({
                "id": entry.id, "at": entry.at.to_string(), "kind": entry.kind, "sum": entry.sum,
                "check": entry.check, "comment": entry.comment,
            })
        })
        .collect();
    let checks: Vec<Value> = world
        .book
        .checks
        .values()
        .filter(|check| check.account == id)
        .rev()
        .take(1000)
        .map(|check| json!({ "id": check.id, "guid": check.guid, "number": check.number, "money": check.money }))
        .collect();
    Ok(json!({
        "id": id, "phone": format!("+{}", account.phone), "balance": account.balance(), "turnover": account.turnover,
        "blocked": account.blocked, "history": history, "checks": checks,
    }))
}

/// A purchase as it is ordered; sums in kopecks.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Till {
    phone: String,
    sum: i64,
    #[serde(default)]
    bonus_spent: i64,
    #[serde(default = "first")]
    restaurant: i64,
    #[serde(default)]
    delay_days: i64,
}

fn first() -> i64 {
    1
}

pub(super) fn known(world: &World, phone: &str) -> Result<i64, (StatusCode, String)> {
    let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
    let national = digits.strip_prefix('8').map(|rest| format!("7{rest}"));
    let found = world.book.by_phone(&digits);
    found
        .or_else(|| world.book.by_phone(&national?))
        .ok_or_else(|| wrong("phone: nobody has an account with it"))
}

fn purchase(shared: &Shared, world: &mut World, till: &Till) -> Done {
    let id = known(world, &till.phone)?;
    if !(1..=MOST_KOPECKS).contains(&till.sum) || !(0..=till.sum).contains(&till.bonus_spent) {
        return Err(wrong("sum: kopecks, from 1; bonus_spent: at most the sum"));
    }
    if world.book.accounts.get(&id).map_or(0, Account::balance) < till.bonus_spent {
        return Err(wrong("bonus_spent: more than the balance"));
    }
    if !(0..=365).contains(&till.delay_days) || !(1..=2).contains(&till.restaurant) {
        return Err(wrong("delay_days: 0 to 365; restaurant: 1 or 2"));
    }
    let purchase = Purchase {
        money: till.sum - till.bonus_spent,
        bonus_spent: till.bonus_spent,
        restaurant: till.restaurant,
        delay_days: till.delay_days,
        ..Purchase::default()
    };
    let check = world.book.purchase(id, &purchase, shared.now(), &shared.zone);
    Ok(json!({ "account_id": id, "check_id": check, "balance": world.book.accounts.get(&id).map(Account::balance) }))
}

/// A purchase paid with bonuses alone.
fn spend(shared: &Shared, world: &mut World, till: &Till) -> Done {
    let all = Till {
        phone: till.phone.clone(),
        bonus_spent: till.sum,
        ..*till
    };
    purchase(shared, world, &all)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refund {
    phone: String,
    /// The last one when not said.
    check_id: Option<i64>,
}

fn refund(shared: &Shared, world: &mut World, refund: &Refund) -> Done {
    let id = known(world, &refund.phone)?;
    let last = world
        .book
        .checks
        .values()
        .rev()
        .find(|check| check.account == id)
        .map(|check| check.id);
    let check = refund
        .check_id
        .or(last)
        .ok_or_else(|| wrong("check_id: there is no purchase to take back"))?;
    if world.book.checks.get(&check).is_none_or(|check| check.account != id) {
        return Err(wrong("check_id: not a check of this guest"));
    }
    world.book.refund(check, shared.now(), &shared.zone);
    Ok(json!({ "account_id": id, "check_id": check, "balance": world.book.accounts.get(&id).map(Account::balance) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    #[serde(default)]
    days: i64,
    #[serde(default)]
    seconds: i64,
}

fn advance(shared: &Shared, advance: &Advance) -> Done {
    let seconds = advance.days.saturating_mul(86_400).saturating_add(advance.seconds);
    if !(0..=MOST_SECONDS).contains(&seconds) {
        return Err(wrong("days, seconds: forward only, at most ten years at once"));
    }
    let moved = shared
        .moved_us
        .load(Ordering::SeqCst)
        .saturating_add(seconds * 1_000_000);
    if moved > MOST_SECONDS * 1_000_000 {
        return Err(wrong("the clock is ten years ahead already: POST /sandbox/reset"));
    }
    shared.moved_us.store(moved, Ordering::SeqCst);
    Ok(json!({ "now": shared.now().to_string() }))
}
