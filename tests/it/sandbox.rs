//! The sandbox behaves like a ProBonus: its own rules of bonuses, its dialects, its faults, its controls.

use guest_cabinet::clock::Clock;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::cabinet::send;
use crate::support::{Answer, ProBonus, friday_noon};

const NOBODY: &str = "79160000008";

struct Bench {
    probonus: ProBonus,
    http: reqwest::Client,
}

impl Bench {
    async fn start() -> Self {
        Self {
            probonus: ProBonus::start(&Clock::manual(friday_noon())).await,
            http: reqwest::Client::builder().no_proxy().build().expect("a client"),
        }
    }

    async fn ask(&self, method: Method, path: &str, arguments: Value) -> Answer {
        let url = format!("{}/api/v0/{path}", self.probonus.sandbox.url());
        let request = self
            .http
            .request(method.clone(), url)
            .bearer_auth(self.probonus.sandbox.token());
        let request = if method == Method::GET {
            request.query(&arguments)
        } else {
            request.json(&arguments)
        };
        send(request).await
    }

    async fn sign_up(&self) -> i64 {
        let body = json!({ "accountGroupId": 3, "phone": NOBODY, "firstName": "Иван" });
        let answer = self.ask(Method::POST, "accounts/insert_by_template", body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.json()["id"].as_i64().expect("an id")
    }

    async fn balance(&self, id: i64) -> Value {
        self.ask(Method::GET, "accounts/get_balance_extended", json!({ "accountId": id }))
            .await
            .json()
    }

    async fn history(&self, id: i64) -> Vec<Value> {
        let arguments = json!({ "accountId": id, "dateFrom": "2020-01-01", "dateTo": "2040-01-01" });
        let answer = self.ask(Method::GET, "accounts/transactions", arguments).await.json();
        answer.as_array().expect("a history").clone()
    }
}

#[tokio::test]
async fn a_new_account_gets_its_groups_template_and_a_phone_only_one() {
    let bench = Bench::start().await;
    let insert = async |body: Value| {
        bench
            .ask(Method::POST, "accounts/insert_by_template", body)
            .await
            .status
    };
    let without = json!({ "accountGroupId": 1, "phone": NOBODY, "firstName": "Иван" });
    assert_eq!(insert(without).await, StatusCode::BAD_REQUEST, "no template");
    let id = bench.sign_up().await;
    assert_eq!(bench.balance(id).await["balance"], 30_000);
    let again = json!({ "accountGroupId": 3, "phone": "8 916 000-00-08", "firstName": "Иван" });
    assert_eq!(insert(again).await, StatusCode::CONFLICT);
}

#[tokio::test]
async fn bonuses_burn_on_their_day_arrive_on_theirs_and_are_spent_soonest_first() {
    let bench = Bench::start().await;
    let id = bench.sign_up().await;
    let phone = format!("+{NOBODY}");
    let till = async |path: &str, body: Value| {
        bench
            .probonus
            .control(Method::POST, &format!("/till/{path}"), body)
            .await
    };
    till("purchase", json!({ "phone": phone, "sum": 1_000_000, "delay_days": 2 })).await;
    let balance = bench.balance(id).await;
    assert_eq!(
        (balance["balance"].clone(), balance["pending"][0]["sum"].clone()),
        (json!(30_000), json!(30_000))
    );
    bench
        .probonus
        .control(Method::POST, "/clock", json!({ "days": 2 }))
        .await;
    assert_eq!(
        bench.balance(id).await["balance"],
        60_000,
        "what was on its way arrived"
    );
    till("spend", json!({ "phone": phone, "sum": 10_000 })).await;
    let details = bench.balance(id).await["details"].clone();
    assert_eq!(details[0]["sum"], 20_000, "what burns first is spent first: {details}");
    bench
        .probonus
        .control(Method::POST, "/clock", json!({ "days": 30 }))
        .await;
    assert_eq!(bench.balance(id).await["balance"], 30_000);
    let history = bench.history(id).await;
    let burned = history
        .iter()
        .find(|entry| entry["type"] == "burn")
        .expect("it is in the history");
    assert_eq!(burned["sum"], -20_000);
    let sum: i64 = history.iter().filter_map(|entry| entry["sum"].as_i64()).sum();
    assert_eq!(sum, 30_000, "the history adds up to the balance");
}

#[tokio::test]
async fn a_check_is_booked_every_time_it_is_sent_and_a_refund_takes_it_back() {
    let bench = Bench::start().await;
    let id = bench.sign_up().await;
    let check = json!({
        "restCode": 1, "checkGuid": "g-1", "accountId": id, "rkUnit": 1, "externalCheck": "D-1", "bonusSpentSum": 1000,
        "discountSum": 0, "bonusAccruedSum": 500, "moneySpentSum": 10_000, "checkData": "",
    });
    for _ in 0..2 {
        let answer = bench.ask(Method::POST, "external/register_check", check.clone()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }
    assert_eq!(
        bench.balance(id).await["balance"],
        29_000,
        "nobody looks whether the GUID was there before"
    );
    let booked = bench
        .probonus
        .control(Method::GET, &format!("/accounts/{id}"), json!({}))
        .await;
    assert_eq!(booked["checks"].as_array().map(Vec::len), Some(2));
    let refund = json!({ "phone": format!("+{NOBODY}") });
    bench.probonus.control(Method::POST, "/till/refund", refund).await;
    assert_eq!(bench.balance(id).await["balance"], 29_500);
    let last = bench.history(id).await.last().cloned().expect("an entry");
    assert_eq!(
        (last["type"].clone(), last["sum"].clone()),
        (json!("refund"), json!(500))
    );
}

#[tokio::test]
async fn a_login_gives_tokens_that_are_renewed_and_end() {
    let bench = Bench::start().await;
    let open = async |path: &str, body: Value| {
        let url = format!("{}/api/v0/auth/{path}", bench.probonus.sandbox.url());
        send(bench.http.post(url).json(&body)).await
    };
    let wrong = open("login", json!({ "login": "sandbox", "password": "no" })).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    let tokens = open("login", json!({ "login": "sandbox", "password": "sandbox" }))
        .await
        .json();
    let groups = async |token: &Value| {
        let url = format!("{}/api/v0/account_groups/list", bench.probonus.sandbox.url());
        send(bench.http.get(url).bearer_auth(token.as_str().expect("a token")))
            .await
            .status
    };
    assert_eq!(groups(&tokens["accessToken"]).await, StatusCode::OK);
    bench
        .probonus
        .control(Method::POST, "/clock", json!({ "seconds": 601 }))
        .await;
    assert_eq!(groups(&tokens["accessToken"]).await, StatusCode::UNAUTHORIZED);
    let renewed = open("refresh_token", json!({ "refreshToken": tokens["refreshToken"] })).await;
    assert_eq!(groups(&renewed.json()["accessToken"]).await, StatusCode::OK);
    let twice = open("refresh_token", json!({ "refreshToken": tokens["refreshToken"] })).await;
    assert_eq!(twice.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn faults_meet_the_operation_and_guest_they_are_ordered_for() {
    let bench = Bench::start().await;
    let find = async |phone: &str| {
        bench
            .ask(Method::GET, "accounts/find_by_phone", json!({ "phone": phone }))
            .await
            .status
    };
    let fault = json!({ "operation": "find_by_phone", "phone": "8 916 000-00-01", "kind": "status", "status": 503, "count": 1 });
    bench.probonus.fault(fault).await;
    assert_eq!(find("79160000002").await, StatusCode::OK);
    assert_eq!(find("79160000001").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(find("79160000001").await, StatusCode::OK, "once was ordered");
    assert_eq!(bench.probonus.calls("find_by_phone").await, 3);
    let journal = bench.probonus.control(Method::GET, "/journal", json!({})).await;
    assert!(
        !journal.to_string().contains("7916"),
        "the journal names arguments, not guests"
    );
}

#[tokio::test]
async fn wrong_orders_are_told_what_is_wrong() {
    let bench = Bench::start().await;
    let cases = [
        (Method::POST, "/faults", json!({ "kind": "explosion" }), 422),
        (Method::POST, "/faults", json!({ "kind": "status", "status": 9 }), 422),
        (
            Method::POST,
            "/faults",
            json!({ "kind": "status", "operation": "get_balance" }),
            422,
        ),
        (Method::POST, "/clock", json!({ "days": -1 }), 422),
        (Method::POST, "/clock", json!({ "days": 999_999_999 }), 422),
        (
            Method::POST,
            "/till/purchase",
            json!({ "phone": "+79160000001", "sum": 0 }),
            422,
        ),
        (
            Method::POST,
            "/till/purchase",
            json!({ "phone": "+79169999999", "sum": 100 }),
            422,
        ),
        (Method::PUT, "/dialect", json!({ "wrapping": "paper" }), 422),
        (Method::GET, "/nothing", json!({}), 404),
    ];
    for (method, path, body, status) in cases {
        let url = format!("{}/sandbox{path}", bench.probonus.sandbox.url());
        let answer = send(bench.http.request(method, url).json(&body)).await;
        assert_eq!(answer.status.as_u16(), status, "{path} {}", answer.text);
        assert!(answer.json()["error"].as_str().is_some_and(|error| !error.is_empty()));
    }
    let page = send(bench.http.get(bench.probonus.sandbox.url())).await;
    assert!(page.status.is_success() && page.text.contains("<html"));
    let document = send(bench.http.get(format!("{}/openapi.json", bench.probonus.sandbox.url())))
        .await
        .json();
    assert!(document["paths"]["/api/v0/external/register_check"]["post"].is_object());
}

#[tokio::test]
async fn it_describes_itself_in_the_dialect_it_speaks() {
    let bench = Bench::start().await;
    let described = async || {
        let url = format!("{}/openapi.json", bench.probonus.sandbox.url());
        send(bench.http.get(url)).await.json()
    };
    let usual = described().await;
    assert!(usual["paths"]["/api/v0/accounts/find_by_phone"]["get"].is_object());
    let dialect = json!({ "post_reads": true, "token_header": "X-Api-Token" });
    bench.probonus.control(Method::PUT, "/dialect", dialect).await;
    let other = described().await;
    let find = &other["paths"]["/api/v0/accounts/find_by_phone"];
    assert!(find["get"].is_null() && find["post"]["requestBody"].is_object());
    assert_eq!(other["components"]["securitySchemes"]["token"]["name"], "X-Api-Token");
}
