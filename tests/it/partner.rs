//! Money-like writes happen exactly once: racers, faults after the effect, crashes, replicas.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use guest_cabinet::clock::Clock;
use guest_cabinet::keys::{hex, sha256};
use guest_cabinet::partner::list;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::support::cabinet::send;
use crate::support::replicas::replicas;
use crate::support::{Answer, ProBonus, TestCabinet, TestStore, each_engine, friday_noon, sqlite};

const KEY: &str = "a delivery partner's key for tests";
const OTHER: &str = "another partner's key for the tests";
const ANNA: &str = "+79160000001";

fn partners() -> String {
    format!(
        "[partners.delivery]\nkey_sha256 = \"{}\"\nscopes = [\"checks\", \"refills\", \"guests\"]\nmax_refill = 500000\n\
         max_daily_refill = 600000\ncalls_per_minute = 0\nrestaurants = [1, 2]\n\
         [partners.other]\nkey_sha256 = \"{}\"\nscopes = [\"checks\"]\n[probonus]\ntimeout_ms = 500\nlate_effect_ms = 1000\n",
        hex(&sha256(KEY.as_bytes())),
        hex(&sha256(OTHER.as_bytes()))
    )
}

struct House {
    probonus: ProBonus,
    replicas: Vec<Arc<TestCabinet>>,
    clock: Clock,
    account: i64,
}

async fn house(store: &TestStore, clock: Clock) -> House {
    let probonus = ProBonus::start(&clock).await;
    let guests = probonus.control(Method::GET, "/guests", json!({})).await;
    let account = guests["guests"][0]["account_id"].as_i64().expect("Anna has an account");
    let replicas = replicas(store, &probonus.sandbox, &clock, &partners()).await;
    House {
        probonus,
        replicas,
        clock,
        account,
    }
}

fn check(guid: &str, account: i64) -> Value {
    json!({
        "check_guid": guid, "account_id": account.to_string(), "restaurant_code": 1, "unit_code": 1, "external_number": "D-1",
        "bonus_spent": 0, "discount": 0, "bonus_accrued": 7_700, "money_spent": 154_000, "content": "пицца\nсок",
    })
}

impl House {
    async fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        send(self.replicas[0].request(Method::POST, path).bearer_auth(key).json(body)).await
    }

    async fn state(&self, guid: &str) -> String {
        let path = format!("/partner/v1/checks/{guid}");
        let answer = send(self.replicas[0].request(Method::GET, &path).bearer_auth(KEY)).await;
        answer.json()["state"].as_str().unwrap_or_default().to_owned()
    }

    /// Lets time pass and settling work until the check is registered.
    async fn settled(&self, guid: &str) {
        let app = self.replicas[0].running.app();
        for _ in 0..400 {
            if self.state(guid).await == "registered" {
                return;
            }
            self.clock.advance(Duration::from_secs(2));
            app.partner.run_once().await;
        }
        let unknown = list(&app.store, "unknown").await.expect("the store answers");
        panic!("it is not settled: {unknown:?}");
    }

    /// Lets so much time pass and settling work, in which the check stays unknown.
    async fn stays_unknown(&self, guid: &str, time: Duration) {
        const STEPS: u32 = 60;
        for _ in 0..STEPS {
            self.clock.advance(time / STEPS);
            self.replicas[0].running.app().partner.run_once().await;
        }
        assert_eq!(self.state(guid).await, "unknown");
    }

    /// Anna buys something at the till.
    async fn purchase(&self) {
        let bought = json!({ "phone": ANNA, "sum": 100_000 });
        self.probonus.control(Method::POST, "/till/purchase", bought).await;
    }

    async fn booked(&self, guid: &str) -> usize {
        let account = self
            .probonus
            .control(Method::GET, &format!("/accounts/{}", self.account), json!({}))
            .await;
        let checks = account["checks"].as_array().expect("checks").clone();
        checks.iter().filter(|check| check["guid"] == guid).count()
    }
}

fn guid(number: u128) -> String {
    uuid::Uuid::from_u128(0x1000_0000_0000_4000_8000_0000_0000_0000 + number).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_racers_with_one_guid_book_once_and_the_guest_sees_it() {
    for store in each_engine().await {
        let house = house(&store, Clock::manual(friday_noon())).await;
        let token = house.replicas[0].token(ANNA).await;
        let balance = async || {
            let answer = house.replicas[0].get("/api/v1/me/balance", &token).await;
            answer.json()["available"].as_i64().expect("a sum")
        };
        let before = balance().await;
        let guid = guid(1);
        let body = check(&guid, house.account);
        let barrier = Arc::new(Barrier::new(100));
        let racers = (0..100).map(|index| {
            let (barrier, body) = (barrier.clone(), body.clone());
            let replica = house.replicas[index % house.replicas.len()].clone();
            tokio::spawn(async move {
                barrier.wait().await;
                send(
                    replica
                        .request(Method::POST, "/partner/v1/checks")
                        .bearer_auth(KEY)
                        .json(&body),
                )
                .await
            })
        });
        let mut created = 0;
        for racer in racers.collect::<Vec<_>>() {
            let answer = racer.await.expect("a racer ends");
            match answer.status.as_u16() {
                201 => created += 1,
                200 => assert_eq!(answer.header("idempotent-replayed"), Some("true")),
                409 => assert_eq!(answer.code(), "operation_in_progress"),
                _ => panic!("{} {}", store.engine, answer.text),
            }
        }
        assert_eq!((created, house.booked(&guid).await), (1, 1), "{}", store.engine);
        house.clock.advance(Duration::from_secs(1));
        let deadline = tokio::time::Instant::now() + Duration::from_secs(1);
        while balance().await != before + 7_700 {
            assert!(tokio::time::Instant::now() < deadline, "the guest sees it at once");
        }
        let again = house.post("/partner/v1/checks", KEY, &body).await;
        assert_eq!(
            (again.status, again.header("idempotent-replayed")),
            (StatusCode::OK, Some("true"))
        );
        assert_eq!(again.json()["state"], "registered");
        let mut other = body.clone();
        other["money_spent"] = json!(1);
        let conflict = house.post("/partner/v1/checks", KEY, &other).await;
        assert_eq!(
            (conflict.status.as_u16(), conflict.code().as_str()),
            (409, "check_conflict")
        );
        let stranger = house.post("/partner/v1/checks", OTHER, &body).await;
        assert_eq!(stranger.code(), "check_conflict");
        let path = format!("/partner/v1/checks/{guid}");
        let hidden = send(house.replicas[0].request(Method::GET, &path).bearer_auth(OTHER)).await;
        assert_eq!(hidden.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn what_probonus_did_before_it_failed_is_found_and_never_doubled() {
    for (number, kind) in ["reset_after", "error_after", "hang_after", "truncated"]
        .iter()
        .enumerate()
    {
        for store in each_engine().await {
            let house = house(&store, Clock::manual(friday_noon())).await;
            let guid = guid(100 + number as u128);
            let fault = json!({ "operation": "register_check", "kind": kind, "count": 1 });
            house.probonus.fault(fault).await;
            let answer = house
                .post("/partner/v1/checks", KEY, &check(&guid, house.account))
                .await;
            assert_eq!(answer.status, StatusCode::ACCEPTED, "{kind} {}", answer.text);
            assert_eq!(answer.json()["state"], "unknown");
            house.settled(&guid).await;
            assert_eq!(
                (house.booked(&guid).await, house.probonus.calls("register_check").await),
                (1, 1),
                "{kind}"
            );
        }
    }
}

#[tokio::test]
async fn what_was_turned_away_with_a_503_is_not_sent_again_before_its_absence_is_proven() {
    let store = sqlite();
    let house = house(&store, Clock::manual(friday_noon())).await;
    for (number, kind) in [(500, "status"), (501, "error_after")] {
        let guid = guid(number);
        house.probonus.forget().await;
        let fault = json!({ "operation": "register_check", "kind": kind, "status": 503, "retry_after": 1, "count": 1 });
        house.probonus.fault(fault).await;
        let answer = house
            .post("/partner/v1/checks", KEY, &check(&guid, house.account))
            .await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{kind} {}", answer.text);
        if kind == "error_after" {
            house.settled(&guid).await;
            assert_eq!(house.probonus.calls("register_check").await, 1);
            continue;
        }
        house.stays_unknown(&guid, Duration::from_mins(1)).await;
        assert_eq!(house.probonus.calls("register_check").await, 1, "nothing later shows");
        house.purchase().await;
        house.settled(&guid).await;
        assert_eq!(
            (house.booked(&guid).await, house.probonus.calls("register_check").await),
            (1, 2)
        );
    }
}

#[tokio::test]
async fn what_was_turned_away_with_a_429_is_sent_again_at_once_unless_it_shows() {
    let store = sqlite();
    let house = house(&store, Clock::system()).await;
    for (number, kind, calls) in [(510, "status", 2), (511, "error_after", 1)] {
        let guid = guid(number);
        house.probonus.forget().await;
        let fault = json!({ "operation": "register_check", "kind": kind, "status": 429, "retry_after": 1, "count": 1 });
        house.probonus.fault(fault).await;
        let answer = house
            .post("/partner/v1/checks", KEY, &check(&guid, house.account))
            .await;
        assert_eq!(answer.status, StatusCode::CREATED, "{kind} {}", answer.text);
        assert_eq!(
            (house.booked(&guid).await, house.probonus.calls("register_check").await),
            (1, calls),
            "{kind}"
        );
    }
}

/// The secret of every cabinet under test.
const MASTER: &str = "a master secret for tests of enough bytes";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_can_prove_an_operator_sees_and_decides() {
    let store = sqlite();
    let house = house(&store, Clock::manual(friday_noon())).await;
    let guid = guid(600);
    let mut order = check(&guid, house.account);
    order["bonus_accrued"] = 0.into();
    let fault = json!({ "operation": "register_check", "kind": "reset_before", "count": 1 });
    house.probonus.fault(fault).await;
    let answer = house.post("/partner/v1/checks", KEY, &order).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("cabinet.toml");
    let settings = format!(
        "secret = \"{}\"\n[store]\nurl = \"{}\"\n[probonus]\nurl = \"http://127.0.0.1:9\"\ntoken = \"t\"\n\
         [delivery]\ngateways = [\"console\"]\n[delivery.console]\ndevelopment = true\n",
        MASTER, store.url
    );
    std::fs::write(&file, settings).expect("a file");
    let operations = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_guest-cabinet"));
        let done = command
            .arg("operations")
            .args(arguments)
            .arg("--config")
            .arg(&file)
            .output();
        let done = done.expect("the program runs");
        let text = String::from_utf8(done.stdout).expect("text") + &String::from_utf8_lossy(&done.stderr);
        (done.status.success(), text)
    };
    let (listed, lines) = operations(&["list"]);
    assert!(
        listed && lines.starts_with("1 unknown\n") && lines.contains(&guid) && lines.contains("leaves no trace"),
        "{lines}"
    );
    let (shown, lines) = operations(&["show", &guid.to_uppercase()]);
    assert!(
        shown && lines.contains("number D-1, restaurant 1") && lines.contains("money 154000"),
        "{lines}"
    );
    assert!(lines.contains(&format!("account    {}", house.account)), "{lines}");
    assert!(operations(&["resolve", &guid, "registered"]).0);
    assert!(!operations(&["resolve", &guid, "rejected"]).0, "it is decided");
    assert_eq!(house.state(&guid).await, "registered");
    assert_eq!(house.booked(&guid).await, 0);
}

#[tokio::test]
async fn what_never_arrived_is_sent_once_more() {
    let store = sqlite();
    let house = house(&store, Clock::manual(friday_noon())).await;
    let guid = guid(200);
    house
        .probonus
        .fault(json!({ "operation": "register_check", "kind": "reset_before", "count": 1 }))
        .await;
    let answer = house
        .post("/partner/v1/checks", KEY, &check(&guid, house.account))
        .await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    house.stays_unknown(&guid, Duration::from_mins(10)).await;
    house.purchase().await;
    house.settled(&guid).await;
    assert_eq!(house.booked(&guid).await, 1);
    assert_eq!(house.probonus.calls("register_check").await, 2);
}

#[tokio::test]
async fn among_many_alike_an_order_is_found_however_many_they_are_and_none_is_opened_twice() {
    // As many orders of the same sum came after it, before ProBonus could be read again.
    for (number, others) in [60, 120].into_iter().enumerate() {
        let store = sqlite();
        let house = house(&store, Clock::manual(friday_noon())).await;
        let lost = guid(300 + number as u128);
        let probonus = &house.probonus;
        let unreadable = json!({ "operation": "transactions", "kind": "status", "status": 500 });
        let fault = json!({ "operation": "register_check", "kind": "reset_after", "count": 1 });
        probonus.fault(unreadable).await;
        probonus.fault(fault).await;
        let answer = house
            .post("/partner/v1/checks", KEY, &check(&lost, house.account))
            .await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
        for other in 0..others {
            let other = check(&guid(1000 + other), house.account);
            let answer = house.post("/partner/v1/checks", KEY, &other).await;
            assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        }
        probonus.heal().await;
        // Longer than the pauses that the unreadable history left behind, and than it takes to prove that something is absent.
        house.clock.advance(Duration::from_secs(70));
        house.settled(&lost).await;
        assert_eq!(house.booked(&lost).await, 1);
        assert_eq!(u128::from(probonus.calls("register_check").await), others + 1);
        assert!(u128::from(probonus.calls("get_by_id").await) <= others + 1);
    }
}

#[tokio::test]
async fn an_accrual_on_its_way_that_might_be_the_order_keeps_it_from_being_sent_again() {
    let store = sqlite();
    let house = house(&store, Clock::manual(friday_noon())).await;
    let bought = json!({ "phone": ANNA, "sum": 154_000, "delay_days": 3 });
    house.probonus.control(Method::POST, "/till/purchase", bought).await;
    let sandbox = &house.probonus.sandbox;
    let path = format!(
        "{}/api/v0/accounts/get_balance_extended?accountId={}",
        sandbox.url(),
        house.account
    );
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let balance = send(http.get(path).bearer_auth(sandbox.token())).await.json();
    let pending = balance["pending"][0]["sum"].as_i64().expect("something is on its way");
    let (alike, other) = (guid(400), guid(401));
    let fault = json!({ "operation": "register_check", "kind": "reset_before", "count": 2 });
    house.probonus.fault(fault).await;
    for (guid, accrued) in [(&alike, pending), (&other, pending + 1)] {
        let mut order = check(guid, house.account);
        order["bonus_accrued"] = accrued.into();
        let answer = house.post("/partner/v1/checks", KEY, &order).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    }
    house.purchase().await;
    house.settled(&other).await;
    assert_eq!(house.state(&alike).await, "unknown");
    assert_eq!((house.booked(&other).await, house.booked(&alike).await), (1, 0));
    assert_eq!(house.probonus.calls("register_check").await, 3);
}

#[tokio::test]
async fn refills_are_once_per_key_settled_by_their_mark_and_capped() {
    let store = sqlite();
    let house = house(&store, Clock::manual(friday_noon())).await;
    let refill = async |key: Option<&str>, body: Value| {
        let mut request = house.replicas[0]
            .request(Method::POST, "/partner/v1/refills")
            .bearer_auth(KEY)
            .json(&body);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        send(request).await
    };
    let body = json!({ "phone": ANNA, "amount": 100_000, "comment": "За отзыв" });
    assert_eq!(refill(None, body.clone()).await.code(), "idempotency_key_required");
    house
        .probonus
        .fault(json!({ "operation": "refill", "kind": "reset_after", "count": 1 }))
        .await;
    let first = refill(Some("k1"), body.clone()).await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{}", first.text);
    let id = first.json()["operation_id"].as_str().expect("an id").to_owned();
    let path = format!("/partner/v1/refills/{id}");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        let answer = send(house.replicas[0].request(Method::GET, &path).bearer_auth(KEY)).await;
        if answer.json()["state"] == "registered" {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{}", answer.text);
        house.clock.advance(Duration::from_millis(700));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(house.probonus.calls("refill").await, 1);
    let again = refill(Some("k1"), body.clone()).await;
    assert_eq!(
        (again.status, again.json()["operation_id"].as_str()),
        (StatusCode::OK, Some(id.as_str()))
    );
    assert_eq!(
        refill(Some("k1"), json!({ "phone": ANNA, "amount": 1 })).await.code(),
        "idempotency_mismatch"
    );
    let too_much = refill(Some("k2"), json!({ "phone": ANNA, "amount": 500_001 })).await;
    assert_eq!(
        (too_much.code().as_str(), too_much.json()["errors"][0]["field"].as_str()),
        ("validation_failed", Some("amount"))
    );
    assert_eq!(
        refill(Some("k3"), json!({ "phone": ANNA, "amount": 500_000 }))
            .await
            .status,
        StatusCode::CREATED
    );
    let over = refill(Some("k4"), json!({ "phone": ANNA, "amount": 1 })).await;
    assert_eq!(over.status, StatusCode::TOO_MANY_REQUESTS, "{}", over.text);
    let nobody = refill(Some("k5"), json!({ "phone": "+79160000008", "amount": 1 })).await;
    assert!(["account_absent", "too_many_requests"].contains(&nobody.code().as_str()));
}

#[tokio::test]
async fn keys_scopes_and_bodies_are_checked_before_anything_else() {
    let store = sqlite();
    let house = house(&store, Clock::manual(friday_noon())).await;
    let guest = house.replicas[0].token(ANNA).await;
    house.probonus.forget().await;
    let good = check(&guid(300), house.account);
    for key in ["no such key at all", guest.as_str()] {
        let answer = house.post("/partner/v1/checks", key, &good).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (401, "unauthenticated")
        );
    }
    let as_guest = send(
        house.replicas[0]
            .request(Method::GET, "/api/v1/me/balance")
            .bearer_auth(KEY),
    )
    .await;
    assert_eq!(
        as_guest.status,
        StatusCode::UNAUTHORIZED,
        "a partner's key opens no guest's cabinet"
    );
    let groups = send(
        house.replicas[0]
            .request(Method::GET, "/partner/v1/account-groups")
            .bearer_auth(OTHER),
    )
    .await;
    assert_eq!((groups.status.as_u16(), groups.code().as_str()), (403, "scope_missing"));
    for (change, field) in [
        (json!({ "check_guid": "not-a-guid" }), "check_guid"),
        (
            json!({ "check_guid": "{10000000-0000-4000-8000-000000000001}" }),
            "check_guid",
        ),
        (json!({ "restaurant_code": "1" }), "restaurant_code"),
        (json!({ "restaurant_code": 9 }), "restaurant_code"),
        (json!({ "money_spent": -1 }), "money_spent"),
        (json!({ "money_spent": 1.5 }), "money_spent"),
        (json!({ "bonus_spent": 9_007_199_254_740_993_i64 }), "bonus_spent"),
        (json!({ "phone": ANNA }), "phone"),
        (json!({ "account_id": null }), "account_id"),
        (json!({ "content": "x".repeat(20_001) }), "content"),
        (json!({ "extra": 1 }), "extra"),
    ] {
        let mut body = good.clone();
        for (name, value) in change.as_object().expect("an object") {
            body[name] = value.clone();
        }
        let answer = house.post("/partner/v1/checks", KEY, &body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (422, "validation_failed"),
            "{change}"
        );
        assert_eq!(answer.json()["errors"][0]["field"], field, "{change}");
    }
    assert_eq!(house.probonus.calls("*").await, 0);
    let mut refused = good.clone();
    refused["bonus_spent"] = json!(900_000_000);
    let answer = house.post("/partner/v1/checks", KEY, &refused).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text);
    assert_eq!(house.state(&guid(300)).await, "rejected");
    let again = house.post("/partner/v1/checks", KEY, &refused).await;
    assert_eq!(
        (again.status.as_u16(), again.header("idempotent-replayed")),
        (422, Some("true"))
    );
}

/// One process of the real program.
struct Process(Child);

impl Process {
    fn start(config: &std::path::Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_guest-cabinet"));
        command.args(["serve", "--config"]).arg(config);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("the program starts"))
    }

    fn kill(&mut self) {
        // SIGKILL on every platform that tests run on.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("an address").port()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_eight_times_while_six_partners_push_everything_is_booked_once() {
    for store in each_engine().await {
        let probonus = ProBonus::start(&Clock::system()).await;
        let guests = probonus.control(Method::GET, "/guests", json!({})).await;
        let account = guests["guests"][0]["account_id"].as_i64().expect("an account");
        // Each booking takes its time, so that the kills hit operations on their way.
        let slow = json!({ "operation": "register_check", "kind": "latency", "latency_ms": 250 });
        probonus.fault(slow).await;
        let folder = tempfile::tempdir().expect("a folder");
        let count = if store.engine == "postgres" { 2 } else { 1 };
        let mut processes = Vec::new();
        let mut urls = Vec::new();
        for index in 0..count {
            let (listen, admin) = (free_port(), free_port());
            let file = folder.path().join(format!("{index}.toml"));
            let settings = format!(
                "listen = \"127.0.0.1:{listen}\"\nadmin_listen = \"127.0.0.1:{admin}\"\n\
                 secret = \"a master secret for tests of enough bytes\"\n[store]\nurl = \"{}\"\n\
                 [delivery]\ngateways = [\"console\"]\n[delivery.console]\ndevelopment = true\n{}url = \"{}\"\ntoken = \"{}\"\n",
                store.url,
                partners(),
                probonus.sandbox.url(),
                probonus.sandbox.token()
            );
            std::fs::write(&file, settings).expect("a file");
            urls.push(format!("http://127.0.0.1:{listen}"));
            processes.push((Process::start(&file), file));
        }
        let urls = Arc::new(urls);
        // The guest goes on buying: what never arrived is sent again only when the history is seen to be current.
        let sandbox = probonus.sandbox.url();
        let buying = tokio::spawn(async move {
            let http = reqwest::Client::builder().no_proxy().build().expect("a client");
            loop {
                let bought = json!({ "phone": ANNA, "sum": 100_000 });
                let _ = http
                    .post(format!("{sandbox}/sandbox/till/purchase"))
                    .json(&bought)
                    .send()
                    .await;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
        let pushers: Vec<_> = (0..6_u128)
            .map(|partner| {
                let urls = urls.clone();
                tokio::spawn(async move {
                    let http = reqwest::Client::builder()
                        .no_proxy()
                        .timeout(Duration::from_secs(3))
                        .build()
                        .expect("a client");
                    for number in 0..10_u128 {
                        push(&http, &urls, &check(&guid(1000 + partner * 100 + number), account)).await;
                    }
                })
            })
            .collect();
        for round in 0..8 {
            tokio::time::sleep(Duration::from_millis(350)).await;
            let (process, file) = &mut processes[round % count];
            process.kill();
            *process = Process::start(file);
        }
        for pusher in pushers {
            tokio::time::timeout(Duration::from_secs(90), pusher)
                .await
                .expect("in time")
                .expect("a pusher ends");
        }
        buying.abort();
        let booked = probonus
            .control(Method::GET, &format!("/accounts/{account}"), json!({}))
            .await;
        let checks = booked["checks"].as_array().expect("checks");
        for partner in 0..6_u128 {
            for number in 0..10_u128 {
                let guid = guid(1000 + partner * 100 + number);
                let times = checks.iter().filter(|check| check["guid"] == guid.as_str()).count();
                assert_eq!(times, 1, "{} {guid}", store.engine);
            }
        }
    }
}

/// Pushes one check as a careful partner does: the same body again until it is registered.
async fn push(http: &reqwest::Client, urls: &[String], body: &Value) {
    for turn in 0_usize.. {
        let url = &urls[turn % urls.len()];
        let sent = http
            .post(format!("{url}/partner/v1/checks"))
            .bearer_auth(KEY)
            .json(body)
            .send()
            .await;
        if let Ok(response) = sent {
            let status = response.status();
            assert!(!matches!(status.as_u16(), 400..=408 | 410..=428), "{status}");
            let answer: Value = response.json().await.unwrap_or(Value::Null);
            if answer["state"] == "registered" {
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_refill_that_names_a_check_in_its_comment_does_not_pass_for_that_check() {
    let store = sqlite();
    let house = house(&store, Clock::manual(friday_noon())).await;
    let guid = guid(700);
    let refill = json!({ "phone": ANNA, "amount": 7_700, "comment": format!("к заказу {guid}") });
    let request = house.replicas[0].request(Method::POST, "/partner/v1/refills");
    let answer = send(request.bearer_auth(KEY).header("idempotency-key", "k").json(&refill)).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    house.clock.advance(Duration::from_secs(2));
    let fault = json!({ "operation": "register_check", "kind": "reset_before", "count": 1 });
    house.probonus.fault(fault).await;
    let answer = house
        .post("/partner/v1/checks", KEY, &check(&guid, house.account))
        .await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    house.stays_unknown(&guid, Duration::from_mins(1)).await;
    house.purchase().await;
    house.settled(&guid).await;
    assert_eq!(house.booked(&guid).await, 1);
}
