//! Whatever is asked, the answer is a clear one: problems everywhere, ids, headers, health.

use guest_cabinet::clock::Clock;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::cabinet::send;
use crate::support::{TestCabinet, sqlite};

async fn cabinet(store: &crate::support::TestStore) -> TestCabinet {
    TestCabinet::start("http://127.0.0.1:9", "a token", &store.url, Clock::system(), "").await
}

#[tokio::test]
async fn paths_and_methods_that_do_not_exist_get_problem_documents() {
    let store = sqlite();
    let cabinet = cabinet(&store).await;
    let missing = send(
        cabinet
            .request(Method::GET, "/api/v1/nothing")
            .header("x-request-id", "my-id-1")
            .header("accept-language", "en"),
    )
    .await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert_eq!(missing.code(), "not_found");
    assert_eq!(missing.json()["request_id"], "my-id-1");
    assert_eq!(missing.json()["title"], "Not found");
    assert_eq!(missing.header("x-request-id"), Some("my-id-1"));
    assert_eq!(missing.header("cache-control"), Some("no-store"));
    assert_eq!(missing.header("x-content-type-options"), Some("nosniff"));

    let wrong = send(cabinet.request(Method::DELETE, "/openapi.json")).await;
    assert_eq!(wrong.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(wrong.code(), "method_not_allowed");
    assert!(wrong.header("allow").is_some_and(|allow| allow.contains("GET")));
}

#[tokio::test]
async fn the_document_is_compressed_and_known_by_its_tag() {
    let store = sqlite();
    let cabinet = cabinet(&store).await;
    let plain = send(cabinet.request(Method::GET, "/openapi.json")).await;
    assert_eq!(plain.header("content-type"), Some("application/json"));
    assert_eq!(plain.json()["openapi"], "3.1.0");
    let tag = plain.header("etag").expect("a tag").to_owned();
    let again = cabinet
        .request(Method::GET, "/openapi.json")
        .header("if-none-match", tag);
    assert_eq!(send(again).await.status, StatusCode::NOT_MODIFIED);
    let packed = cabinet
        .request(Method::GET, "/openapi.json")
        .header("accept-encoding", "br");
    let packed = packed.send().await.expect("an answer");
    assert_eq!(packed.headers()["content-encoding"], "br");
    assert!(packed.bytes().await.expect("it is whole").len() < plain.text.len() / 5);
}

#[tokio::test]
async fn a_query_that_nobody_reads_is_refused_and_not_ignored() {
    let store = sqlite();
    let cabinet = cabinet(&store).await;
    for (method, path) in [
        (Method::GET, "/api/v1/program?lang=en"),
        (Method::GET, "/api/v1/me/balance?account_id=1"),
        (Method::POST, "/api/v1/auth/challenges?phone=1"),
        (Method::GET, "/partner/v1/account-groups?x"),
    ] {
        let answer = send(cabinet.request(method, path)).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        assert_eq!(answer.json()["errors"][0]["code"], "unknown", "{path}");
    }
    let plain = send(cabinet.request(Method::GET, "/api/v1/program?")).await;
    assert_eq!(plain.status, StatusCode::OK);
    let elsewhere = send(cabinet.request(Method::GET, "/?utm_source=mail")).await;
    assert_eq!(elsewhere.status, StatusCode::OK, "pages are not the contract's");
}

#[tokio::test]
async fn broken_bodies_get_problem_documents() {
    let store = sqlite();
    let cabinet = cabinet(&store).await;
    let post = || cabinet.request(Method::POST, "/api/v1/auth/challenges");
    let json = "application/json";
    let cases = [
        (post().body("{}"), 415, "unsupported_media_type"),
        (post().header("content-type", json).body("{"), 400, "malformed_request"),
        (post().header("content-type", json).body("[]"), 422, "validation_failed"),
        (
            post().header("content-type", json).body(r#"{"phone":"1","phone":"2"}"#),
            400,
            "malformed_request",
        ),
        (
            post().header("content-type", json).body("x".repeat(300_000)),
            413,
            "body_too_large",
        ),
        (
            post().header("content-type", json).body("x".repeat(3_000_000)),
            413,
            "body_too_large",
        ),
        (
            post().json(&json!({ "fone": "+79160000001" })),
            422,
            "validation_failed",
        ),
    ];
    for (request, status, code) in cases {
        let answer = send(request).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
        assert_eq!(answer.code(), code);
    }
    let told = send(post().header("accept-language", "en").json(&json!({ "fone": "1" }))).await;
    assert_eq!(told.json()["detail"], "phone: Required; fone: No such field");
}

#[tokio::test]
async fn what_cannot_be_read_as_a_request_gets_a_problem_document() {
    let store = sqlite();
    let cabinet = cabinet(&store).await;
    let address = cabinet.running.url().replace("http://", "");
    let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(100_000));
    for request in [
        long.as_bytes(),
        b"GET /api/v1/\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
        b"nonsense\r\n\r\n",
    ] {
        let mut stream = tokio::net::TcpStream::connect(&address).await.expect("a connection");
        // Who sends so much may be cut off while sending.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
        assert!(
            head.contains("content-type: application/problem+json") && head.contains("x-request-id: "),
            "{head}"
        );
        let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(body["code"], "malformed_request");
    }
}

/// What comes back for these bytes, after which the sending half is closed.
async fn raw(cabinet: &TestCabinet, request: &str) -> String {
    let address = cabinet.running.url().replace("http://", "");
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("it is read");
    stream.shutdown().await.expect("half closed");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

#[tokio::test]
async fn a_request_says_once_which_host_it_is_for() {
    let store = sqlite();
    let cabinet = cabinet(&store).await;
    for hosts in [
        "",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nHost: b\r\n",
        "Host: a, b\r\n",
        "Host: u@a\r\n",
        "Host: a/b\r\n",
    ] {
        for target in ["/api/v1/program", "/", "http://a/api/v1/program"] {
            let answer = raw(&cabinet, &format!("GET {target} HTTP/1.1\r\n{hosts}\r\n")).await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{hosts:?} {answer}");
            assert!(
                answer.contains("\"malformed_request\"") && answer.contains("x-request-id: "),
                "{answer}"
            );
        }
    }
    for sound in [
        "GET /api/v1/program HTTP/1.0\r\n\r\n",
        "GET /api/v1/program HTTP/1.1\r\nHost:\r\n\r\n",
        "GET /api/v1/program HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
        "GET http://a/api/v1/program HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let answer = raw(&cabinet, sound).await;
        assert!(answer.split(' ').nth(1) == Some("200"), "{sound} {answer}");
    }
}

#[tokio::test]
async fn who_closes_the_sending_half_gets_the_answer_and_is_let_go() {
    let store = sqlite();
    let cabinet = cabinet(&store).await;
    let body = r#"{"phone":"+7 916 000-00-01"}"#;
    let ask = format!(
        "POST /api/v1/auth/challenges HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = raw(&cabinet, &ask).await;
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    let two = "GET /api/v1/program HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2);
    assert_eq!(raw(&cabinet, &two).await.matches("HTTP/1.1 200 ").count(), 2);
}

#[tokio::test]
async fn health_tells_life_from_readiness_and_a_stop_is_orderly() {
    let store = sqlite();
    let cabinet = cabinet(&store).await;
    let admin = cabinet.running.admin_url();
    for path in ["/health/live", "/health/ready", "/metrics"] {
        let answer = send(cabinet.http.get(format!("{admin}{path}"))).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
    }
    let url = cabinet.running.url();
    cabinet.running.stop().await;
    assert!(cabinet.http.get(url).send().await.is_err(), "nobody listens any more");
}
