//! Crowds, slow clients and a stop in the middle of it: nobody is harmed by the others, and nothing is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use guest_cabinet::clock::Clock;
use reqwest::StatusCode;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{ProBonus, TestCabinet, TestStore, friday_noon, sqlite};

const ANNA: &str = "+79160000001";

async fn house(store: &TestStore, more: &str) -> (ProBonus, Arc<TestCabinet>) {
    let clock = Clock::manual(friday_noon());
    let probonus = ProBonus::start(&clock).await;
    let (url, token) = (probonus.sandbox.url(), probonus.sandbox.token().to_owned());
    let cabinet = TestCabinet::start(&url, &token, &store.url, clock, more).await;
    (probonus, Arc::new(cabinet))
}

fn address(cabinet: &TestCabinet) -> String {
    cabinet.running.url().trim_start_matches("http://").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_cold_readers_cost_one_call() {
    let store = sqlite();
    let (probonus, cabinet) = house(&store, "").await;
    let token = cabinet.token(ANNA).await;
    probonus.forget().await;
    probonus.fault(json!({ "kind": "latency", "latency_ms": 1500 })).await;
    let gate = Arc::new(tokio::sync::Barrier::new(1000));
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let (cabinet, token, gate) = (cabinet.clone(), token.clone(), gate.clone());
        readers.spawn(async move {
            gate.wait().await;
            cabinet.get("/api/v1/me/balance", &token).await.status
        });
    }
    for status in readers.join_all().await {
        assert_eq!(status, StatusCode::OK);
    }
    assert_eq!(probonus.calls("get_balance_extended").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_dribbling_connections_harm_nobody_and_are_closed() {
    let store = sqlite();
    let (_probonus, cabinet) = house(&store, "[web]\nmax_connections = 600").await;
    let token = cabinet.token(ANNA).await;
    cabinet.get("/api/v1/me/balance", &token).await;
    let address = address(&cabinet);
    let mut dribblers = tokio::task::JoinSet::new();
    for _ in 0..500 {
        let address = address.clone();
        dribblers.spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            let head = b"GET /api/v1/me/balance HTTP/1.1\r\nX-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
            for byte in head {
                // Closed by the server: the rest cannot be sent.
                if stream.write_all(&[*byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
        });
    }
    for _ in 0..50 {
        let asked = cabinet.get("/api/v1/me/balance", &token);
        let answer = tokio::time::timeout(Duration::from_secs(2), asked).await;
        assert_eq!(answer.expect("nobody is held up").status, StatusCode::OK);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // A head takes ten seconds at most.
    let closed = tokio::time::timeout(Duration::from_secs(30), dribblers.join_all()).await;
    assert!(closed.is_ok(), "the dribblers are still there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_dribbles_is_refused_when_its_time_is_over() {
    let store = sqlite();
    let (_probonus, cabinet) = house(&store, "[web]\nrequest_timeout_ms = 1000").await;
    let mut stream = TcpStream::connect(address(&cabinet)).await.expect("a connection");
    let head = "POST /api/v1/auth/challenges HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.expect("it is read");
    let mut answer = [0; 12];
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_exact(&mut answer)).await;
    read.expect("within its time").expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 400");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_tls_http_2_is_spoken_too() {
    let store = sqlite();
    let (_probonus, cabinet) = house(&store, "").await;
    let http = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build();
    let asked = http
        .expect("a client")
        .get(format!("{}/api/v1/program", cabinet.running.url()));
    let answer = asked.send().await.expect("an answer");
    assert_eq!(
        (answer.status(), answer.version()),
        (StatusCode::OK, reqwest::Version::HTTP_2)
    );
}

/// Reads and writes until nobody listens any more; every request that was taken is answered whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_loses_nothing() {
    let store = sqlite();
    let (probonus, cabinet) = house(&store, "").await;
    let token = cabinet.token(ANNA).await;
    // Some answers are still being waited for when the stop comes.
    probonus.fault(json!({ "kind": "latency", "latency_ms": 300 })).await;
    let url = cabinet.running.url();
    let answered = Arc::new(AtomicUsize::new(0));
    let stopping = Arc::new(AtomicBool::new(false));
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..32 {
        let (url, token, answered, stopping) = (url.clone(), token.clone(), answered.clone(), stopping.clone());
        clients.spawn(async move {
            let http = reqwest::Client::builder().no_proxy().build().expect("a client");
            for round in 0.. {
                let request = match (client + round) % 4 {
                    0 => http
                        .get(format!("{url}/api/v1/me/balance"))
                        .header("cache-control", "no-cache"),
                    1 => http.get(format!("{url}/api/v1/me/home")),
                    // Edits of one account are made one after the other: a few clients are enough.
                    2 if client % 8 == 0 => http
                        .patch(format!("{url}/api/v1/me/profile"))
                        .json(&json!({ "first_name": format!("Анна {client}") })),
                    _ => http.get(format!("{url}/api/v1/me/profile")),
                };
                match request.bearer_auth(&token).send().await {
                    Ok(answer) => {
                        let status = answer.status();
                        let whole = answer.bytes().await;
                        assert!(whole.is_ok(), "an answer was cut: {status}");
                        assert!(status.is_success(), "{status}");
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    // The door is closed: the only thing that may happen to a request.
                    Err(error) => {
                        assert!(stopping.load(Ordering::Relaxed) && error.is_connect(), "{error:?}");
                        return;
                    }
                }
            }
        });
    }
    while answered.load(Ordering::Relaxed) < 64 {
        assert!(!clients.is_empty());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stopping.store(true, Ordering::Relaxed);
    let cabinet = Arc::into_inner(cabinet).expect("nobody else has it");
    let before = answered.load(Ordering::Relaxed);
    cabinet.running.stop().await;
    clients.join_all().await;
    assert!(
        answered.load(Ordering::Relaxed) > before,
        "those under way were answered"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_asks_for_nothing_is_closed() {
    let store = sqlite();
    let (_probonus, cabinet) = house(&store, "").await;
    let address = address(&cabinet);
    let mut silent = tokio::task::JoinSet::new();
    for beginning in ["", "P", "PRI * HT"] {
        let address = address.clone();
        silent.spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            stream.write_all(beginning.as_bytes()).await.expect("it is read");
            let _ = stream.read_to_end(&mut Vec::new()).await;
        });
    }
    let closed = tokio::time::timeout(Duration::from_secs(15), silent.join_all()).await;
    assert!(closed.is_ok(), "a silent connection is still there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_that_are_told_of_changes_do_not_hold_up_a_stop() {
    let store = sqlite();
    let (_probonus, cabinet) = house(&store, "").await;
    let token = cabinet.token(ANNA).await;
    let request = cabinet.request(reqwest::Method::GET, "/api/v1/me/events");
    let mut page = request.bearer_auth(&token).send().await.expect("a stream");
    assert!(page.chunk().await.expect("an event").is_some());
    let cabinet = Arc::into_inner(cabinet).expect("nobody else has it");
    let stopped = tokio::time::timeout(Duration::from_secs(8), cabinet.running.stop()).await;
    assert!(stopped.is_ok(), "the page is still there");
    while page.chunk().await.expect("the stream ends well").is_some() {}
}
