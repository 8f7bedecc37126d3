//! Gateways report later: only what they signed is taken, and it only moves a message forward.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use guest_cabinet::clock::Clock;
use guest_cabinet::keys::{hex, sha256};
use md5::{Digest, Md5};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::support::cabinet::send;
use crate::support::gateways::{smsru, telegram};
use crate::support::{Answer, Emulator, Mood, ProBonus, TestCabinet, TestStore, courier, friday_noon, sqlite};

const REPORTS: &str = "whsec_cmVwb3J0cyByZXBvcnRzIHJlcG9ydHMgcmVwb3J0cw==";

struct Stage {
    cabinet: TestCabinet,
    smsru: Emulator,
    smsc: Emulator,
    clock: Clock,
    _probonus: ProBonus,
    _store: TestStore,
}

impl Stage {
    async fn open() -> Self {
        let clock = Clock::manual(friday_noon());
        let store = sqlite();
        let probonus = ProBonus::start(&clock).await;
        let (smsru, smsc, telegram) = tokio::join!(Emulator::smsru(), Emulator::smsc(), Emulator::telegram());
        let mut more: toml::Table = format!("[delivery]\n{}", courier::settings(&smsru, &smsc, &telegram))
            .parse()
            .expect("TOML");
        more["delivery"]["gateways"] = toml::Value::from(vec!["smsru", "smsc", "telegram", "webhook"]);
        let webhook = toml::toml! {
            report_secret = "whsec_cmVwb3J0cyByZXBvcnRzIHJlcG9ydHMgcmVwb3J0cw=="
            channels = ["other"]
        };
        let delivery = more["delivery"].as_table_mut().expect("a table");
        delivery.insert("webhook".into(), webhook.into());
        let (url, token) = (probonus.sandbox.url(), probonus.sandbox.token().to_owned());
        Self {
            cabinet: TestCabinet::start(&url, &token, &store.url, clock.clone(), &more.to_string()).await,
            smsru,
            smsc,
            clock,
            _probonus: probonus,
            _store: store,
        }
    }

    /// A message by `channel` that a gateway took: the challenge's path.
    async fn sent(&self, phone: &str, channel: &str) -> String {
        let body = json!({ "phone": phone, "channel": channel });
        let asked = self.cabinet.post("/api/v1/auth/challenges", &body).await;
        assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.text);
        let path = format!(
            "/api/v1/auth/challenges/{}",
            asked.json()["challenge_id"].as_str().expect("an id")
        );
        while self.state(&path).await == "queued" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(self.state(&path).await, "sent");
        path
    }

    async fn state(&self, path: &str) -> Value {
        send(self.cabinet.request(Method::GET, path)).await.json()["delivery"].clone()
    }

    fn report(&self, gateway: &str) -> RequestBuilder {
        self.cabinet.request(Method::POST, &format!("/callbacks/{gateway}"))
    }

    async fn smsru_says(&self, records: &[String]) -> Answer {
        send(self.report("smsru").form(&smsru_fields(records))).await
    }

    /// A report of the operator's receiver, signed `late` seconds ago.
    async fn webhook_says(&self, told: &Value, late: i64) -> Answer {
        let body = told.to_string();
        let seconds = self.clock.now().as_second() - late;
        let key = STANDARD.decode(&REPORTS[6..]).expect("base64");
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let signature = hmac::sign(&key, format!("evt_1.{seconds}.{body}").as_bytes());
        let request = self
            .report("webhook")
            .header("content-type", "application/json")
            .header("webhook-id", "evt_1")
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", format!("v1,{}", STANDARD.encode(signature)));
        send(request.body(body)).await
    }
}

fn smsru_fields(records: &[String]) -> Vec<(String, String)> {
    let hash = hex(&sha256(format!("{}{}", smsru::API_ID, records.concat()).as_bytes()));
    let data = records.iter().enumerate();
    let mut fields: Vec<_> = data
        .map(|(index, record)| (format!("data[{index}]"), record.clone()))
        .collect();
    fields.push(("hash".into(), hash));
    fields
}

fn sms_status(number: usize, code: u32) -> String {
    format!("sms_status\n202626-{}\n{code}\n1767225601", 1_000_000 + number)
}

#[tokio::test]
async fn sms_ru_hears_a_hundred_and_the_message_is_delivered_whatever_comes_after() {
    let stage = Stage::open().await;
    let path = stage.sent("+79160000001", "sms").await;
    let on_its_way = stage.smsru_says(&[sms_status(1, 102)]).await;
    assert_eq!((on_its_way.status, on_its_way.text.as_str()), (StatusCode::OK, "100"));
    assert_eq!(stage.state(&path).await, "sent");
    let batch = [
        "test\n1767225600".into(),
        sms_status(1, 103),
        "later_kind\n1\n2".into(),
        sms_status(77, 103),
    ];
    for _ in 0..2 {
        assert_eq!(stage.smsru_says(&batch).await.text, "100");
        assert_eq!(stage.state(&path).await, "delivered");
    }
    for late in [104, 102] {
        assert_eq!(stage.smsru_says(&[sms_status(1, late)]).await.text, "100");
        assert_eq!(stage.state(&path).await, "delivered", "{late}");
    }
}

#[tokio::test]
async fn a_form_in_parts_is_the_same_form() {
    let stage = Stage::open().await;
    let path = stage.sent("+79160000001", "sms").await;
    let parts = smsru_fields(&[sms_status(1, 103)]);
    let part = |(name, value)| format!("--cut\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let body = parts.into_iter().map(part).collect::<String>() + "--cut--\r\n";
    let request = stage
        .report("smsru")
        .header("content-type", "multipart/form-data; boundary=cut");
    assert_eq!(send(request.body(body)).await.text, "100");
    assert_eq!(stage.state(&path).await, "delivered");
}

#[tokio::test]
async fn a_message_that_did_not_arrive_says_so_and_frees_the_next() {
    let stage = Stage::open().await;
    let path = stage.sent("+79160000001", "sms").await;
    stage.smsru_says(&[sms_status(1, 108)]).await;
    assert_eq!(stage.state(&path).await, "failed");
    let again = stage
        .cabinet
        .post(&format!("{path}/resend"), &json!({ "channel": "telegram" }))
        .await;
    assert_eq!(again.status, StatusCode::ACCEPTED, "{}", again.text);
}

#[tokio::test]
async fn a_message_that_did_not_arrive_gives_back_no_pause_of_a_later_one() {
    for anew in [false, true] {
        let stage = Stage::open().await;
        let path = stage.sent("+79160000001", "sms").await;
        stage.clock.advance(Duration::from_mins(1));
        if anew {
            stage.sent("+79160000001", "sms").await;
        } else {
            let resend = format!("{path}/resend");
            let again = stage.cabinet.post(&resend, &json!({ "channel": "telegram" })).await;
            assert_eq!(again.status, StatusCode::ACCEPTED, "{}", again.text);
            while stage.state(&path).await == "queued" {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        stage.smsru_says(&[sms_status(1, 108)]).await;
        assert_eq!(stage.state(&path).await, if anew { "failed" } else { "sent" });
        let body = json!({ "phone": "+79160000001" });
        let early = stage.cabinet.post("/api/v1/auth/challenges", &body).await;
        assert_eq!(early.code(), "too_many_requests", "{anew}");
        if anew {
            // The later one's own failure gives it back.
            stage.smsru_says(&[sms_status(2, 108)]).await;
            let next = stage.cabinet.post("/api/v1/auth/challenges", &body).await;
            assert_eq!(next.status, StatusCode::ACCEPTED, "{}", next.text);
        }
    }
}

#[tokio::test]
async fn what_is_not_signed_changes_nothing() {
    let stage = Stage::open().await;
    let path = stage.sent("+79160000001", "sms").await;
    let mut forged = smsru_fields(&[sms_status(1, 108)]);
    forged[0].1 = sms_status(1, 103);
    let no_hash = vec![("data[0]".to_owned(), sms_status(1, 103))];
    for fields in [forged, no_hash] {
        let answer = send(stage.report("smsru").form(&fields)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (401, "unauthenticated")
        );
    }
    let delivered = json!({ "request_id": "1", "delivery_status": { "status": "delivered" } });
    assert_eq!(
        send(stage.report("telegram").json(&delivered)).await.code(),
        "unauthenticated"
    );
    assert_eq!(
        send(stage.report("webhook").json(&delivered)).await.code(),
        "unauthenticated"
    );
    for nowhere in ["console", "nobody", "smsc", "smsc/guessed"] {
        let answer = send(stage.report(nowhere).form(&[("md5", "")])).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (404, "not_found"),
            "{nowhere}"
        );
    }
    let huge = send(stage.report("smsru").body("x".repeat(65 * 1024))).await;
    assert_eq!(huge.code(), "body_too_large");
    assert_eq!(stage.state(&path).await, "sent");
}

#[tokio::test]
async fn smsc_reports_to_its_secret_address() {
    let stage = Stage::open().await;
    stage.smsru.is(Mood::Html(502));
    let path = stage.sent("+79160000001", "sms").await;
    // SMSC was given our id; the report names it.
    let smsc = stage.smsc.calls("/sys/send.php")[0].field("id").to_owned();
    let checksum = hex(&Md5::digest(format!("{smsc}:79160000001:1:secret")));
    let fields = [
        ("id", smsc.as_str()),
        ("phone", "79160000001"),
        ("status", "1"),
        ("ts", "1767225600"),
        ("md5", &checksum),
    ];
    let wrong = [
        ("id", smsc.as_str()),
        ("phone", "79160000001"),
        ("status", "20"),
        ("md5", &checksum),
    ];
    assert_eq!(
        send(stage.report("smsc/unguessable").form(&wrong)).await.code(),
        "unauthenticated"
    );
    assert_eq!(stage.state(&path).await, "sent");
    let taken = send(stage.report("smsc/unguessable").form(&fields)).await;
    assert_eq!(taken.status, StatusCode::OK, "{}", taken.text);
    assert_eq!(stage.state(&path).await, "delivered");
}

#[tokio::test]
async fn telegram_signs_with_the_hash_of_our_token() {
    let stage = Stage::open().await;
    let path = stage.sent("+79160000001", "telegram").await;
    let body = json!({ "request_id": "1", "delivery_status": { "status": "read", "updated_at": 1 } }).to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &sha256(telegram::TOKEN.as_bytes()));
    let signed = |late: i64| {
        let seconds = stage.clock.now().as_second() - late;
        let signature = hex(hmac::sign(&key, format!("{seconds}\n{body}").as_bytes()).as_ref());
        let request = stage.report("telegram").header("x-request-timestamp", seconds);
        send(request.header("x-request-signature", signature).body(body.clone()))
    };
    assert_eq!(signed(301).await.code(), "unauthenticated");
    assert_eq!(stage.state(&path).await, "sent");
    assert_eq!(signed(0).await.status, StatusCode::OK);
    assert_eq!(stage.state(&path).await, "delivered");
}

#[tokio::test]
async fn the_operators_receiver_reports_by_the_attempt_it_was_told() {
    let stage = Stage::open().await;
    let path = stage.sent("+79160000001", "other").await;
    let attempt = stage.cabinet.receiver.messages()[0]["data"]["attempt_id"].clone();
    let told = |status: &str| json!({ "type": "otp.delivery", "data": { "attempt_id": attempt, "status": status } });
    assert_eq!(
        stage.webhook_says(&told("delivered"), 301).await.code(),
        "unauthenticated"
    );
    // A code is not proven by a call that nobody asked for.
    let confirmed = json!({ "type": "otp.confirmed", "data": { "attempt_id": attempt } });
    assert_eq!(stage.webhook_says(&confirmed, 0).await.status, StatusCode::OK);
    assert_eq!(stage.state(&path).await, "sent");
    assert_eq!(
        stage.webhook_says(&json!({ "type": "otp.delivery" }), 0).await.code(),
        "malformed_request"
    );
    assert_eq!(stage.webhook_says(&told("delivered"), 0).await.status, StatusCode::OK);
    assert_eq!(stage.state(&path).await, "delivered");
    assert_eq!(stage.webhook_says(&told("failed"), 0).await.status, StatusCode::OK);
    assert_eq!(stage.state(&path).await, "delivered");
}

#[tokio::test]
async fn sms_ru_may_report_the_guests_call_before_it_is_asked() {
    let stage = Stage::open().await;
    let path = stage.sent("+79160000001", "guest_call").await;
    let call = |check: u32| format!("callcheck_status\n202601-{check}\n401\n1767225602");
    stage.smsru_says(&[call(2)]).await;
    assert_eq!(stage.state(&path).await, "sent");
    stage.smsru_says(&[call(1)]).await;
    assert_eq!(stage.state(&path).await, "confirmed");
    let body = json!({ "code": "000000", "session": "bearer" });
    let verified = stage.cabinet.post(&format!("{path}/verify"), &body).await;
    assert_eq!(verified.status, StatusCode::OK, "{}", verified.text);
}
