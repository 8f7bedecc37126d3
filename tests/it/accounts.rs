//! A session shows the account that it was opened under and no other: numbers that change hands cost one new code and show nobody else's data.

use std::sync::Arc;
use std::time::Duration;

use guest_cabinet::clock::Clock;
use guest_cabinet::keys::{hex, sha256};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::cabinet::send;
use crate::support::house::{cabinet, house};
use crate::support::replicas::{eventually_401, replicas};
use crate::support::{Answer, ProBonus, TestCabinet, each_engine, friday_noon, sqlite};

const ANNA: &str = "+79160000001";
const VERA: &str = "+79160000003";
const NOBODY: &str = "+79160000008";
const OTHER: &str = "+79160000031";

const KEY: &str = "a partner's key for the tests of accounts";

/// Everything is fresh for a second.
const FRESH: &str =
    "[cache]\nprofile_fresh_ms = 1000\nbalance_fresh_ms = 1000\ntransactions_fresh_ms = 1000\n[auth]\nresend_ms = 1";

const VIEWS: [&str; 6] = ["profile", "balance", "transactions", "coupons", "card", "home"];

/// Anna's account gets another number, and hers leads to Vera's account.
async fn number_changes_hands(probonus: &ProBonus) {
    phones(probonus, "move", json!({ "phone": ANNA, "to": OTHER })).await;
    phones(probonus, "move", json!({ "phone": VERA, "to": ANNA })).await;
}

async fn phones(probonus: &ProBonus, what: &str, order: Value) {
    probonus.control(Method::POST, &format!("/phones/{what}"), order).await;
}

fn outcome(answer: &Answer) -> (u16, String) {
    let code = answer.json()["code"].as_str().unwrap_or_default().to_owned();
    (answer.status.as_u16(), code)
}

async fn read(cabinet: &TestCabinet, token: &str, view: &str) -> Answer {
    cabinet.get(&format!("/api/v1/me/{view}"), token).await
}

async fn edit(cabinet: &TestCabinet, token: &str, body: Value) -> Answer {
    let request = cabinet.request(Method::PATCH, "/api/v1/me/profile");
    send(request.bearer_auth(token).json(&body)).await
}

async fn sign_up(cabinet: &TestCabinet, token: &str) -> Answer {
    let request = cabinet.request(Method::POST, "/api/v1/me/registration");
    let body = json!({ "first_name": "Иван", "last_name": "Тестов", "consents": [] });
    send(request.bearer_auth(token).json(&body)).await
}

/// The till makes an account for a number.
async fn made_at_the_till(probonus: &ProBonus, phone: &str) {
    let url = format!("{}/api/v0/accounts/insert_by_template", probonus.sandbox.url());
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let account = json!({ "accountGroupId": 3, "phone": phone, "firstName": "Иван" });
    let request = http.post(url).bearer_auth(probonus.sandbox.token()).json(&account);
    assert_eq!(request.send().await.expect("an answer").status(), StatusCode::OK);
}

fn partners() -> String {
    let key = hex(&sha256(KEY.as_bytes()));
    format!("{FRESH}\n[partners.delivery]\nkey_sha256 = \"{key}\"\nscopes = [\"refills\"]\nmax_refill = 500000")
}

async fn refill(cabinet: &TestCabinet, whose: Value, number: u32) -> Answer {
    let mut body = json!({ "amount": 700 });
    for (name, value) in whose.as_object().expect("an object") {
        body[name] = value.clone();
    }
    let request = cabinet.request(Method::POST, "/partner/v1/refills").bearer_auth(KEY);
    send(
        request
            .header("idempotency-key", format!("refill {number}"))
            .json(&body),
    )
    .await
}

/// The name in the profile.
async fn name(cabinet: &TestCabinet, token: &str) -> String {
    let profile = read(cabinet, token, "profile").await;
    profile.json()["first_name"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn another_account_behind_the_phone_ends_the_session_whatever_is_read() {
    let mut views: Vec<String> = VIEWS.map(str::to_owned).to_vec();
    views.extend(["card.svg".into(), "events".into(), "checks/hers".into()]);
    for view in views {
        let house = house(FRESH).await;
        let token = house.cabinet.token(ANNA).await;
        for view in VIEWS {
            house.read(&token, view).await;
        }
        let history = house.read(&token, "transactions").await;
        let check = history["items"][0]["check_id"].as_str().expect("a check").to_owned();
        house.read(&token, &format!("checks/{check}")).await;
        number_changes_hands(&house.probonus).await;
        house.clock.advance(Duration::from_secs(5));
        let view = view.replace("hers", &check);
        let answer = read(&house.cabinet, &token, &view).await;
        assert_eq!(outcome(&answer), (401, "session_expired".into()), "{view}");
        assert!(answer.header("www-authenticate").is_some());
        for view in VIEWS {
            assert_eq!(
                read(&house.cabinet, &token, view).await.status,
                StatusCode::UNAUTHORIZED,
                "{view}"
            );
        }
        let owner = house.cabinet.token(ANNA).await;
        assert_eq!(name(&house.cabinet, &owner).await, "Вера");
        let foreign = read(&house.cabinet, &owner, &format!("checks/{check}")).await;
        assert_eq!(outcome(&foreign), (404, "not_found".into()), "the former owner's check");
    }
}

#[tokio::test]
async fn within_the_freshness_of_the_profile_the_account_is_looked_up_by_whatever_is_read() {
    let house = house(FRESH).await;
    let token = house.cabinet.token(ANNA).await;
    house.read(&token, "balance").await;
    number_changes_hands(&house.probonus).await;
    house.clock.advance(Duration::from_millis(1100));
    // Shown once more while one look-up runs in the background, as every view is.
    read(&house.cabinet, &token, "balance").await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while read(&house.cabinet, &token, "balance").await.status == StatusCode::OK {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the former account is shown on and on"
        );
    }
    let answer = read(&house.cabinet, &token, "balance").await;
    assert_eq!(outcome(&answer), (401, "session_expired".into()));
}

#[tokio::test]
async fn a_write_looks_first_whose_account_it_is() {
    let house = house("").await;
    let token = house.cabinet.token(ANNA).await;
    house.read(&token, "profile").await;
    number_changes_hands(&house.probonus).await;
    let edited = edit(&house.cabinet, &token, json!({ "email": "a@example.ru" })).await;
    assert_eq!(outcome(&edited), (401, "session_expired".into()));
    assert_eq!(house.probonus.calls("update").await, 0);

    let token = house.cabinet.token("+79160000002").await;
    phones(&house.probonus, "move", json!({ "phone": "+79160000002" })).await;
    let signed_up = sign_up(&house.cabinet, &token).await;
    assert_eq!(
        outcome(&signed_up),
        (401, "session_expired".into()),
        "the number may be somebody else's"
    );
    assert_eq!(house.probonus.calls("insert_by_template").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_new_owner_signs_in_and_the_former_ones_sessions_and_streams_end_on_every_replica() {
    for store in each_engine().await {
        let clock = Clock::system();
        let probonus = ProBonus::start(&clock).await;
        let replicas = replicas(&store, &probonus.sandbox, &clock, "[auth]\nresend_ms = 1").await;
        let (first, last) = (&replicas[0], replicas.last().expect("a replica"));
        let tokens = [first.token(ANNA).await, last.token(ANNA).await];
        for replica in &replicas {
            for token in &tokens {
                assert_eq!(read(replica, token, "balance").await.status, StatusCode::OK);
            }
        }
        let events = last.request(Method::GET, "/api/v1/me/events").bearer_auth(&tokens[0]);
        let mut stream = events.send().await.expect("a stream");
        stream.chunk().await.expect("a stream").expect("the balance");
        number_changes_hands(&probonus).await;
        let owner = first.token(ANNA).await;
        for replica in &replicas {
            for token in &tokens {
                assert_eq!(
                    eventually_401(replica, token).await.code(),
                    "session_expired",
                    "{}",
                    store.engine
                );
            }
            assert_eq!(name(replica, &owner).await, "Вера", "{}", store.engine);
        }
        let rest = async { while let Ok(Some(_)) = stream.chunk().await {} };
        tokio::time::timeout(Duration::from_secs(5), rest)
            .await
            .expect("the stream ends");
    }
}

#[tokio::test]
async fn who_watches_is_told_nothing_of_the_account_that_was_watched_before() {
    let house = house("[auth]\nresend_ms = 1").await;
    let token = house.cabinet.token(ANNA).await;
    let open = async |token: &str| {
        let request = house.cabinet.request(Method::GET, "/api/v1/me/events");
        request.bearer_auth(token).send().await.expect("a stream")
    };
    let first = async |stream: &mut reqwest::Response| {
        let chunk = stream.chunk().await.expect("a stream").expect("the balance");
        String::from_utf8(chunk.to_vec()).expect("text")
    };
    let mut former = open(&token).await;
    let hers = first(&mut former).await;
    number_changes_hands(&house.probonus).await;
    house.clock.advance(Duration::from_secs(1));
    let owner = house.cabinet.token(ANNA).await;
    let balance = house.read(&owner, "balance").await["available"].to_string();
    let mut stream = open(&owner).await;
    let told = first(&mut stream).await;
    assert!(told.contains(&balance) && told != hers, "{told}");
}

#[tokio::test]
async fn neither_nonsense_nor_an_outage_ends_a_session() {
    for kind in ["html", "garbage", "truncated", "oversized", "status", "reset_before"] {
        let house = house(FRESH).await;
        let token = house.cabinet.token(ANNA).await;
        for view in VIEWS {
            house.read(&token, view).await;
        }
        house.probonus.fault(json!({ "kind": kind, "status": 500 })).await;
        for _ in 0..3 {
            house.clock.advance(Duration::from_secs(20));
            for view in VIEWS {
                assert_eq!(
                    read(&house.cabinet, &token, view).await.status,
                    StatusCode::OK,
                    "{kind} {view}"
                );
            }
        }
        house.probonus.heal().await;
        for _ in 0..2 {
            house.clock.advance(Duration::from_mins(1));
            house.read(&token, "balance").await;
        }
        assert_eq!(house.read(&token, "balance").await["stale"], false, "{kind}");
    }
}

#[tokio::test]
async fn a_balance_is_stale_while_nobody_says_whose_it_is() {
    let house = house(FRESH).await;
    let token = house.cabinet.token(ANNA).await;
    house.read(&token, "balance").await;
    let fault = json!({ "operation": "find_by_phone", "kind": "status", "status": 500 });
    house.probonus.fault(fault).await;
    house.clock.advance(Duration::from_secs(10));
    assert_eq!(house.read(&token, "balance").await["stale"], true);
    house.probonus.heal().await;
    house.clock.advance(Duration::from_mins(1));
    assert_eq!(house.read(&token, "balance").await["stale"], false);
}

#[tokio::test]
async fn what_was_kept_of_an_account_that_is_gone_is_shown_to_nobody_after_a_restart() {
    let clock = Clock::manual(friday_noon());
    let probonus = ProBonus::start(&clock).await;
    let store = sqlite();
    let first = cabinet(&probonus, &store, &clock, FRESH).await;
    let token = first.token(ANNA).await;
    for view in VIEWS {
        assert_eq!(read(&first, &token, view).await.status, StatusCode::OK);
    }
    phones(&probonus, "move", json!({ "phone": ANNA })).await;
    clock.advance(Duration::from_secs(5));
    for view in VIEWS {
        let answer = read(&first, &token, view).await;
        assert_eq!(outcome(&answer), (409, "account_absent".into()), "{view}");
    }
    let owner = first.token(ANNA).await;
    stop(first).await;
    probonus.fault(json!({ "kind": "status", "status": 500 })).await;
    let second = cabinet(&probonus, &store, &clock, FRESH).await;
    clock.advance(Duration::from_secs(2));
    let verified = second.sign_in(ANNA).await;
    assert_eq!(verified["account_state"], "unresolved");
    let newcomer = verified["access_token"].as_str().expect("a token").to_owned();
    for token in [&token, &owner, &newcomer] {
        for view in VIEWS {
            let answer = read(&second, token, view).await;
            assert_eq!(outcome(&answer), (503, "upstream_unavailable".into()), "{view}");
        }
    }
}

async fn stop(cabinet: Arc<TestCabinet>) {
    let cabinet = Arc::into_inner(cabinet).expect("nobody else holds it");
    cabinet.running.stop().await;
}

#[tokio::test]
async fn an_account_that_stays_gone_ends_the_session() {
    let house = house(FRESH).await;
    let token = house.cabinet.token(ANNA).await;
    house.read(&token, "balance").await;
    phones(&house.probonus, "move", json!({ "phone": ANNA })).await;
    house.clock.advance(Duration::from_secs(5));
    let absent = read(&house.cabinet, &token, "balance").await;
    assert_eq!(outcome(&absent), (409, "account_absent".into()));
    // A table that is being restored is empty for a moment: that ends nothing.
    house.clock.advance(Duration::from_secs(5));
    read(&house.cabinet, &token, "balance").await;
    phones(&house.probonus, "share", json!({ "phone": ANNA, "leads_to": VERA })).await;
    house.clock.advance(Duration::from_secs(16));
    let moved = read(&house.cabinet, &token, "balance").await;
    assert_eq!(
        outcome(&moved),
        (401, "session_expired".into()),
        "it is another account now"
    );

    let token = house.cabinet.token("+79160000002").await;
    house.read(&token, "balance").await;
    phones(&house.probonus, "move", json!({ "phone": "+79160000002" })).await;
    house.clock.advance(Duration::from_secs(5));
    read(&house.cabinet, &token, "balance").await;
    house.clock.advance(Duration::from_secs(16));
    let gone = read(&house.cabinet, &token, "balance").await;
    assert_eq!(outcome(&gone), (401, "session_expired".into()));
}

#[tokio::test]
async fn an_account_that_comes_back_in_a_moment_ends_nothing() {
    let house = house(FRESH).await;
    let token = house.cabinet.token(ANNA).await;
    house.read(&token, "balance").await;
    let fault = json!({ "operation": "find_by_phone", "kind": "status", "status": 404 });
    house.probonus.fault(fault).await;
    house.clock.advance(Duration::from_secs(5));
    for _ in 0..3 {
        let absent = read(&house.cabinet, &token, "balance").await;
        assert_eq!(outcome(&absent), (409, "account_absent".into()));
    }
    house.probonus.heal().await;
    house.clock.advance(Duration::from_secs(16));
    assert_eq!(house.read(&token, "balance").await["stale"], false);
}

#[tokio::test]
async fn an_account_is_not_gone_while_nothing_else_answers_there() {
    let house = house(FRESH).await;
    let token = house.cabinet.token(ANNA).await;
    house.read(&token, "balance").await;
    for operation in ["find_by_phone", "account_groups"] {
        let fault = json!({ "operation": operation, "kind": "status", "status": 404 });
        house.probonus.fault(fault).await;
    }
    for _ in 0..3 {
        house.clock.advance(Duration::from_secs(20));
        assert_eq!(house.read(&token, "balance").await["stale"], true);
    }
    let newcomer = house.cabinet.token(NOBODY).await;
    assert_ne!(sign_up(&house.cabinet, &newcomer).await.status, StatusCode::CREATED);
    assert_eq!(house.probonus.calls("insert_by_template").await, 0);
}

#[tokio::test]
async fn who_signs_in_while_probonus_is_silent_sees_what_was_last_known_and_is_bound_to_it() {
    let clock = Clock::manual(friday_noon());
    let probonus = ProBonus::start(&clock).await;
    let store = sqlite();
    let first = cabinet(&probonus, &store, &clock, FRESH).await;
    let token = first.token(ANNA).await;
    for view in VIEWS {
        assert_eq!(read(&first, &token, view).await.status, StatusCode::OK);
    }
    stop(first).await;
    probonus.fault(json!({ "kind": "status", "status": 500 })).await;
    let second = cabinet(&probonus, &store, &clock, FRESH).await;
    clock.advance(Duration::from_secs(5));
    let verified = second.sign_in(ANNA).await;
    assert_eq!(verified["account_state"], "unresolved");
    let token = verified["access_token"].as_str().expect("a token").to_owned();
    for view in VIEWS {
        let shown = read(&second, &token, view).await;
        assert_eq!(shown.status, StatusCode::OK, "{view}");
    }
    probonus.heal().await;
    clock.advance(Duration::from_mins(1));
    assert_eq!(read(&second, &token, "balance").await.json()["stale"], false);
    number_changes_hands(&probonus).await;
    clock.advance(Duration::from_secs(5));
    let answer = read(&second, &token, "balance").await;
    assert_eq!(outcome(&answer), (401, "session_expired".into()));
}

#[tokio::test]
async fn a_session_of_the_version_before_is_bound_at_first_sight() {
    let clock = Clock::manual(friday_noon());
    let probonus = ProBonus::start(&clock).await;
    for store in each_engine().await {
        let first = cabinet(&probonus, &store, &clock, FRESH).await;
        let token = first.token(ANNA).await;
        let nobody = first.token(NOBODY).await;
        stop(first).await;
        store.execute("UPDATE sessions SET account = NULL").await;
        let second = cabinet(&probonus, &store, &clock, FRESH).await;
        assert_eq!(
            read(&second, &token, "balance").await.status,
            StatusCode::OK,
            "{}",
            store.engine
        );
        let absent = read(&second, &nobody, "balance").await;
        assert_eq!(outcome(&absent), (409, "account_absent".into()));
        number_changes_hands(&probonus).await;
        made_at_the_till(&probonus, NOBODY).await;
        clock.advance(Duration::from_secs(20));
        for token in [&token, &nobody] {
            let answer = read(&second, token, "balance").await;
            assert_eq!(outcome(&answer), (401, "session_expired".into()), "{}", store.engine);
        }
        probonus.control(Method::POST, "/reset", json!({})).await;
    }
}

#[tokio::test]
async fn an_account_of_another_number_is_nonsense() {
    let house = house(&partners()).await;
    let cold = house.cabinet.token("+79160000002").await;
    let warm = house.cabinet.token(ANNA).await;
    for view in VIEWS {
        house.read(&warm, view).await;
    }
    for phone in [ANNA, "+79160000002"] {
        phones(&house.probonus, "mix-up", json!({ "phone": phone, "leads_to": VERA })).await;
    }
    house.clock.advance(Duration::from_secs(10));
    for view in VIEWS {
        let shown = read(&house.cabinet, &warm, view).await;
        assert_eq!(shown.status, StatusCode::OK, "{view} {}", shown.text);
        assert!(!shown.text.contains("Вера"), "{view}");
        assert!(!read(&house.cabinet, &cold, view).await.text.contains("Вера"), "{view}");
    }
    assert_eq!(house.read(&warm, "profile").await["stale"], true);
    let edited = edit(&house.cabinet, &warm, json!({ "email": "a@example.ru" })).await;
    assert_eq!(outcome(&edited), (502, "upstream_invalid".into()));
    let booked = refill(&house.cabinet, json!({ "phone": ANNA }), 1).await;
    assert_eq!(outcome(&booked), (502, "upstream_invalid".into()));
    for operation in ["update", "refill"] {
        assert_eq!(house.probonus.calls(operation).await, 0, "{operation}");
    }
    phones(&house.probonus, "mix-up", json!({ "phone": NOBODY, "leads_to": VERA })).await;
    let verified = house.cabinet.sign_in(NOBODY).await;
    assert_eq!(verified["account_state"], "unresolved");
    let newcomer = verified["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(
        outcome(&read(&house.cabinet, &newcomer, "profile").await),
        (502, "upstream_invalid".into())
    );
    assert_eq!(
        outcome(&sign_up(&house.cabinet, &newcomer).await),
        (502, "upstream_invalid".into())
    );
    house
        .probonus
        .control(Method::DELETE, "/phones/mix-up", json!({}))
        .await;
    house.clock.advance(Duration::from_secs(30));
    assert_eq!(
        house.read(&warm, "profile").await["stale"],
        false,
        "nonsense ends nobody's session"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_family_that_shares_an_account_sees_each_others_writes_at_once() {
    for store in each_engine().await {
        let clock = Clock::manual(friday_noon());
        let probonus = ProBonus::start(&clock).await;
        phones(&probonus, "share", json!({ "phone": OTHER, "leads_to": ANNA })).await;
        let replicas = replicas(&store, &probonus.sandbox, &clock, &partners()).await;
        let (first, last) = (&replicas[0], replicas.last().expect("a replica"));
        let [hers, his] = [first.token(ANNA).await, last.token(OTHER).await];
        for replica in &replicas {
            for token in [&hers, &his] {
                assert_eq!(name(replica, token).await, "Анна");
                read(replica, token, "balance").await;
            }
        }
        assert_eq!(
            edit(first, &hers, json!({ "first_name": "Инна" })).await.status,
            StatusCode::OK
        );
        for replica in &replicas {
            for token in [&hers, &his] {
                assert_eq!(name(replica, token).await, "Инна", "{}", store.engine);
            }
        }
        let before = read(last, &his, "balance").await.json()["available"]
            .as_i64()
            .expect("a sum");
        let account = account_of(&probonus, ANNA).await.to_string();
        let booked = [
            refill(first, json!({ "account_id": account }), 1).await,
            refill(first, json!({ "phone": ANNA }), 2).await,
            refill(first, json!({ "phone": OTHER }), 3).await,
        ];
        for answer in &booked {
            assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        }
        for replica in &replicas {
            for token in [&hers, &his] {
                let now = read(replica, token, "balance").await.json()["available"].as_i64();
                assert_eq!(now, Some(before + 3 * 700), "{}", store.engine);
            }
        }
    }
}

async fn account_of(probonus: &ProBonus, phone: &str) -> Value {
    let guests = probonus.control(Method::GET, "/guests", json!({})).await;
    let guests = guests["guests"].as_array().expect("a list").clone();
    let guest = guests.into_iter().find(|guest| guest["phone"] == phone);
    guest.expect("a known guest")["account_id"].clone()
}
