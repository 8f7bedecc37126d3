//! What guests write is made once and shown at once, whatever ProBonus says of it.

use std::sync::Arc;
use std::time::Duration;

use guest_cabinet::clock::Clock;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::cabinet::send;
use crate::support::{Answer, ProBonus, TestCabinet, TestStore, friday_noon, sqlite};

const ANNA: &str = "+79160000001";
const NOBODY: &str = "+79160000008";

struct House {
    probonus: ProBonus,
    cabinet: Arc<TestCabinet>,
    clock: Clock,
    _store: TestStore,
}

async fn house() -> House {
    let clock = Clock::manual(friday_noon());
    let probonus = ProBonus::start(&clock).await;
    let store = sqlite();
    let (url, token) = (probonus.sandbox.url(), probonus.sandbox.token().to_owned());
    let cabinet = TestCabinet::start(&url, &token, &store.url, clock.clone(), "").await;
    House {
        probonus,
        cabinet: Arc::new(cabinet),
        clock,
        _store: store,
    }
}

impl House {
    async fn sign_up(&self, token: &str) -> Answer {
        let request = self.cabinet.request(Method::POST, "/api/v1/me/registration");
        let body = json!({ "first_name": "Иван", "last_name": "Тестов", "consents": [] });
        send(request.bearer_auth(token).json(&body)).await
    }

    async fn fails(&self, operation: &str, kind: &str, status: u16) {
        let fault = json!({ "operation": operation, "kind": kind, "status": status });
        self.probonus.fault(fault).await;
    }

    async fn insertions(&self) -> u64 {
        self.probonus.calls("insert_by_template").await
    }
}

fn outcome(answer: &Answer) -> (u16, String) {
    let code = answer.json()["code"].as_str().unwrap_or_default().to_owned();
    (answer.status.as_u16(), code)
}

#[tokio::test]
async fn an_account_that_probonus_made_and_does_not_show_yet_is_there() {
    let house = house().await;
    let token = house.cabinet.token(NOBODY).await;
    house.fails("find_by_phone", "status", 404).await;
    let made = house.sign_up(&token).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let profile = house.cabinet.get("/api/v1/me/profile", &token).await;
    assert_eq!(
        (profile.status, profile.json()["first_name"].clone()),
        (StatusCode::OK, json!("Иван"))
    );
    assert_eq!(outcome(&house.sign_up(&token).await), (409, "account_exists".into()));
    assert_eq!(house.insertions().await, 1);
}

#[tokio::test]
async fn a_sign_up_that_was_turned_away_or_refused_may_be_repeated_at_once() {
    for (status, told) in [(429, (503, "upstream_unavailable")), (400, (422, "validation_failed"))] {
        let house = house().await;
        let token = house.cabinet.token(NOBODY).await;
        house.fails("insert_by_template", "status", status).await;
        assert_eq!(outcome(&house.sign_up(&token).await), (told.0, told.1.into()));
        house.probonus.heal().await;
        house.clock.advance(Duration::from_secs(5));
        assert_eq!(house.sign_up(&token).await.status, StatusCode::CREATED, "{status}");
    }
}

#[tokio::test]
async fn a_sign_up_of_unknown_outcome_waits_before_it_is_repeated() {
    let house = house().await;
    let token = house.cabinet.token(NOBODY).await;
    house.fails("insert_by_template", "reset_before", 500).await;
    assert_eq!(
        outcome(&house.sign_up(&token).await),
        (409, "operation_in_progress".into())
    );
    house.probonus.heal().await;
    assert_eq!(
        outcome(&house.sign_up(&token).await),
        (409, "operation_in_progress".into())
    );
    assert_eq!(house.insertions().await, 1);
    house.clock.advance(Duration::from_secs(90));
    assert_eq!(house.sign_up(&token).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_sign_up_done_behind_an_error_is_done() {
    for kind in ["error_after", "reset_after"] {
        let house = house().await;
        let token = house.cabinet.token(NOBODY).await;
        house.fails("insert_by_template", kind, 500).await;
        assert_eq!(house.sign_up(&token).await.status, StatusCode::CREATED, "{kind}");
        assert_eq!(
            outcome(&house.sign_up(&token).await),
            (409, "account_exists".into()),
            "{kind}"
        );
        assert_eq!(house.insertions().await, 1, "{kind}");
    }
}

#[tokio::test]
async fn a_version_is_compared_with_what_probonus_has_now() {
    let house = house().await;
    let token = house.cabinet.token(ANNA).await;
    let edit = async |tag: &str, body: Value| {
        let request = house.cabinet.request(Method::PATCH, "/api/v1/me/profile");
        send(request.bearer_auth(&token).header("if-match", tag).json(&body)).await
    };
    let mine = edit("*", json!({ "email": "a@example.ru" })).await;
    let tag = mine.header("etag").expect("a tag").to_owned();
    let profile = house.cabinet.get("/api/v1/me/profile", &token).await;
    assert_eq!(profile.header("etag"), Some(tag.as_str()));
    let till = json!({ "phone": ANNA, "sum": 100_000 });
    house.probonus.control(Method::POST, "/till/purchase", till).await;
    let late = edit(&tag, json!({ "email": "b@example.ru" })).await;
    assert_eq!(
        outcome(&late),
        (412, "version_mismatch".into()),
        "the turnover has changed"
    );
    for never in [
        format!("W/{tag}"),
        "\"other\"".into(),
        "other".into(),
        "\"a\", \"b\"".into(),
    ] {
        let refused = edit(&never, json!({ "email": "b@example.ru" })).await;
        assert_eq!(outcome(&refused), (412, "version_mismatch".into()), "{never}");
    }
    let fresh = house.cabinet.get("/api/v1/me/profile", &token).await;
    let listed = format!("\"other\", {}", fresh.header("etag").expect("a tag"));
    assert_eq!(
        edit(&listed, json!({ "email": "b@example.ru" })).await.status,
        StatusCode::OK
    );
}
