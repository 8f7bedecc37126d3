//! Message gateways as they stand in the world: each speaks its own protocol over HTTP and can have a bad day.

pub mod smsc;
pub mod smsru;
pub mod telegram;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

/// One call that a gateway got.
#[derive(Clone, Debug)]
pub struct Call {
    pub path: String,
    pub headers: HeaderMap,
    /// The fields of the form, or of the JSON object.
    pub fields: BTreeMap<String, String>,
}

impl Call {
    /// A field's value; empty when it is not there.
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

/// How a gateway answers.
#[derive(Clone, Debug)]
pub enum Mood {
    /// By its protocol.
    Well,
    /// By its protocol, with numbers as text.
    InText,
    /// Never.
    Hangs,
    /// With a page.
    Html(u16),
    /// With nothing.
    Empty,
    /// By sending elsewhere.
    Redirects(String),
    /// With a megabyte.
    Huge,
    /// Not now, but after so many seconds.
    Later(u16, u32),
    /// With half of an answer.
    CutsOff,
    /// With this.
    Says(u16, Value),
}

type Protocol = fn(&Emulator, &Call) -> Value;

/// A running gateway. Clones are the same one.
#[derive(Clone)]
pub struct Emulator {
    /// Its base address.
    pub url: String,
    stage: Arc<Stage>,
}

struct Stage {
    protocol: Protocol,
    mood: Mutex<Mood>,
    calls: Mutex<Vec<Call>>,
    /// What the protocol remembers.
    memory: Mutex<BTreeMap<String, String>>,
}

impl Emulator {
    async fn start(protocol: Protocol) -> Self {
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let emulator = Self {
            url: format!("http://{}", socket.local_addr().expect("an address")),
            stage: Arc::new(Stage {
                protocol,
                mood: Mutex::new(Mood::Well),
                calls: Mutex::default(),
                memory: Mutex::default(),
            }),
        };
        let router = Router::new().fallback(answer).with_state(emulator.clone());
        tokio::spawn(async move { axum::serve(socket, router).await });
        emulator
    }

    /// From now on it answers so.
    pub fn is(&self, mood: Mood) {
        *self.stage.mood.lock().expect("nobody panics here") = mood;
    }

    /// Calls to `path` so far.
    pub fn calls(&self, path: &str) -> Vec<Call> {
        let calls = self.stage.calls.lock().expect("nobody panics here");
        calls.iter().filter(|call| call.path == path).cloned().collect()
    }

    /// Keeps a fact for the protocol.
    pub fn remember(&self, name: &str, fact: &str) -> Option<String> {
        let mut memory = self.stage.memory.lock().expect("nobody panics here");
        memory.insert(name.to_owned(), fact.to_owned())
    }

    /// The facts whose names begin so.
    pub fn recall_all(&self, beginning: &str) -> Vec<(String, String)> {
        let memory = self.stage.memory.lock().expect("nobody panics here");
        let begins = memory.iter().filter(|(name, _)| name.starts_with(beginning));
        begins.map(|(name, fact)| (name.clone(), fact.clone())).collect()
    }

    /// A fact that was kept.
    pub fn recall(&self, name: &str) -> Option<String> {
        self.stage.memory.lock().expect("nobody panics here").get(name).cloned()
    }
}

async fn answer(State(emulator): State<Emulator>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let call = Call {
        path: uri.path().to_owned(),
        fields: fields(&headers, &body),
        headers,
    };
    assert!(uri.query().is_none(), "secrets and phones go in the body: {uri}");
    let calls = &emulator.stage.calls;
    calls.lock().expect("nobody panics here").push(call.clone());
    let mood = emulator.stage.mood.lock().expect("nobody panics here").clone();
    let json = |status: u16, value: Value| {
        let status = axum::http::StatusCode::from_u16(status).expect("a status");
        (status, axum::Json(value)).into_response()
    };
    let protocol = emulator.stage.protocol;
    match mood {
        Mood::Well => json(200, protocol(&emulator, &call)),
        Mood::InText => json(200, in_text(protocol(&emulator, &call))),
        Mood::Hangs => {
            tokio::time::sleep(Duration::from_mins(1)).await;
            json(200, protocol(&emulator, &call))
        }
        Mood::Html(status) => {
            let status = axum::http::StatusCode::from_u16(status).expect("a status");
            (status, axum::response::Html("<!doctype html><h1>Welcome</h1>")).into_response()
        }
        Mood::Empty => ().into_response(),
        Mood::Redirects(to) => axum::response::Redirect::temporary(&to).into_response(),
        Mood::Huge => Body::from(vec![b' '; 1024 * 1024]).into_response(),
        Mood::CutsOff => {
            let parts = [Ok(Bytes::from("{\"status\":\"OK\",")), Err("gone")];
            Body::from_stream(futures_util::stream::iter(parts)).into_response()
        }
        Mood::Later(status, seconds) => {
            let status = axum::http::StatusCode::from_u16(status).expect("a status");
            (status, [("retry-after", seconds.to_string())], "{}").into_response()
        }
        Mood::Says(status, value) => json(status, value),
    }
}

fn fields(headers: &HeaderMap, body: &[u8]) -> BTreeMap<String, String> {
    let is_json = headers
        .get("content-type")
        .is_some_and(|kind| kind == "application/json");
    if !is_json {
        return url::form_urlencoded::parse(body).into_owned().collect();
    }
    let object: BTreeMap<String, Value> = serde_json::from_slice(body).expect("a JSON object");
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    object.into_iter().map(|(name, value)| (name, text(value))).collect()
}

/// Numbers as text, as gateways sometimes write them.
fn in_text(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::String(number.to_string()),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (name, in_text(value)))
            .collect(),
        other => other,
    }
}
