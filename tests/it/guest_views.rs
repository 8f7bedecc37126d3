//! Every view is right in every dialect, kept apart from every other guest, and costs nothing when what was asked is wrong.

use std::sync::Arc;
use std::time::Duration;

use guest_cabinet::clock::Clock;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::support::cabinet::send;
use crate::support::house::{cabinet, house};
use crate::support::replicas::{replicas, soon};
use crate::support::{ProBonus, TestCabinet, friday_noon, postgres, sqlite};

const ANNA: &str = "+79160000001";
const NOBODY: &str = "+79160000008";

/// What must not differ between dialects.
fn essence(mut view: Value) -> Value {
    if let Some(members) = view.as_object_mut() {
        members.remove("as_of");
        members.remove("next_cursor");
    }
    view
}

#[tokio::test]
async fn every_dialect_shows_the_same_cabinet() {
    let mut seen: Option<Vec<Value>> = None;
    let cases = [
        (json!({}), ""),
        (json!({ "wrapping": "data", "ids": "text", "dates": "iso" }), ""),
        (
            json!({ "wrapping": "result", "names": "other", "dates": "dotted", "russian_types": true }),
            "",
        ),
        (
            json!({ "wrapping": "array", "sums": "kopecks_text", "unsigned": true }),
            "",
        ),
        (json!({ "sums": "rubles", "post_reads": true }), "rubles-post"),
        (
            json!({ "sums": "rubles_text", "names": "other", "russian_types": true, "unsigned": true }),
            "rubles",
        ),
        (json!({ "token_header": "X-Token" }), "header"),
    ];
    for (dialect, settings) in cases {
        let more = match settings {
            "rubles-post" => {
                "[probonus]\nsums = \"rubles\"\n[probonus.methods]\nfind_by_phone = \"POST\"\ntransactions = \"POST\"\n\
                 get_balance_extended = \"POST\"\nget_by_id = \"POST\"\naccount_groups = \"POST\""
            }
            "rubles" => "[probonus]\nsums = \"rubles\"\nphone_format = \"national\"",
            "header" => "[probonus]\ntoken_header = \"X-Token\"\nphone_format = \"e164\"",
            _ => "",
        };
        let house = house(more).await;
        house.probonus.speak(dialect.clone()).await;
        let token = house.cabinet.token(ANNA).await;
        let mut views = Vec::new();
        for view in ["profile", "balance", "transactions?limit=5", "coupons"] {
            views.push(essence(house.read(&token, view).await));
        }
        let check = views[2]["items"][0]["check_id"].as_str().expect("a check").to_owned();
        views.push(essence(house.read(&token, &format!("checks/{check}")).await));
        assert_eq!(views[0]["first_name"], "Анна");
        assert_eq!(views[0]["gender"], "female");
        assert_eq!(views[0]["birthday"], "1990-04-12");
        assert!(views[1]["available"].as_i64().is_some_and(|sum| sum > 0));
        assert!(
            !views.iter().any(|view| view.to_string().contains("столик")),
            "an upstream field nobody chose"
        );
        match &seen {
            None => seen = Some(views),
            Some(first) => assert_eq!(&views, first, "{dialect}"),
        }
    }
}

#[tokio::test]
async fn a_login_is_renewed_once_for_all_and_a_refused_credential_heals() {
    let clock = Clock::manual(friday_noon());
    let probonus = ProBonus::start(&clock).await;
    let store = sqlite();
    let more = "[probonus]\ntoken = \"\"\nlogin = \"sandbox\"\npassword = \"sandbox\"";
    let cabinet = {
        // The usual settings carry a token; this one logs in.
        Arc::new(TestCabinet::start(&probonus.sandbox.url(), "", &store.url, clock.clone(), more).await)
    };
    let token = cabinet.token(ANNA).await;
    assert_eq!(cabinet.get("/api/v1/me/balance", &token).await.status, StatusCode::OK);
    assert_eq!(probonus.calls("login").await, 1);
    // The tokens end, and their renewal is out of order: the login gives others.
    probonus
        .fault(json!({ "operation": "refresh_token", "kind": "status", "status": 500 }))
        .await;
    clock.advance(Duration::from_mins(10));
    assert_eq!(
        cabinet
            .get("/api/v1/me/balance", &cabinet.token(ANNA).await)
            .await
            .status,
        StatusCode::OK
    );
    assert_eq!(
        (probonus.calls("refresh_token").await, probonus.calls("login").await),
        (1, 2)
    );
    probonus
        .control(Method::PUT, "/credential", json!({ "revoked": true }))
        .await;
    clock.advance(Duration::from_mins(2));
    let token = cabinet.sign_in(ANNA).await["access_token"]
        .as_str()
        .expect("a token")
        .to_owned();
    let stale = cabinet.get("/api/v1/me/balance", &token).await;
    assert_eq!(
        (stale.status, stale.json()["stale"].clone()),
        (StatusCode::OK, json!(true))
    );
    let cold = cabinet.get("/api/v1/me/transactions", &token).await;
    assert_eq!(
        (cold.status.as_u16(), cold.code().as_str()),
        (503, "upstream_unavailable")
    );
    assert!(cold.header("retry-after").is_some());
    probonus.heal().await;
    clock.advance(Duration::from_secs(10));
    let healed = cabinet.get("/api/v1/me/transactions", &token).await;
    assert_eq!(healed.status, StatusCode::OK, "{}", healed.text);
}

#[tokio::test]
async fn absent_in_all_seven_spellings_leads_to_signing_up_once() {
    for absent in [
        "not_found",
        "no_content",
        "empty",
        "null",
        "object",
        "array",
        "data_null",
    ] {
        let house = house("").await;
        house.probonus.speak(json!({ "absent": absent })).await;
        let verified = house.cabinet.sign_in(NOBODY).await;
        assert_eq!(verified["account_state"], "absent", "{absent}");
        let token = verified["access_token"].as_str().expect("a token").to_owned();
        for view in [
            "home",
            "profile",
            "balance",
            "transactions",
            "coupons",
            "card",
            "checks/1",
        ] {
            let answer = house.cabinet.get(&format!("/api/v1/me/{view}"), &token).await;
            assert_eq!(
                (answer.status.as_u16(), answer.code().as_str()),
                (409, "account_absent"),
                "{absent} {view}"
            );
        }
        let barrier = Arc::new(Barrier::new(8));
        let body = json!({ "first_name": "Иван", "last_name": "Тестов", "birthday": "1999-01-02", "consents": [] });
        let racers = (0..8).map(|_| {
            let (barrier, cabinet, token, body) = (barrier.clone(), house.cabinet.clone(), token.clone(), body.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                let request = cabinet
                    .request(Method::POST, "/api/v1/me/registration")
                    .bearer_auth(token);
                send(request.json(&body)).await
            })
        });
        let mut created = 0;
        for racer in racers.collect::<Vec<_>>() {
            let answer = racer.await.expect("a racer ends");
            match answer.status.as_u16() {
                201 => created += 1,
                409 => match answer.code().as_str() {
                    "account_exists" => {}
                    "operation_in_progress" => assert!(answer.header("retry-after").is_some()),
                    code => panic!("{code}"),
                },
                _ => panic!("{}", answer.text),
            }
        }
        assert_eq!(created, 1, "{absent}");
        assert_eq!(house.probonus.calls("insert_by_template").await, 1);
        assert_eq!(house.read(&token, "profile").await["first_name"], "Иван");
        assert_eq!(
            house.read(&token, "balance").await["available"],
            30_000,
            "welcome bonuses"
        );
    }
}

#[tokio::test]
async fn nonsense_is_502_and_never_an_empty_balance() {
    for kind in ["garbage", "html", "truncated", "oversized"] {
        let house = house("").await;
        let token = house.cabinet.token(ANNA).await;
        house
            .probonus
            .fault(json!({ "operation": "get_balance_extended", "kind": kind }))
            .await;
        let answer = house.cabinet.get("/api/v1/me/balance", &token).await;
        // What breaks off was not given; the rest was, and makes no sense.
        let expected = if kind == "truncated" {
            (503, "upstream_unavailable")
        } else {
            (502, "upstream_invalid")
        };
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            expected,
            "{kind} {}",
            answer.text
        );
        let home = house.read(&token, "home").await;
        assert_eq!(home["balance"], Value::Null);
        assert_eq!(home["unavailable"], json!(["balance"]));
        house.probonus.heal().await;
        house.clock.advance(Duration::from_secs(5));
        assert!(
            house.read(&token, "balance").await["available"]
                .as_i64()
                .is_some_and(|sum| sum > 0)
        );
    }
}

#[tokio::test]
async fn nonsense_stays_502_while_probonus_is_left_alone_for_it() {
    let house = house("").await;
    let token = house.cabinet.token(ANNA).await;
    house
        .probonus
        .fault(json!({ "operation": "get_balance_extended", "kind": "html" }))
        .await;
    house.probonus.forget().await;
    for _ in 0..40 {
        let answer = house.cabinet.get("/api/v1/me/balance", &token).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (502, "upstream_invalid")
        );
    }
    assert!(
        house.probonus.calls("get_balance_extended").await < 40,
        "the breaker opens all the same"
    );
}

#[tokio::test]
async fn another_guests_check_is_byte_for_byte_like_one_that_does_not_exist() {
    let house = house("").await;
    let anna = house.cabinet.token(ANNA).await;
    let vera = house.cabinet.token("+79160000003").await;
    let hers = house.read(&vera, "transactions?limit=1").await;
    let hers = hers["items"][0]["check_id"].as_str().expect("a check").to_owned();
    let ask = async |id: &str| {
        let request = house.cabinet.request(Method::GET, &format!("/api/v1/me/checks/{id}"));
        send(request.bearer_auth(&anna).header("x-request-id", "same")).await
    };
    let foreign = ask(&hers).await;
    let missing = ask("999999999").await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    assert_eq!(foreign.text, missing.text);
    let heads = |answer: &crate::support::Answer| {
        let mut heads: Vec<String> = answer
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value:?}"))
            .collect();
        heads.retain(|head| !head.starts_with("date"));
        heads
    };
    assert_eq!(heads(&foreign), heads(&missing));
    for other_spelling in [format!("0{hers}"), format!("{hers}.0")] {
        let answer = ask(&other_spelling).await;
        assert_eq!(
            (answer.status, &answer.text),
            (missing.status, &missing.text),
            "{other_spelling}"
        );
    }
    house.probonus.forget().await;
    for hostile in [
        "..%2f..%2fetc",
        "%00",
        "1%20OR%201=1",
        "a%2Fb",
        "ü",
        &"9".repeat(100),
        "%7B%22%24ne%22%3A1%7D",
    ] {
        let answer = ask(hostile).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{hostile}");
    }
    assert_eq!(house.probonus.calls("*").await, 0, "hostile ids never leave");
}

#[tokio::test]
async fn hostile_queries_and_patches_get_field_and_code_and_cost_nothing_upstream() {
    let house = house("").await;
    let token = house.cabinet.token(ANNA).await;
    house.read(&token, "transactions").await;
    house.probonus.forget().await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("from=2026-02-30", "from"),
        ("from=20260101", "from"),
        ("from=2026-02-02&to=2026-01-01", "to"),
        ("kind=theft", "kind"),
        ("cursor=AAAA", "cursor"),
        ("cursor=%27%3B--", "cursor"),
        ("account_id=5", "account_id"),
    ] {
        let answer = house
            .cabinet
            .get(&format!("/api/v1/me/transactions?{query}"), &token)
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (422, "validation_failed"),
            "{query}"
        );
        assert_eq!(answer.json()["errors"][0]["field"], field, "{query}");
    }
    for view in [
        "home", "profile", "balance", "checks/1", "coupons", "card", "card.svg", "sessions",
    ] {
        let answer = house.cabinet.get(&format!("/api/v1/me/{view}?foo=1"), &token).await;
        let told = (
            answer.status.as_u16(),
            answer.code(),
            answer.json()["errors"][0]["field"].clone(),
        );
        assert_eq!(told, (422, "validation_failed".into(), json!("foo")), "{view}");
    }
    for (patch, field) in [
        (json!({ "phone": "+79160000009" }), "phone"),
        (json!({ "balance": 5 }), "balance"),
        (json!({ "first_name": null }), "first_name"),
        (json!({ "first_name": "x".repeat(101) }), "first_name"),
        (json!({ "birthday": "3000-01-01" }), "birthday"),
        (json!({ "gender": "cat" }), "gender"),
        (json!({ "email": "no" }), "email"),
    ] {
        let request = house
            .cabinet
            .request(Method::PATCH, "/api/v1/me/profile")
            .bearer_auth(&token);
        let answer = send(request.json(&patch)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (422, "validation_failed"),
            "{patch}"
        );
        assert_eq!(answer.json()["errors"][0]["field"], field);
    }
    assert_eq!(house.probonus.calls("*").await, 0);
}

#[tokio::test]
async fn an_edit_is_shown_by_the_next_read_and_respects_the_version() {
    let house = house("").await;
    let token = house.cabinet.token(ANNA).await;
    let before = house.cabinet.get("/api/v1/me/profile", &token).await;
    let etag = before.header("etag").expect("a tag").to_owned();
    let patch = |body: Value| {
        let request = house
            .cabinet
            .request(Method::PATCH, "/api/v1/me/profile")
            .bearer_auth(&token);
        request
            .body(body.to_string())
            .header("content-type", "application/merge-patch+json")
    };
    let stale = send(patch(json!({ "email": "a@example.ru" })).header("if-match", "\"other\"")).await;
    assert_eq!(
        (stale.status.as_u16(), stale.code().as_str()),
        (412, "version_mismatch")
    );
    assert_eq!(house.probonus.calls("update").await, 0);
    let done = send(patch(json!({ "email": "a@example.ru", "middle_name": null })).header("if-match", &etag)).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text);
    let after = house.read(&token, "profile").await;
    assert_eq!(
        (after["email"].as_str(), after["middle_name"].as_str()),
        (Some("a@example.ru"), None)
    );
    let again = send(patch(json!({ "email": "b@example.ru" })).header("if-match", &etag)).await;
    assert_eq!(again.status, StatusCode::PRECONDITION_FAILED);
    let blocked = house.cabinet.token("+79160000004").await;
    let request = house
        .cabinet
        .request(Method::PATCH, "/api/v1/me/profile")
        .bearer_auth(&blocked);
    let refused = send(request.json(&json!({ "email": "c@example.ru" }))).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (403, "account_blocked")
    );
    assert_eq!(house.read(&blocked, "profile").await["blocked"], true);
}

#[tokio::test]
async fn a_tag_that_a_proxy_weakened_is_still_the_version_that_was_edited() {
    let house = house("").await;
    let token = house.cabinet.token(ANNA).await;
    let mut name = "Анна";
    for shape in ["W/T", "T", "\"other\", W/T", "W/\"other\" ,T", "G", "*", "\"other\", *"] {
        let seen = house.cabinet.get("/api/v1/me/profile", &token).await;
        let tag = seen.header("etag").expect("a tag");
        let compressed = format!("{}-gzip\"", tag.trim_end_matches('"'));
        let given = shape.replace('T', tag).replace('G', &compressed);
        let conditional = house
            .cabinet
            .request(Method::GET, "/api/v1/me/profile")
            .bearer_auth(&token);
        let unchanged = send(conditional.header("if-none-match", &given)).await;
        assert_eq!(unchanged.status, StatusCode::NOT_MODIFIED, "{given}");
        let edit = house
            .cabinet
            .request(Method::PATCH, "/api/v1/me/profile")
            .bearer_auth(&token);
        name = if name == "Анна" { "Инна" } else { "Анна" };
        let edited = send(edit.header("if-match", &given).json(&json!({ "first_name": name }))).await;
        assert_eq!(edited.status, StatusCode::OK, "{given}: {}", edited.text);
        let edit = house
            .cabinet
            .request(Method::PATCH, "/api/v1/me/profile")
            .bearer_auth(&token);
        let given = given.replace('*', "W/\"other\"");
        let refused = send(edit.header("if-match", &given).json(&json!({ "first_name": "Яна" }))).await;
        assert_eq!(refused.code(), "version_mismatch", "{given}");
    }
}

#[tokio::test]
async fn pages_stay_stable_while_new_movements_arrive() {
    let house = house("[cache]\ntransactions_fresh_ms = 0").await;
    let token = house.cabinet.token(ANNA).await;
    let mut ids = Vec::new();
    let mut cursor = String::new();
    let known = house.read(&token, "transactions?limit=100").await["items"]
        .as_array()
        .expect("items")
        .len();
    loop {
        let page = house.read(&token, &format!("transactions?limit=3{cursor}")).await;
        for item in page["items"].as_array().expect("items") {
            ids.push(item["id"].as_str().expect("an id").to_owned());
        }
        let till = json!({ "phone": ANNA, "sum": 100_000 });
        house.probonus.control(Method::POST, "/till/purchase", till).await;
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let mut unique = ids.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(
        (ids.len(), unique.len()),
        (known, known),
        "nothing twice, nothing missing"
    );
    let other = house.cabinet.token("+79160000003").await;
    let page = house.read(&token, "transactions?limit=3").await;
    let cursor = page["next_cursor"].as_str().expect("more");
    let stolen = house
        .cabinet
        .get(&format!("/api/v1/me/transactions?cursor={cursor}"), &other)
        .await;
    assert_eq!(
        stolen.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "a cursor is its guest's own"
    );
}

#[tokio::test]
async fn after_a_write_no_replica_shows_the_older_view() {
    let Some(store) = postgres().await else { return };
    let clock = Clock::manual(friday_noon());
    let probonus = ProBonus::start(&clock).await;
    let replicas = replicas(&store, &probonus.sandbox, &clock, "").await;
    let (one, two) = (&replicas[0], &replicas[1]);
    let token = one.token(ANNA).await;
    for round in 0..10 {
        assert_eq!(two.get("/api/v1/me/profile", &token).await.status, StatusCode::OK);
        let email = format!("round{round}@example.ru");
        let request = one.request(Method::PATCH, "/api/v1/me/profile").bearer_auth(&token);
        assert_eq!(
            send(request.json(&json!({ "email": email }))).await.status,
            StatusCode::OK
        );
        soon(two, &token, "/api/v1/me/profile", |seen| {
            seen.json()["email"] == email.as_str()
        })
        .await;
    }
    // What one replica learned the other does not ask for again.
    clock.advance(Duration::from_secs(1));
    one.get("/api/v1/me/balance", &token).await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(2);
    loop {
        probonus.forget().await;
        let three = cabinet(&probonus, &store, &clock, "").await;
        assert_eq!(three.get("/api/v1/me/balance", &token).await.status, StatusCode::OK);
        if probonus.calls("get_balance_extended").await == 0 {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "a kept view is used");
    }
}
