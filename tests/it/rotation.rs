//! The ledger key: one for all replicas whichever secret each has first, the same after every rotation, never silently another.

use std::sync::Arc;
use std::time::Duration;

use guest_cabinet::clock::Clock;
use guest_cabinet::entropy::Entropy;
use guest_cabinet::keys::{Keys, Purpose, Secrets, Tag, hex, sha256};
use guest_cabinet::model::{AccountBinding, GuestKey, SessionId};
use guest_cabinet::sign_in::rekey_guests;
use guest_cabinet::store::{LedgerFound, SessionRow, SharedStore};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::sync::Barrier;

use crate::support::cabinet::send;
use crate::support::{ProBonus, TestCabinet, TestStore, each_engine, friday_noon, postgres, sqlite};

const FIRST: &str = "the first master secret of enough bytes";
const SECOND: &str = "the second master secret of enough bytes";
const THIRD: &str = "the third master secret of enough bytes!";
const NOBODY: &str = "+79160000008";
const ANNA: &str = "+79160000001";
const KEY: &str = "a partner's key for the tests of rotation";

fn secrets(secret: &str, previous: Option<&str>) -> Secrets {
    Secrets::derive(&secret.into(), previous.map(Into::into).as_ref())
}

async fn load(store: &SharedStore, secret: &str, previous: Option<&str>) -> (Keys, LedgerFound) {
    let loaded = store.load_keys(secrets(secret, previous), 0, &Entropy::system()).await;
    loaded.expect("the store answers")
}

fn guest(keys: &Keys) -> Tag {
    keys.mac(Purpose::PhoneFingerprint, &[ANNA.as_bytes()])
}

/// Settings with these secrets.
fn settings(secret: &str, previous: Option<&str>) -> String {
    let previous = previous.map_or(String::new(), |previous| format!("secret_previous = \"{previous}\"\n"));
    format!(
        "secret = \"{secret}\"\n{previous}[auth]\nresend_ms = 0\n[auth.limits]\nsends_per_phone_hour = 6\n\
         [partners.delivery]\nkey_sha256 = \"{}\"\nscopes = [\"refills\"]\nmax_refill = 500000\nmax_daily_refill = 5000000",
        hex(&sha256(KEY.as_bytes()))
    )
}

/// Two replicas over one PostgreSQL in the middle of a rotation: each has the other's secret second.
async fn midway() -> Option<(ProBonus, [Arc<TestCabinet>; 2], TestStore)> {
    let store = postgres().await?;
    let clock = Clock::manual(friday_noon());
    let probonus = ProBonus::start(&clock).await;
    let (url, token) = (probonus.sandbox.url(), probonus.sandbox.token().to_owned());
    let one = settings(FIRST, Some(SECOND));
    let other = settings(SECOND, Some(FIRST));
    let first = TestCabinet::start(&url, &token, &store.url, clock, &one).await;
    let second = first.beside(&url, &token, &store.url, &other).await;
    Some((probonus, [Arc::new(first), Arc::new(second)], store))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_middle_of_a_rotation_a_guest_who_signs_up_on_both_replicas_gets_one_account() {
    let Some((probonus, replicas, _store)) = midway().await else {
        return;
    };
    for round in 0..3 {
        let phone = format!("+791600001{round:02}");
        let before = probonus.calls("insert_by_template").await;
        let tokens = [replicas[0].token(&phone).await, replicas[1].token(&phone).await];
        let barrier = Arc::new(Barrier::new(10));
        let racers = (0..10).map(|number| {
            let (barrier, replica, token) = (
                barrier.clone(),
                replicas[number % 2].clone(),
                tokens[(number / 2) % 2].clone(),
            );
            tokio::spawn(async move {
                let request = replica
                    .request(Method::POST, "/api/v1/me/registration")
                    .bearer_auth(token);
                let body = json!({ "first_name": "Иван", "last_name": "Тестов", "consents": [] });
                barrier.wait().await;
                send(request.json(&body)).await
            })
        });
        let mut made = 0;
        for racer in racers.collect::<Vec<_>>() {
            let answer = racer.await.expect("a racer ends");
            made += usize::from(answer.status == StatusCode::CREATED);
            assert!(
                answer.status == StatusCode::CREATED || answer.status == StatusCode::CONFLICT,
                "{}",
                answer.text
            );
        }
        assert_eq!(made, 1);
        assert_eq!(probonus.calls("insert_by_template").await - before, 1, "one account");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_middle_of_a_rotation_edits_are_seen_sessions_listed_and_limits_counted_once() {
    let Some((_probonus, [first, second], _store)) = midway().await else {
        return;
    };
    let tokens = [first.token(ANNA).await, second.token(ANNA).await];
    for replica in [&first, &second] {
        let list = replica.get("/api/v1/me/sessions", &tokens[0]).await.json();
        assert_eq!(list["items"].as_array().map(Vec::len), Some(2));
    }
    for (number, (by, other)) in [(&first, &second), (&second, &first)].into_iter().enumerate() {
        for replica in [&first, &second] {
            replica.get("/api/v1/me/profile", &tokens[number]).await;
        }
        let name = ["Анна", "Инна"][number];
        let edit = by
            .request(Method::PATCH, "/api/v1/me/profile")
            .bearer_auth(&tokens[number]);
        let edited = send(edit.json(&json!({ "first_name": name }))).await;
        assert_eq!(edited.status, StatusCode::OK, "{}", edited.text);
        let seen = other.get("/api/v1/me/profile", &tokens[number]).await;
        assert_eq!(seen.json()["first_name"], name);
    }
    // Two of the six messages an hour were the sign-ins'.
    let mut sent = 0;
    for number in 0..10 {
        let replica = [&first, &second][number % 2];
        let asked = replica.post("/api/v1/auth/challenges", &json!({ "phone": ANNA })).await;
        sent += usize::from(asked.status == StatusCode::ACCEPTED);
    }
    assert_eq!(sent, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_start_at_once_on_an_empty_store_have_one_ledger_key() {
    for store in each_engine().await {
        let replicas = [store.open().await, store.open().await];
        let barrier = Arc::new(Barrier::new(8));
        let starts = (0..8).map(|number| {
            let (store, barrier) = (replicas[number % 2].clone(), barrier.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                let order = [(FIRST, SECOND), (SECOND, FIRST)][number / 2 % 2];
                load(&store, order.0, Some(order.1)).await
            })
        });
        let mut made = 0;
        let mut tags = Vec::new();
        for start in starts.collect::<Vec<_>>() {
            let (keys, found) = start.await.expect("a start ends");
            made += usize::from(found == LedgerFound::Made);
            tags.push(guest(&keys));
        }
        assert_eq!(made, 1, "{}", store.engine);
        tags.dedup();
        assert_eq!(tags.len(), 1, "{}", store.engine);
    }
}

#[tokio::test]
async fn the_ledger_key_outlives_rotations_and_no_secret_of_before_opens_it() {
    for store in each_engine().await {
        let store = store.open().await;
        let (keys, found) = load(&store, FIRST, None).await;
        assert_eq!(found, LedgerFound::Made);
        let tag = guest(&keys);
        // As documented: the new secret is made known, becomes the present one, and at last is the only one.
        for (secret, previous) in [
            (FIRST, Some(SECOND)),
            (FIRST, None),
            (SECOND, Some(FIRST)),
            (FIRST, Some(SECOND)),
            (SECOND, Some(FIRST)),
            (SECOND, None),
            // One that was late with the last step.
            (SECOND, Some(FIRST)),
            (SECOND, None),
        ] {
            let (keys, found) = load(&store, secret, previous).await;
            assert_eq!((guest(&keys), found), (tag, LedgerFound::Unwrapped));
        }
        let (_, found) = store
            .read_keys(secrets(FIRST, None), &Entropy::system())
            .await
            .expect("the store answers");
        assert_eq!(found, LedgerFound::Lost, "the secret of before opens nothing");
    }
}

#[tokio::test]
async fn a_secret_that_opens_nothing_gets_a_ledger_key_of_its_own_and_the_right_one_finds_its_own_again() {
    for store in each_engine().await {
        let store = store.open().await;
        let (right, _) = load(&store, FIRST, None).await;
        let order: &[&[u8]] = &[b"order"];
        let (tag, fingerprint) = (guest(&right), right.mac(Purpose::Operation, order));
        let sealed = right.seal(Purpose::Operation, b"row", b"body");

        let (wrong, found) = load(&store, THIRD, None).await;
        assert_eq!(found, LedgerFound::Lost);
        assert_ne!(guest(&wrong), tag);
        assert!(!wrong.verify(Purpose::Operation, order, &fingerprint));
        assert_eq!(load(&store, THIRD, None).await.1, LedgerFound::Unwrapped);

        let (again, found) = load(&store, FIRST, None).await;
        assert_eq!((guest(&again), found), (tag, LedgerFound::Unwrapped));
        // Both known: whatever was made under either is recognised, by both orders of the secrets alike.
        let written = wrong.mac(Purpose::Operation, order);
        let mut tags = Vec::new();
        for (secret, previous) in [(THIRD, Some(FIRST)), (FIRST, Some(THIRD)), (THIRD, None)] {
            let (both, _) = load(&store, secret, previous).await;
            assert!(both.verify(Purpose::Operation, order, &fingerprint));
            assert!(both.verify(Purpose::Operation, order, &written));
            assert_eq!(
                both.open(Purpose::Operation, b"row", &sealed).as_deref(),
                Some(&b"body"[..])
            );
            tags.push(guest(&both));
        }
        tags.dedup();
        assert_eq!(tags.len(), 1);
    }
}

fn session(number: u128, guest: Tag, phone_sealed: Vec<u8>) -> SessionRow {
    SessionRow {
        id: SessionId(uuid::Uuid::from_u128(number)),
        guest: GuestKey(guest),
        phone_sealed,
        kind: "bearer".into(),
        device_sealed: None,
        counter: 0,
        used: -1,
        used_at_us: 0,
        created_at_us: 0,
        last_seen_at_us: 0,
        idle_until_us: i64::MAX,
        expires_at_us: i64::MAX,
        account: AccountBinding::Unknown,
    }
}

#[tokio::test]
async fn a_store_of_the_version_before_keeps_its_rows_and_those_of_the_secret_before_that_are_keyed_anew() {
    for store in each_engine().await {
        let store = store.open().await;
        // The version before keyed everything by the secret itself.
        let before = |secret: &str| Keys::derive(&secret.into(), None, Entropy::system());
        for (number, (phone, secret)) in [(ANNA, FIRST), (ANNA, SECOND), (NOBODY, FIRST)].into_iter().enumerate() {
            let keys = before(secret);
            let id = 1 + number as u128;
            let tag = keys.mac(Purpose::PhoneFingerprint, &[phone.as_bytes()]);
            let bound_to = uuid::Uuid::from_u128(id);
            let sealed = keys.seal(Purpose::PhoneSeal, bound_to.as_bytes(), phone.as_bytes());
            let row = session(id, tag, sealed);
            store.add_session(&row, 10).await.expect("a session");
            let consents = [("offer".to_owned(), format!("{number}"))];
            store.keep_consents(row.guest, &consents, 0).await.expect("a consent");
        }
        let order: &[&[u8]] = &[b"order", b"delivery", b"{}"];
        let (keys, found) = load(&store, SECOND, Some(FIRST)).await;
        assert_eq!(found, LedgerFound::Adopted);
        assert_eq!(
            guest(&keys),
            guest(&before(SECOND)),
            "what the present secret made is found"
        );
        for secret in [FIRST, SECOND] {
            assert!(keys.verify(
                Purpose::Operation,
                order,
                &before(secret).mac(Purpose::Operation, order)
            ));
        }
        rekey_guests(&store, &keys).await.expect("the store answers");
        // From now on the secret of before is not needed any more.
        let (keys, found) = load(&store, SECOND, None).await;
        assert_eq!(found, LedgerFound::Unwrapped);
        for (phone, count) in [(ANNA, 2), (NOBODY, 1)] {
            let tag = keys.mac(Purpose::PhoneFingerprint, &[phone.as_bytes()]);
            let sessions = store.sessions_of(GuestKey(tag), 1).await.expect("the store answers");
            assert_eq!(sessions.len(), count);
        }
        assert!(keys.verify(Purpose::Operation, order, &before(FIRST).mac(Purpose::Operation, order)));
        assert_eq!(
            store.count_consents_without_session().await.expect("the store answers"),
            0
        );
    }
}

#[tokio::test]
async fn an_order_is_replayed_after_the_secret_it_was_given_under_is_gone() {
    let store = sqlite();
    let clock = Clock::manual(friday_noon());
    let probonus = ProBonus::start(&clock).await;
    let guests = probonus.control(Method::GET, "/guests", json!({})).await;
    let account = guests["guests"][0]["account_id"].to_string();
    for (secret, previous, status) in [
        (FIRST, None, StatusCode::CREATED),
        (SECOND, Some(FIRST), StatusCode::OK),
        (SECOND, None, StatusCode::OK),
    ] {
        let (url, token) = (probonus.sandbox.url(), probonus.sandbox.token().to_owned());
        let more = settings(secret, previous);
        let cabinet = TestCabinet::start(&url, &token, &store.url, clock.clone(), &more).await;
        let refill = cabinet
            .request(Method::POST, "/partner/v1/refills")
            .bearer_auth(KEY)
            .header("idempotency-key", "the same")
            .json(&json!({ "account_id": account, "amount": 100 }));
        let answer = send(refill).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        cabinet.running.stop().await;
    }
    assert_eq!(probonus.calls("refill").await, 1);
}

#[tokio::test]
async fn with_the_secret_of_before_removed_early_a_refresh_is_401_as_reads_are_and_the_app_signs_in() {
    let store = sqlite();
    let clock = Clock::manual(friday_noon());
    let probonus = ProBonus::start(&clock).await;
    let (url, token) = (probonus.sandbox.url(), probonus.sandbox.token().to_owned());
    let start = async |secret, previous| {
        let more = settings(secret, previous);
        TestCabinet::start(&url, &token, &store.url, clock.clone(), &more).await
    };
    let refresh = async |cabinet: &TestCabinet, pair: &serde_json::Value| {
        let body = json!({ "refresh_token": pair["refresh_token"] });
        cabinet.post("/api/v1/auth/refresh", &body).await
    };
    let before = start(FIRST, None).await;
    let (idle, active) = (before.sign_in(ANNA).await, before.sign_in(ANNA).await);
    before.running.stop().await;

    let rotated = start(SECOND, Some(FIRST)).await;
    clock.advance(Duration::from_secs(1));
    let active = refresh(&rotated, &active).await.json();
    rotated.running.stop().await;

    let early = start(SECOND, None).await;
    let access = |pair: &serde_json::Value| pair["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(early.get("/api/v1/me/balance", &access(&idle)).await.status, 401);
    assert_eq!(refresh(&early, &idle).await.status, 401);
    // Whoever was there while both were known is not signed out.
    assert_eq!(early.get("/api/v1/me/balance", &access(&active)).await.status, 200);
    assert_eq!(refresh(&early, &active).await.status, 200);
    assert!(!early.token(ANNA).await.is_empty());
}
