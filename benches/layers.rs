//! What each part of an answer costs, without sockets: nanoseconds a request through the one layer around all routes, with and without
//! each thing that can be switched on. `cargo bench --bench layers`

mod support;

use std::convert::Infallible;
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use guest_cabinet::app;
use guest_cabinet::clock::Clock;
use guest_cabinet::entropy::Entropy;
use guest_cabinet::http::Edge;
use guest_cabinet::telemetry;
use http_body_util::{BodyExt, Empty, Full};
use hyper::{Request, Response};
use mimalloc::MiMalloc;
use serde_json::Value;
use support::{Everybody, config};
use tower::Service;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const REQUESTS: u32 = 40_000;
const BATCHES: usize = 9;
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 50_000);

/// A cabinet's layer with its routes, and how a guest is known there.
struct Door {
    edge: Edge,
    bearer: String,
    cookie: String,
    etag: String,
}

impl Door {
    async fn open(everybody: &Everybody, more: &str) -> Self {
        let more = format!(
            "[cache]\nprofile_fresh_ms = 86400000\n\
             [[auth.test_phones]]\nphone = \"+79160000000\"\ncode = \"123456\"\nvalid_until = \"2099-01-01T00:00:00Z\"\n{more}"
        );
        let mut config = config(everybody, &more);
        config.listen = SocketAddr::new(PEER.ip(), 0);
        config.admin_listen = config.listen;
        config.store_url = "sqlite::memory:".to_owned().into();
        let running = app::start(config, None, Clock::system(), Entropy::system()).await;
        let edge = Edge::new(running.unwrap_or_else(|error| panic!("{error}")).app().clone());
        let mut door = Self {
            edge,
            bearer: String::new(),
            cookie: String::new(),
            etag: String::new(),
        };
        let pair = door.sign_in("bearer").await;
        door.bearer = format!("Bearer {}", json(pair).await["access_token"].as_str().expect("a token"));
        let cookies = door.sign_in("cookie").await;
        let cookie = cookies.headers()["set-cookie"].to_str().expect("text");
        door.cookie = cookie.split(';').next().expect("a pair").to_owned();
        let warm = door.ask("/api/v1/me/profile", &[("authorization", &door.bearer)]).await;
        assert_eq!(warm.status(), 200);
        warm.headers()["etag"]
            .to_str()
            .expect("text")
            .clone_into(&mut door.etag);
        door
    }

    async fn sign_in(&self, session: &str) -> Response<Body> {
        let asked = self
            .post("/api/v1/auth/challenges", r#"{"phone":"+79160000000"}"#)
            .await;
        let id = json(asked).await["challenge_id"].as_str().expect("an id").to_owned();
        let body = format!(r#"{{"code":"123456","session":"{session}"}}"#);
        let path = format!("/api/v1/auth/challenges/{id}/verify");
        let verified = self.post(&path, &body).await;
        assert_eq!(verified.status(), 200);
        verified
    }

    async fn post(&self, path: &str, body: &str) -> Response<Body> {
        let request = Request::post(path)
            .header("content-type", "application/json")
            .header("x-cabinet", "1")
            .body(Full::new(Bytes::from(body.to_owned())));
        self.edge.clone().answer(PEER, request.expect("a request")).await
    }

    async fn ask(&self, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
        self.edge.clone().answer(PEER, request(path, headers)).await
    }

    /// Nanoseconds of one request.
    async fn cost(&self, path: &str, headers: &[(&str, &str)]) -> u128 {
        median(async || {
            let answer = self.ask(path, headers).await;
            assert!(answer.status().as_u16() < 400);
            black_box(answer);
        })
        .await
    }
}

fn request(path: &str, headers: &[(&str, &str)]) -> Request<Empty<Bytes>> {
    let mut request = Request::get(path).header("host", "127.0.0.1:8080");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Empty::new()).expect("a request")
}

async fn json(answer: Response<Body>) -> Value {
    let body = answer.into_body().collect().await.expect("a body").to_bytes();
    serde_json::from_slice(&body).expect("JSON")
}

/// Nanoseconds of one `request`, of several batches the one in the middle.
async fn median(mut request: impl AsyncFnMut()) -> u128 {
    let clock = Clock::system();
    let mut batches = Vec::new();
    for _ in 0..BATCHES {
        let started = clock.steady();
        for _ in 0..REQUESTS {
            request().await;
        }
        batches.push(clock.steady().saturating_sub(started).as_nanos() / u128::from(REQUESTS));
    }
    batches.sort_unstable();
    batches[BATCHES / 2]
}

/// The same bytes out of a plain axum router.
async fn plain_axum() -> u128 {
    let bytes = Bytes::from_static(&[b'x'; 400]);
    let mut router: Router = Router::new().route("/api/v1/me/profile", get(move || async move { bytes.clone() }));
    median(async || {
        let asked: Result<_, Infallible> = router.call(request("/api/v1/me/profile", &[])).await;
        let _ = black_box(asked);
    })
    .await
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let everybody = Everybody::start().await;
    let usual = Door::open(&everybody, "").await;
    let profile = "/api/v1/me/profile";
    let bearer = [("authorization", usual.bearer.as_str())];
    println!("nanoseconds a request, median of {BATCHES} batches of {REQUESTS}");
    let row = |what: &str, cost: u128| println!("{cost:6}  {what}");
    row("a plain axum router, the same bytes", plain_axum().await);
    row(
        "the programme: the layer and its routes, nobody signed in",
        usual.cost("/api/v1/program", &[]).await,
    );
    let warm = usual.cost(profile, &bearer).await;
    row("a warm profile, by bearer", warm);
    let cookie = [("cookie", usual.cookie.as_str()), ("x-cabinet", "1")];
    row("a warm profile, by cookie", usual.cost(profile, &cookie).await);
    let known = [bearer[0], ("if-none-match", usual.etag.as_str())];
    row("not modified (304)", usual.cost(profile, &known).await);
    let own_id = [bearer[0], ("x-request-id", "a-callers-own-id")];
    row("with the caller's own request id", usual.cost(profile, &own_id).await);
    let door = Door::open(
        &everybody,
        "[web]\nallowed_origins = [\"https://cabinet.example.org\"]\n",
    )
    .await;
    let origin = [
        ("authorization", door.bearer.as_str()),
        ("origin", "https://cabinet.example.org"),
    ];
    row(
        "from a page of another, allowed origin",
        door.cost(profile, &origin).await,
    );
    let door = Door::open(&everybody, "[web]\ntrusted_proxies = [\"127.0.0.0/8\"]\n").await;
    let proxied = [
        ("authorization", door.bearer.as_str()),
        ("x-forwarded-for", "203.0.113.9"),
    ];
    row("through a trusted proxy", door.cost(profile, &proxied).await);
    let door = Door::open(&everybody, "[telemetry]\naccess_log = true\n").await;
    let bearer = [("authorization", door.bearer.as_str())];
    row(
        "with access_log on and no log set up",
        door.cost(profile, &bearer).await,
    );
    let logs = telemetry::start(&config(&everybody, "").telemetry);
    row(
        "with access_log on, the lines written to the error stream",
        door.cost(profile, &bearer).await,
    );
    drop(logs);
}
