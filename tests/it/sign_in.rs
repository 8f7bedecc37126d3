//! Sign-in withstands attack: one code, five attempts, one session, on SQLite, on PostgreSQL and over two replicas.

use guest_cabinet::clock::Clock;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::cabinet::send;
use crate::support::replicas::{PHONE, challenge, count, eventually_401, race, replicas, sandbox};
use crate::support::{each_engine, friday_noon, postgres, sqlite};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_wrong_codes_five_count_and_the_right_one_is_then_too_late() {
    for store in each_engine().await {
        let clock = Clock::manual(friday_noon());
        let sandbox = sandbox(&clock).await;
        let replicas = replicas(&store, &sandbox, &clock, "").await;
        let (id, code) = challenge(&replicas[0]).await;
        let wrong = if code == "000000" { "000001" } else { "000000" };
        let path = format!("/api/v1/auth/challenges/{id}/verify");
        let answers = race(&replicas, 50, &path, &json!({ "code": wrong, "session": "bearer" })).await;
        assert_eq!(count(&answers, 422), 5, "{}", store.engine);
        assert_eq!(count(&answers, 410), 45, "{}", store.engine);
        let mut left: Vec<u64> = answers
            .iter()
            .filter_map(|answer| answer.json()["attempts_left"].as_u64())
            .collect();
        left.sort_unstable();
        assert_eq!(left, [0, 1, 2, 3, 4]);
        let late = replicas[0]
            .post(&path, &json!({ "code": code, "session": "bearer" }))
            .await;
        assert_eq!((late.status.as_u16(), late.code().as_str()), (410, "challenge_invalid"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_right_codes_one_opens_a_session() {
    for store in each_engine().await {
        let clock = Clock::manual(friday_noon());
        let sandbox = sandbox(&clock).await;
        let replicas = replicas(&store, &sandbox, &clock, "").await;
        let (id, code) = challenge(&replicas[0]).await;
        let path = format!("/api/v1/auth/challenges/{id}/verify");
        let answers = race(&replicas, 20, &path, &json!({ "code": code, "session": "bearer" })).await;
        assert_eq!(
            (count(&answers, 200), count(&answers, 410)),
            (1, 19),
            "{}",
            store.engine
        );
    }
}

#[tokio::test]
async fn logging_out_holds_on_the_other_replica_within_a_second() {
    let Some(store) = postgres().await else { return };
    let clock = Clock::manual(friday_noon());
    let sandbox = sandbox(&clock).await;
    let replicas = replicas(&store, &sandbox, &clock, "").await;
    let one = replicas[0].token(PHONE).await;
    assert_eq!(replicas[1].get("/api/v1/me/profile", &one).await.status, StatusCode::OK);
    let out = send(
        replicas[0]
            .request(Method::POST, "/api/v1/auth/logout")
            .bearer_auth(&one),
    )
    .await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    assert_eq!(
        eventually_401(&replicas[1], &one).await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn codes_in_other_clothes_are_refused_without_costing_an_attempt() {
    let store = sqlite();
    let clock = Clock::manual(friday_noon());
    let sandbox = sandbox(&clock).await;
    let cabinet = &replicas(&store, &sandbox, &clock, "").await[0];
    let (id, code) = challenge(cabinet).await;
    let path = format!("/api/v1/auth/challenges/{id}/verify");
    let strange = [
        json!(123_456),
        json!("12345"),
        json!("1234567"),
        json!("١٢٣٤٥٦"),
        json!(["1", "2"]),
        json!({ "$ne": "" }),
        json!(null),
        json!(" 12345"),
        json!("12345６"),
    ];
    for value in strange {
        let answer = cabinet
            .post(&path, &json!({ "code": value, "session": "bearer" }))
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (422, "validation_failed"),
            "{value}"
        );
        assert_eq!(answer.json()["errors"][0]["field"], "code");
    }
    let state = send(cabinet.request(Method::GET, &format!("/api/v1/auth/challenges/{id}"))).await;
    assert_eq!(state.json()["attempts_left"], 5);
    let right = cabinet.post(&path, &json!({ "code": code, "session": "bearer" })).await;
    assert_eq!(right.status, StatusCode::OK, "{}", right.text);
}

#[tokio::test]
async fn every_dead_challenge_looks_alike() {
    let store = sqlite();
    let clock = Clock::manual(friday_noon());
    let sandbox = sandbox(&clock).await;
    let cabinet = &replicas(&store, &sandbox, &clock, "").await[0];
    let (used, code) = challenge(cabinet).await;
    let verify = async |id: &str, code: &str| {
        let body = json!({ "code": code, "session": "bearer" });
        let request = cabinet.request(Method::POST, &format!("/api/v1/auth/challenges/{id}/verify"));
        send(request.json(&body).header("x-request-id", "same")).await
    };
    assert_eq!(verify(&used, &code).await.status, StatusCode::OK);
    clock.advance(std::time::Duration::from_secs(61));
    let (expired, other_code) = {
        let asked = cabinet
            .post("/api/v1/auth/challenges", &json!({ "phone": PHONE }))
            .await;
        let code = cabinet.receiver.code(PHONE, 2).await;
        (asked.json()["challenge_id"].as_str().expect("an id").to_owned(), code)
    };
    clock.advance(std::time::Duration::from_secs(301));
    let unknown = "A".repeat(32);
    let dead = [
        verify(&used, &code).await,
        verify(&expired, &other_code).await,
        verify(&unknown, "123456").await,
        verify("nonsense", "123456").await,
    ];
    for answer in &dead {
        assert_eq!(answer.status.as_u16(), 410);
        assert_eq!(answer.text, dead[0].text);
    }
}

#[tokio::test]
async fn a_resend_brings_the_same_code_and_limits_say_when_to_come_again() {
    let store = sqlite();
    let clock = Clock::manual(friday_noon());
    let sandbox = sandbox(&clock).await;
    let cabinet = &replicas(&store, &sandbox, &clock, "").await[0];
    let (id, code) = challenge(cabinet).await;
    let path = format!("/api/v1/auth/challenges/{id}/resend");
    let early = cabinet.post(&path, &json!({})).await;
    assert_eq!(
        (early.status.as_u16(), early.code().as_str()),
        (429, "too_many_requests")
    );
    assert_eq!(early.header("retry-after"), Some("60"));
    assert!(early.header("ratelimit").is_some() && early.header("ratelimit-policy").is_some());
    for sent in 2..=4 {
        clock.advance(std::time::Duration::from_mins(1));
        let request = cabinet.request(Method::POST, &path);
        let answer = send(match sent {
            2 => request.json(&json!({})),
            3 => request.json(&json!({ "channel": null })),
            _ => request,
        })
        .await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
        assert_eq!(cabinet.receiver.code(PHONE, sent).await, code);
    }
    clock.advance(std::time::Duration::from_mins(1));
    // The challenge is over by now; the phone's fifth message in the hour still goes, its sixth does not.
    let ask = async || {
        cabinet
            .post("/api/v1/auth/challenges", &json!({ "phone": "8 916 000 00 01" }))
            .await
    };
    let fifth = ask().await;
    assert_eq!(fifth.status, StatusCode::ACCEPTED, "{} {:?}", fifth.text, fifth.headers);
    clock.advance(std::time::Duration::from_mins(1));
    let sixth = ask().await;
    assert_eq!(sixth.status, StatusCode::TOO_MANY_REQUESTS, "{}", sixth.text);
    assert!(
        sixth
            .header("ratelimit-policy")
            .is_some_and(|policy| policy.contains("sends_per_phone_hour"))
    );
}

#[tokio::test]
async fn known_unknown_and_blocked_phones_get_the_same_answer_and_probonus_is_not_asked() {
    let store = sqlite();
    let clock = Clock::manual(friday_noon());
    let sandbox = sandbox(&clock).await;
    let cabinet = &replicas(&store, &sandbox, &clock, "").await[0];
    let mut shapes = Vec::new();
    for phone in [PHONE, "+79160000004", "+79160000099"] {
        let asked = cabinet
            .post("/api/v1/auth/challenges", &json!({ "phone": phone }))
            .await;
        assert_eq!(asked.status, StatusCode::ACCEPTED);
        let mut body = asked.json();
        body["challenge_id"] = json!("");
        body["masked_phone"] = json!("");
        shapes.push(body);
    }
    assert!(shapes.iter().all(|shape| *shape == shapes[0]), "{shapes:?}");
    let journal = send(cabinet.http.get(format!("{}/sandbox/journal", sandbox.url()))).await;
    assert_eq!(journal.json()["total"], 0);
    for refused in [
        "+74951234567",
        "88001234567",
        "+77011234567",
        "+7 954 123-45-67",
        "+79160000001;ext=5",
        "phone",
        "",
        "+7916000000112345",
    ] {
        let answer = cabinet
            .post("/api/v1/auth/challenges", &json!({ "phone": refused }))
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (422, "phone_not_supported"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn the_same_walk_works_by_bearer_and_by_cookie() {
    for kind in ["bearer", "cookie"] {
        let store = sqlite();
        let clock = Clock::manual(friday_noon());
        let sandbox = sandbox(&clock).await;
        let cabinet = &replicas(&store, &sandbox, &clock, "").await[0];
        let (id, code) = challenge(cabinet).await;
        let body = json!({ "code": code, "session": kind, "device_name": "Тест" });
        let verified = cabinet
            .post(&format!("/api/v1/auth/challenges/{id}/verify"), &body)
            .await;
        assert_eq!(verified.status, StatusCode::OK, "{}", verified.text);
        let cookies: Vec<String> = verified
            .headers
            .get_all("set-cookie")
            .iter()
            .filter_map(|value| Some(value.to_str().ok()?.to_owned()))
            .collect();
        let signed = |request: reqwest::RequestBuilder| {
            if kind == "bearer" {
                return request.bearer_auth(verified.json()["access_token"].as_str().expect("a token"));
            }
            let session = cookies
                .iter()
                .find(|cookie| cookie.starts_with("session="))
                .expect("a cookie");
            assert!(session.contains("HttpOnly") && session.contains("SameSite=Strict") && session.contains("Path=/"));
            assert!(verified.json().get("access_token").is_none());
            request
                .header("cookie", session.split(';').next().expect("a pair"))
                .header("x-cabinet", "1")
        };
        for path in [
            "home",
            "profile",
            "balance",
            "transactions",
            "coupons",
            "card",
            "sessions",
        ] {
            let answer = send(signed(cabinet.request(Method::GET, &format!("/api/v1/me/{path}")))).await;
            assert_eq!(answer.status, StatusCode::OK, "{kind} {path} {}", answer.text);
        }
        let sessions = send(signed(cabinet.request(Method::GET, "/api/v1/me/sessions")))
            .await
            .json();
        assert_eq!(sessions["items"][0]["device_name"], "Тест");
        assert_eq!(sessions["items"][0]["current"], true);
        let edit =
            signed(cabinet.request(Method::PATCH, "/api/v1/me/profile")).json(&json!({ "email": "new@example.ru" }));
        assert_eq!(send(edit).await.json()["email"], "new@example.ru");
        let out = send(signed(cabinet.request(Method::POST, "/api/v1/auth/logout"))).await;
        assert_eq!(out.status, StatusCode::NO_CONTENT);
        let after = send(signed(cabinet.request(Method::GET, "/api/v1/me/home"))).await;
        assert_eq!(after.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_cookie_alone_is_not_enough() {
    let store = sqlite();
    let clock = Clock::manual(friday_noon());
    let sandbox = sandbox(&clock).await;
    let more = "[web]\nallowed_origins = [\"https://www.example.ru\"]";
    let cabinet = &replicas(&store, &sandbox, &clock, more).await[0];
    let (id, code) = challenge(cabinet).await;
    let verified = cabinet
        .post(
            &format!("/api/v1/auth/challenges/{id}/verify"),
            &json!({ "code": code, "session": "cookie" }),
        )
        .await;
    let cookie = verified
        .header("set-cookie")
        .expect("a cookie")
        .split(';')
        .next()
        .expect("a pair")
        .to_owned();
    let home = || {
        cabinet
            .request(Method::GET, "/api/v1/me/balance")
            .header("cookie", &cookie)
    };
    let cases = [
        (home(), 403, "csrf_header_missing"),
        (
            home().header("x-cabinet", "1").header("origin", "https://evil.example"),
            403,
            "origin_not_allowed",
        ),
        (
            home().header("x-cabinet", "1").header("sec-fetch-site", "cross-site"),
            403,
            "origin_not_allowed",
        ),
        (
            home().header("x-cabinet", "1").bearer_auth("x"),
            400,
            "ambiguous_credentials",
        ),
    ];
    for (request, status, code) in cases {
        let answer = send(request).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code));
    }
    let allowed = send(
        home()
            .header("x-cabinet", "1")
            .header("origin", "https://www.example.ru"),
    )
    .await;
    assert_eq!(allowed.status, StatusCode::OK, "{}", allowed.text);
    assert_eq!(
        allowed.header("access-control-allow-origin"),
        Some("https://www.example.ru")
    );
    let asked = cabinet
        .request(Method::OPTIONS, "/api/v1/me/balance")
        .header("access-control-request-method", "GET");
    let preflight = send(asked.header("origin", "https://evil.example")).await;
    assert_eq!(preflight.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn by_plain_http_this_machine_is_one_place_under_all_its_names() {
    let store = sqlite();
    let clock = Clock::manual(friday_noon());
    let sandbox = sandbox(&clock).await;
    let more = "public_url = \"http://127.0.0.1:8080\"";
    let cabinet = &replicas(&store, &sandbox, &clock, more).await[0];
    let cases = [
        ("http://127.0.0.1:8080", true),
        ("http://localhost:8080", true),
        ("http://[::1]:8080", true),
        ("http://localhost:8081", false),
        ("https://localhost:8080", false),
        ("http://localhost.example:8080", false),
    ];
    for (origin, is_let_in) in cases {
        let out = cabinet.request(Method::POST, "/api/v1/auth/logout");
        let out = out.header("cookie", "session=none").header("x-cabinet", "1");
        let answer = send(out.header("origin", origin)).await;
        assert_eq!(
            answer.code() != "origin_not_allowed",
            is_let_in,
            "{origin}: {}",
            answer.text
        );
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn nothing_readable_stands_in_the_state_file() {
    let store = sqlite();
    let clock = Clock::manual(friday_noon());
    let sandbox = sandbox(&clock).await;
    let cabinet = &replicas(&store, &sandbox, &clock, "").await[0];
    let (id, code) = challenge(cabinet).await;
    let verified = cabinet
        .post(
            &format!("/api/v1/auth/challenges/{id}/verify"),
            &json!({ "code": code, "session": "bearer", "device_name": "Телефон-Анны" }),
        )
        .await
        .json();
    let token = verified["access_token"].as_str().expect("a token");
    for path in ["home", "profile", "balance", "transactions"] {
        cabinet.get(&format!("/api/v1/me/{path}"), token).await;
    }
    let folder = store.folder.as_ref().expect("a folder").path();
    let secrets = [
        "9160000001".to_owned(),
        code,
        id,
        token.to_owned(),
        verified["refresh_token"].as_str().expect("a token").to_owned(),
        "Смирнова".to_owned(),
        "Телефон-Анны".to_owned(),
        "example.ru".to_owned(),
    ];
    let mut looked = 0;
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("a file");
        looked += bytes.len();
        for secret in &secrets {
            let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!found, "a secret of {} bytes stands in the file", secret.len());
        }
    }
    assert!(looked > 10_000);
}
