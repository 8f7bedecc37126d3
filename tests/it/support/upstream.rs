//! A ProBonus that knows everybody, for tests that need many guests or failures of their own making: every phone has an account, every
//! account a history that names its checks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use guest_cabinet::entropy::Entropy;
use reqwest::StatusCode;

/// What it is asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The last part of the path.
    pub operation: String,
    /// The query's text.
    pub query: String,
}

type Behaviour = dyn Fn(&Asked) -> Option<Response> + Send + Sync;

/// A running one.
pub struct Upstream {
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    calls: AtomicU64,
    behaviour: Mutex<Arc<Behaviour>>,
}

impl Upstream {
    /// Starts one that answers everything.
    pub async fn start() -> Self {
        let shared = Arc::new(Shared {
            calls: AtomicU64::new(0),
            behaviour: Mutex::new(Arc::new(|_| None)),
        });
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", socket.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(socket, router).await });
        Self { url, shared }
    }

    /// From now on answers as `behaviour` says, and as usual where that says nothing.
    pub fn behave(&self, behaviour: impl Fn(&Asked) -> Option<Response> + Send + Sync + 'static) {
        *self.shared.behaviour.lock().expect("nobody panics here") = Arc::new(behaviour);
    }

    /// Fails `percent` of the calls at random, the same ones in every run.
    pub fn fail(&self, percent: u64) {
        let chance = Entropy::seeded(percent);
        self.behave(move |_| (chance.below(100) < percent).then(failure));
    }

    /// Answers everything again.
    pub fn heal(&self) {
        self.behave(|_| None);
    }

    /// Calls since the last look.
    pub fn take_calls(&self) -> u64 {
        self.shared.calls.swap(0, Ordering::Relaxed)
    }
}

/// An answer that ProBonus failed.
pub fn failure() -> Response {
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    shared.calls.fetch_add(1, Ordering::Relaxed);
    let asked = Asked {
        operation: request.uri().path().rsplit('/').next().unwrap_or_default().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
    };
    let behaviour = shared.behaviour.lock().expect("nobody panics here").clone();
    behaviour(&asked).unwrap_or_else(|| json(usual(&asked)))
}

fn json(body: String) -> Response {
    ([("content-type", "application/json")], body).into_response()
}

/// Checks are numbered by their account: account 79160000001 has 7916000000101 to 7916000000199.
fn usual(asked: &Asked) -> String {
    let value = |name: &str| {
        let found = asked
            .query
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_default().to_owned()
    };
    match asked.operation.as_str() {
        "find_by_phone" => {
            let phone = value("phone");
            format!(
                r#"{{"id":{phone},"phone":"{phone}","firstName":"Анна","lastName":"Смирнова","balance":125000,"level":{{"name":"Гость","bonusPercent":5}},"coupons":[]}}"#
            )
        }
        "transactions" => {
            let account = value("accountId");
            let movement = |number: u32| {
                format!(
                    r#"{{"id":{account}{number:02},"accountId":{account},"date":"2026-11-12T20:15:00","type":"accrual","sum":100,"checkId":{account}{number:02}}}"#
                )
            };
            format!("[{}]", (1..100).map(movement).collect::<Vec<_>>().join(","))
        }
        "get_by_id" => {
            let id = value("id");
            let account = &id[..id.len().saturating_sub(2)];
            format!(r#"{{"id":{id},"accountId":{account},"number":"1","items":[],"totalSum":100}}"#)
        }
        _ => r#"{"balance":125000,"details":[]}"#.to_owned(),
    }
}
