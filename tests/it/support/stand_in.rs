//! A ProBonus that answers each operation with whatever it is told to, byte for byte. It knows one guest and keeps nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use guest_cabinet::clock::Clock;
use http::{HeaderName, HeaderValue, StatusCode, Uri};
use serde_json::{Value, json};

use super::{TestCabinet, TestStore, sqlite};

/// The guest it knows.
pub const ANNA: &str = "+79160000001";

/// One answer.
#[derive(Clone)]
struct Said {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

#[derive(Default)]
struct Told {
    answers: HashMap<String, Said>,
    calls: HashMap<String, usize>,
}

/// A running stand-in.
pub struct StandIn {
    /// Its address.
    pub url: String,
    told: Arc<Mutex<Told>>,
}

impl StandIn {
    /// Starts one that tells all about Anna and takes every write.
    pub async fn start() -> Self {
        let told = Arc::new(Mutex::new(Told::default()));
        let router = Router::new().fallback(answer).with_state(told.clone());
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", socket.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(socket, router).await });
        let stand_in = Self { url, told };
        stand_in.says(
            "list",
            200,
            &json!([{ "id": 3, "name": "Гости", "haveTemplate": true }]),
        );
        stand_in.says("find_by_phone", 200, &account());
        stand_in.says(
            "get_balance_extended",
            200,
            &json!({ "balance": 12_500, "details": [] }),
        );
        stand_in.says("transactions", 200, &json!([movement()]));
        stand_in.says("get_by_id", 200, &check());
        for write in ["insert_by_template", "update", "refill", "register_check"] {
            stand_in.says(write, 200, &json!({ "success": true }));
        }
        stand_in
    }

    /// Answers `operation` (the end of its path) with JSON.
    pub fn says(&self, operation: &str, status: u16, body: &Value) {
        self.sends(
            operation,
            status,
            &[("content-type", "application/json")],
            body.to_string(),
        );
    }

    /// Answers `operation` with these headers and bytes.
    pub fn sends(&self, operation: &str, status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) {
        let header = |(name, value): &(&str, &str)| {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
            (name, HeaderValue::from_str(value).expect("a header's value"))
        };
        let said = Said {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: headers.iter().map(header).collect(),
            body: body.into(),
        };
        let mut told = self.told.lock().expect("nobody panics here");
        told.answers.insert(operation.to_owned(), said);
    }

    /// How often `operation` was called.
    pub fn calls(&self, operation: &str) -> usize {
        let told = self.told.lock().expect("nobody panics here");
        told.calls.get(operation).copied().unwrap_or(0)
    }

    /// A cabinet over it, with `more` in its configuration.
    pub async fn cabinet(&self, clock: &Clock, more: &str) -> (TestCabinet, TestStore) {
        let store = sqlite();
        let cabinet = TestCabinet::start(&self.url, "a token", &store.url, clock.clone(), more).await;
        (cabinet, store)
    }
}

/// Anna's account.
pub fn account() -> Value {
    json!({
        "id": 5012, "accountGroupId": 3, "phone": "79160000001", "firstName": "Анна", "lastName": "Смирнова",
        "balance": 12_500, "isBlocked": false, "level": { "name": "Золотой", "bonusPercent": 7 }, "identifiers": ["9000123"],
        "coupons": [{ "id": 1, "name": "Десерт", "code": "SWEET" }],
    })
}

/// Anna's one movement, of a check.
pub fn movement() -> Value {
    json!({ "id": 1, "accountId": 5012, "date": "2026-11-19T12:00:00", "type": "accrual", "sum": 500, "checkId": 70 })
}

/// Anna's check.
pub fn check() -> Value {
    json!({
        "id": 70, "accountId": 5012, "number": "15", "closedAt": "2026-11-19T12:00:00", "totalSum": 10_000,
        "items": [{ "name": "Чай", "quantity": 2, "price": 5_000, "sum": 10_000 }],
    })
}

async fn answer(State(told): State<Arc<Mutex<Told>>>, uri: Uri, _: Bytes) -> Response {
    let operation = uri.path().rsplit('/').next().unwrap_or_default().to_owned();
    let said = {
        let mut told = told.lock().expect("nobody panics here");
        *told.calls.entry(operation.clone()).or_default() += 1;
        told.answers.get(&operation).cloned()
    };
    let Some(said) = said else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut response = Response::new(said.body.into());
    *response.status_mut() = said.status;
    for (name, value) in said.headers {
        response.headers_mut().append(name, value);
    }
    response
}
