//! The live balance: one watcher per guest, news at once wherever it happened, and streams that end when they should.

use std::time::Duration;

use guest_cabinet::clock::Clock;
use guest_cabinet::keys::{hex, sha256};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::support::cabinet::send;
use crate::support::replicas::replicas;
use crate::support::{ProBonus, TestCabinet, each_engine, sqlite};

const ANNA: &str = "+79160000001";
const NOBODY: &str = "+79160000008";
const KEY: &str = "a delivery partner's key for tests";
const EVENTS: &str = "/api/v1/me/events";

fn partners() -> String {
    format!(
        "[partners.delivery]\nkey_sha256 = \"{}\"\nscopes = [\"refills\"]\nmax_refill = 500000\nmax_daily_refill = 600000\n",
        hex(&sha256(KEY.as_bytes())),
    )
}

/// An open stream.
struct Stream {
    response: Response,
    text: String,
}

#[derive(Debug)]
struct News {
    id: String,
    balance: Value,
}

impl Stream {
    async fn open(cabinet: &TestCabinet, token: &str, last: Option<&str>) -> Self {
        let mut request = cabinet.request(Method::GET, EVENTS).bearer_auth(token);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        let text = String::new();
        Self { response, text }
    }

    /// The next event, within `seconds`; `None` when the stream ended.
    async fn next(&mut self, seconds: u64) -> Option<News> {
        let reading = async {
            loop {
                if let Some((event, rest)) = self.text.split_once("\n\n") {
                    let (event, rest) = (event.to_owned(), rest.to_owned());
                    self.text = rest;
                    if let Some(news) = read(&event) {
                        return Some(news);
                    }
                    continue;
                }
                let chunk = self.response.chunk().await.expect("a stream that ends properly")?;
                self.text.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
            }
        };
        tokio::time::timeout(Duration::from_secs(seconds), reading)
            .await
            .expect("something happens in time")
    }
}

/// An event out of its lines; comments are none.
fn read(event: &str) -> Option<News> {
    let line = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    assert_eq!(line("event:")?, "balance");
    Some(News {
        id: line("id:").expect("an id").to_owned(),
        balance: serde_json::from_str(line("data:").expect("data")).expect("JSON"),
    })
}

async fn house(more: &str) -> (ProBonus, TestCabinet, crate::support::TestStore) {
    let clock = Clock::system();
    let probonus = ProBonus::start(&clock).await;
    let store = sqlite();
    let (url, token) = (probonus.sandbox.url(), probonus.sandbox.token().to_owned());
    let cabinet = TestCabinet::start(&url, &token, &store.url, clock, more).await;
    (probonus, cabinet, store)
}

async fn refill(cabinet: &TestCabinet, amount: i64) {
    let body = json!({ "phone": ANNA, "amount": amount });
    let request = cabinet
        .request(Method::POST, "/partner/v1/refills")
        .bearer_auth(KEY)
        .header("idempotency-key", format!("refill of {amount}"));
    let answer = send(request.json(&body)).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_begins_with_the_balance_and_goes_on_where_it_broke_off() {
    let (probonus, cabinet, _store) = house(&partners()).await;
    let token = cabinet.token(ANNA).await;
    let balance = cabinet.get("/api/v1/me/balance", &token).await;
    probonus.forget().await;
    let mut stream = Stream::open(&cabinet, &token, None).await;
    let headers = stream.response.headers();
    assert_eq!(headers["content-type"], "text/event-stream");
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["x-accel-buffering"], "no");
    let first = stream.next(5).await.expect("an event");
    assert_eq!(first.balance, balance.json(), "the view as it is read");
    assert_eq!(format!("\"{}\"", first.id), balance.header("etag").expect("a tag"));
    assert_eq!(
        probonus.calls("*").await,
        0,
        "opening a page costs ProBonus nothing more"
    );
    drop(stream);

    // Whoever has the newest is told nothing until there is news; whoever has an older one is told at once.
    let mut stream = Stream::open(&cabinet, &token, Some(&first.id)).await;
    refill(&cabinet, 1_200).await;
    let second = stream.next(3).await.expect("an event");
    let available = |news: &News| news.balance["available"].as_i64().expect("a sum");
    assert_eq!(available(&second), available(&first) + 1_200);
    let mut late = Stream::open(&cabinet, &token, Some(&first.id)).await;
    assert_eq!(late.next(1).await.expect("an event").id, second.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_operation_is_heard_at_once_on_every_replica() {
    for store in each_engine().await {
        let clock = Clock::system();
        let probonus = ProBonus::start(&clock).await;
        let replicas = replicas(&store, &probonus.sandbox, &clock, &partners()).await;
        let token = replicas[0].token(ANNA).await;
        let watched = replicas.last().expect("a replica");
        let mut stream = Stream::open(watched, &token, None).await;
        let first = stream.next(5).await.expect("an event");
        refill(&replicas[0], 700).await;
        let second = stream.next(2).await.expect("an event");
        assert_eq!(
            second.balance["available"].as_i64(),
            first.balance["available"].as_i64().map(|sum| sum + 700),
            "{}",
            store.engine
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_its_session_wherever_that_ends() {
    for store in each_engine().await {
        let clock = Clock::system();
        let probonus = ProBonus::start(&clock).await;
        let replicas = replicas(&store, &probonus.sandbox, &clock, "[auth]\nresend_ms = 1").await;
        let (token, other) = (replicas[0].token(ANNA).await, replicas[0].token(ANNA).await);
        let watched = replicas.last().expect("a replica");
        let mut stream = Stream::open(watched, &token, None).await;
        let mut staying = Stream::open(watched, &other, None).await;
        stream.next(5).await.expect("an event");
        staying.next(5).await.expect("an event");
        let logout = replicas[0].request(Method::POST, "/api/v1/auth/logout");
        assert_eq!(send(logout.bearer_auth(&token)).await.status, StatusCode::NO_CONTENT);
        assert!(stream.next(1).await.is_none(), "{}", store.engine);
        let quiet = tokio::time::timeout(Duration::from_millis(300), staying.response.chunk()).await;
        assert!(quiet.is_err(), "the other session's goes on");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_guest_has_so_many_streams_and_they_cost_one_call() {
    let (probonus, cabinet, _store) = house("").await;
    let token = cabinet.token(ANNA).await;
    probonus.forget().await;
    let mut streams = Vec::new();
    for _ in 0..8 {
        streams.push(Stream::open(&cabinet, &token, None).await);
    }
    for stream in &mut streams {
        stream.next(5).await.expect("an event");
    }
    assert_eq!(probonus.calls("get_balance_extended").await, 1);
    let ninth = cabinet.get(EVENTS, &token).await;
    assert_eq!(ninth.code(), "too_many_requests");
    assert!(ninth.header("ratelimit").is_some() && ninth.header("ratelimit-policy").is_some());
    drop(streams.pop());
    // The server notices that a page is gone when it next wants to tell it something, or when its connection closes.
    let free = async {
        while cabinet
            .request(Method::GET, EVENTS)
            .bearer_auth(&token)
            .send()
            .await
            .expect("an answer")
            .status()
            != StatusCode::OK
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), free)
        .await
        .expect("there is room again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_leave_room_for_those_who_ask() {
    let (_probonus, cabinet, _store) = house("[web]\nmax_connections = 4").await;
    let token = cabinet.token(ANNA).await;
    let _streams = [
        Stream::open(&cabinet, &token, None).await,
        Stream::open(&cabinet, &token, None).await,
    ];
    let third = cabinet.get(EVENTS, &token).await;
    assert_eq!(third.code(), "overloaded");
    assert!(third.header("retry-after").is_some());
    assert_eq!(cabinet.get("/api/v1/me/balance", &token).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_no_account_is_told_to_sign_up() {
    let (_probonus, cabinet, _store) = house("").await;
    let token = cabinet.token(NOBODY).await;
    assert_eq!(cabinet.get(EVENTS, &token).await.code(), "account_absent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_probonus_is_waited_for() {
    let (probonus, cabinet, _store) = house("").await;
    let token = cabinet.token(ANNA).await;
    probonus.fault(json!({ "kind": "status", "status": 503 })).await;
    let mut stream = Stream::open(&cabinet, &token, None).await;
    probonus.heal().await;
    let first = stream.next(20).await.expect("an event");
    assert_eq!(first.balance["stale"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purchase_at_the_till_is_seen_although_probonus_is_slow() {
    let (probonus, cabinet, _store) = house("").await;
    let token = cabinet.token(ANNA).await;
    let mut stream = Stream::open(&cabinet, &token, None).await;
    let first = stream.next(5).await.expect("an event");
    probonus.fault(json!({ "kind": "latency", "latency_ms": 2000 })).await;
    let till = json!({ "phone": ANNA, "sum": 100_000 });
    probonus.control(Method::POST, "/till/purchase", till).await;
    let second = stream.next(15).await.expect("an event");
    assert!(second.balance["available"].as_i64() > first.balance["available"].as_i64());
    assert_eq!(second.balance["stale"], false, "slow is not silent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_for_no_stream() {
    let (_probonus, cabinet, _store) = house("").await;
    let token = cabinet.token(ANNA).await;
    let mut stream = Stream::open(&cabinet, &token, None).await;
    stream.next(5).await.expect("an event");
    let TestCabinet { running, .. } = cabinet;
    let stopped = tokio::time::timeout(Duration::from_secs(5), running.stop());
    let ended = stream.next(5);
    let (stopped, ended) = tokio::join!(stopped, ended);
    stopped.expect("the drain time is not used up");
    assert!(ended.is_none(), "it ends properly");
}
