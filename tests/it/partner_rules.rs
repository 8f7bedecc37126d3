//! What a partner's key opens and how much it may give away, whatever is configured and however a request is spelled.

use guest_cabinet::clock::Clock;
use guest_cabinet::config::{Config, ConfigError, read_sources};
use guest_cabinet::keys::{hex, sha256};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::support::cabinet::send;
use crate::support::{Answer, ProBonus, TestCabinet, TestStore, friday_noon, sqlite};

const KEY: &str = "a partner's key for the tests of rules";

/// A cabinet whose partner has `caps`, and the account that its orders are about.
struct Service {
    probonus: ProBonus,
    cabinet: TestCabinet,
    account: i64,
    _store: TestStore,
}

impl Service {
    async fn start(caps: &str) -> Self {
        let (clock, store) = (Clock::manual(friday_noon()), sqlite());
        let probonus = ProBonus::start(&clock).await;
        let guests = probonus.control(Method::GET, "/guests", json!({})).await;
        let account = guests["guests"][0]["account_id"].as_i64().expect("Anna has an account");
        let hash = hex(&sha256(KEY.as_bytes()));
        let more = format!("[partners.delivery]\nkey_sha256 = \"{hash}\"\nscopes = [\"checks\", \"refills\"]\n{caps}");
        let (url, token) = (probonus.sandbox.url(), probonus.sandbox.token().to_owned());
        let cabinet = TestCabinet::start(&url, &token, &store.url, clock, &more).await;
        Self {
            probonus,
            cabinet,
            account,
            _store: store,
        }
    }

    fn request(&self, path: &str, body: &Value) -> RequestBuilder {
        let mut body = body.clone();
        body["account_id"] = self.account.to_string().into();
        self.cabinet.request(Method::POST, path).bearer_auth(KEY).json(&body)
    }

    /// Books a check of these sums.
    async fn check(&self, number: u128, sums: [i64; 3]) -> Answer {
        let guid = uuid::Uuid::from_u128(0x1000_0000_0000_4000_8000_0000_0000_0000 + number);
        let [accrued, spent, money] = sums;
        let body = json!({
            "check_guid": guid, "restaurant_code": 1, "unit_code": 1, "external_number": "D-1",
            "bonus_spent": spent, "discount": 0, "bonus_accrued": accrued, "money_spent": money,
        });
        send(self.request("/partner/v1/checks", &body)).await
    }

    async fn refill(&self, key: &str, amount: i64) -> Answer {
        let request = self.request("/partner/v1/refills", &json!({ "amount": amount }));
        send(request.header("idempotency-key", key)).await
    }
}

/// A problem's fields and their codes.
fn problems(answer: &Answer) -> Vec<(String, String)> {
    assert_eq!(answer.code(), "validation_failed", "{}", answer.text);
    let body = answer.json();
    let errors = body["errors"].as_array().expect("errors").iter();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    errors
        .map(|error| (text(&error["field"]), text(&error["code"])))
        .collect()
}

#[tokio::test]
async fn no_authorization_opens_nothing_however_it_is_left_out() {
    let service = Service::start("").await;
    for authorization in [
        None,
        Some(""),
        Some("Bearer"),
        Some("Bearer "),
        Some("Bearer \t "),
        Some("Basic Og=="),
    ] {
        let mut request = service.cabinet.request(Method::GET, "/partner/v1/account-groups");
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let answer = send(request).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (401, "unauthenticated"),
            "{authorization:?}"
        );
    }
}

fn configured(partner: &str) -> Result<Config, ConfigError> {
    let settings = format!(
        "secret = \"a master secret for tests of enough bytes\"\n[store]\nurl = \"sqlite::memory:\"\n\
         [probonus]\nurl = \"http://127.0.0.1:9\"\ntoken = \"t\"\n[delivery]\ngateways = [\"console\"]\n\
         [delivery.console]\ndevelopment = true\n[partners.delivery]\nscopes = [\"checks\"]\n{partner}"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("cabinet.toml");
    std::fs::write(&file, settings).expect("a file");
    Config::read(read_sources(Some(&file), std::iter::empty()), false)
}

#[test]
fn the_hash_of_no_key_or_of_a_well_known_one_stops_the_start_in_one_line() {
    let hash = |text: &str| hex(&sha256(text.as_bytes()));
    for known in [
        "",
        "\n",
        "secret",
        "changeme",
        "test",
        "password",
        "key",
        "Password".to_uppercase().as_str(),
    ] {
        let good = hash("a key that nobody else has");
        for (name, settings) in [
            ("key_sha256", format!("key_sha256 = \"{}\"", hash(known))),
            (
                "key_sha256_previous",
                format!("key_sha256 = \"{good}\"\nkey_sha256_previous = \"{}\"", hash(known)),
            ),
        ] {
            let refused = configured(&settings).expect_err("refused");
            let line = format!(
                "partners.delivery.{name}: is the hash of an empty or well-known text, which anybody can send: \
                 make a key with `guest-cabinet hash-key --generate`"
            );
            assert_eq!(refused.0, [line], "{known:?}");
        }
    }
}

#[tokio::test]
async fn a_check_gives_no_more_than_its_partner_may_give_away() {
    let capped = "max_check_accrual = 50000\nmax_check_spend = 10000\nmax_accrual_percent = 10\n";
    for (caps, sums, told) in [
        ("", [10_000_000, 0, 0], vec![("bonus_accrued", "not_allowed")]),
        ("", [100_001, 0, 100_000], vec![("bonus_accrued", "out_of_range")]),
        (capped, [50_001, 0, 900_000], vec![("bonus_accrued", "out_of_range")]),
        (capped, [10_001, 0, 100_000], vec![("bonus_accrued", "out_of_range")]),
        (capped, [0, 10_001, 100_000], vec![("bonus_spent", "out_of_range")]),
        (
            capped,
            [1, 10_001, 0],
            vec![("bonus_accrued", "not_allowed"), ("bonus_spent", "out_of_range")],
        ),
        (
            "accrual_without_payment = true\nmax_check_accrual = 100\n",
            [101, 0, 0],
            vec![("bonus_accrued", "out_of_range")],
        ),
    ] {
        let service = Service::start(caps).await;
        let told: Vec<(String, String)> = told.into_iter().map(|(f, c)| (f.to_owned(), c.to_owned())).collect();
        assert_eq!(problems(&service.check(1, sums).await), told, "{caps} {sums:?}");
        assert_eq!(service.probonus.calls("register_check").await, 0);
    }
    for (caps, sums) in [
        ("", [100_000, 0, 100_000]),
        ("", [0, 0, 0]),
        (capped, [10_000, 0, 100_000]),
        ("accrual_without_payment = true\nmax_check_accrual = 100\n", [100, 0, 0]),
        ("max_accrual_percent = 150\n", [150_000, 0, 100_000]),
    ] {
        let service = Service::start(caps).await;
        let answer = service.check(1, sums).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{caps} {}", answer.text);
    }
}

#[tokio::test]
async fn a_key_in_quotes_and_the_same_without_them_are_one_key() {
    let service = Service::start("").await;
    let first = service.refill("k", 100).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text);
    let again = service.refill("\"k\"", 100).await;
    assert_eq!(
        (again.status, again.json()["operation_id"].as_str()),
        (StatusCode::OK, first.json()["operation_id"].as_str())
    );
    assert_eq!(service.refill("\"k\"", 101).await.code(), "idempotency_mismatch");
    assert_eq!(service.probonus.calls("refill").await, 1);
    let malformed = [("Idempotency-Key".to_owned(), "invalid_format".to_owned())];
    assert_eq!(problems(&service.refill("\"k", 100).await), malformed);
    assert_eq!(service.refill("\"\"", 100).await.code(), "idempotency_key_required");
    assert_eq!(service.probonus.calls("refill").await, 1);
}

#[tokio::test]
async fn what_was_taken_once_is_answered_whatever_the_caps_are_by_now() {
    let service = Service::start("max_check_accrual = 100\nmax_refill = 100\n").await;
    assert_eq!(service.check(1, [100, 0, 1000]).await.status, StatusCode::CREATED);
    assert_eq!(service.check(1, [100, 0, 1]).await.code(), "check_conflict");
    assert_eq!(service.refill("k", 100).await.status, StatusCode::CREATED);
    assert_eq!(service.refill("k", 101).await.code(), "idempotency_mismatch");
    let beyond = [("amount".to_owned(), "out_of_range".to_owned())];
    assert_eq!(problems(&service.refill("k2", 101).await), beyond);
}

#[tokio::test]
async fn a_guest_sees_a_refills_comment_without_our_mark() {
    let service = Service::start("").await;
    let told = [("k1", Some("За отзыв")), ("k2", None), ("k3", Some("заказ #1"))];
    for (key, comment) in told {
        let request = service.request("/partner/v1/refills", &json!({ "amount": 100, "comment": comment }));
        let answer = send(request.header("idempotency-key", key)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    }
    let account = format!("/accounts/{}", service.account);
    let booked = service.probonus.control(Method::GET, &account, json!({})).await;
    assert_eq!(booked.to_string().matches("#gc-").count(), 3, "{booked}");
    let token = service.cabinet.token("+79160000001").await;
    for (path, list) in [("/api/v1/me/transactions", "items"), ("/api/v1/me/home", "recent")] {
        let answer = service.cabinet.get(path, &token).await;
        let body = answer.json();
        let mut comments: Vec<&Value> = body[list].as_array().expect("movements").iter().take(3).collect();
        comments.reverse();
        let comments: Vec<Option<&str>> = comments.iter().map(|entry| entry["comment"].as_str()).collect();
        assert_eq!(comments, told.map(|(_, comment)| comment), "{path}");
        assert!(!answer.text.contains("#gc-"), "{path} {}", answer.text);
    }
    let forged = service.request(
        "/partner/v1/refills",
        &json!({ "amount": 1, "comment": "x #gc-7eb961ba5eb9" }),
    );
    let refused = problems(&send(forged.header("idempotency-key", "k4")).await);
    assert_eq!(refused, [("comment".to_owned(), "not_allowed".to_owned())]);
}
