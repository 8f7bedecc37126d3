//! SMS.ru. A phone that ends with a number from 100 on is refused with that code; the same text twice, too.

use serde_json::{Value, json};

use super::{Call, Emulator};

pub const API_ID: &str = "TEST-API-ID";

impl Emulator {
    /// Starts an SMS.ru.
    pub async fn smsru() -> Self {
        Self::start(answer).await
    }

    /// From now on each call that is waited for has a number of its own.
    pub fn has_many_numbers(&self) {
        self.remember("many numbers", "yes");
    }

    /// Somebody calls `dial` from `phone` (digits): what waits for that at this number is confirmed.
    pub fn guest_dials(&self, phone: &str, dial: &str) {
        self.settle_calls(phone, Some(dial.trim_start_matches('+')), "401");
    }

    /// The guest with `phone` (digits) calls, and the gateway does not look at the number that is called.
    pub fn guest_calls(&self, phone: &str) {
        self.settle_calls(phone, None, "401");
    }

    /// The guest did not call in time.
    pub fn call_is_over(&self, phone: &str) {
        self.settle_calls(phone, None, "402");
    }

    fn settle_calls(&self, phone: &str, dial: Option<&str>, state: &str) {
        for (name, call) in self.recall_all("check ") {
            let mut parts = call.split(' ');
            let (_, caller, number) = (parts.next(), parts.next(), parts.next().expect("a number"));
            if caller == Some(phone) && dial.is_none_or(|dial| dial == number) {
                self.remember(&name, &format!("{state} {phone} {number}"));
            }
        }
    }
}

fn answer(gateway: &Emulator, call: &Call) -> Value {
    if call.field("api_id") != API_ID {
        return json!({ "status": "ERROR", "status_code": 200, "status_text": "Неправильный api_id" });
    }
    match call.path.as_str() {
        "/sms/send" => send(gateway, call),
        "/code/call" => {
            let code: Value = gateway.recall("digits").map_or(json!("0435"), Value::from);
            json!({ "status": "OK", "code": code, "call_id": "000000-10000000", "cost": 0.4, "balance": 4122.56 })
        }
        "/callcheck/add" => {
            let count = gateway.calls("/callcheck/add").len();
            let own = if gateway.recall("many numbers").is_some() {
                count
            } else {
                5
            };
            let (id, number) = (format!("202601-{count}"), format!("7800500827{own}"));
            gateway.remember(&format!("check {id}"), &format!("400 {} {number}", call.field("phone")));
            json!({
                "status": "OK", "status_code": 100, "check_id": id, "call_phone": number,
                "call_phone_pretty": number, "call_phone_html": format!("<a href=\"callto:{number}\">{number}</a>"),
            })
        }
        "/callcheck/status" => {
            let state = gateway.recall(&format!("check {}", call.field("check_id")));
            let state = state
                .as_deref()
                .and_then(|call| call.split(' ').next())
                .unwrap_or("402");
            json!({ "status": "OK", "status_code": 100, "check_status": state, "check_status_text": "" })
        }
        "/my/balance" => json!({ "status": "OK", "status_code": 100, "balance": balance(gateway) }),
        _ => json!({ "status": "ERROR", "status_code": 210, "status_text": "" }),
    }
}

fn balance(gateway: &Emulator) -> f64 {
    let told = gateway.recall("balance");
    told.map_or(4122.56, |balance| balance.parse().expect("a sum"))
}

fn send(gateway: &Emulator, call: &Call) -> Value {
    let phone = call.field("to").to_owned();
    let sane = phone.len() == 11 && phone.starts_with('7') && phone.bytes().all(|digit| digit.is_ascii_digit());
    let ending: u32 = phone.get(8..).and_then(|end| end.parse().ok()).unwrap_or(0);
    let code = if !sane {
        202
    } else if call.field("msg").is_empty() {
        203
    } else if call.field("msg").encode_utf16().count() > 70 {
        205
    } else if ending >= 100 {
        ending
    } else if gateway.remember(&format!("text {phone}"), call.field("msg")).as_deref() == Some(call.field("msg")) {
        232
    } else {
        100
    };
    let id = format!("202626-{}", 1_000_000 + gateway.calls("/sms/send").len());
    let inner = if code == 100 {
        json!({ "status": "OK", "status_code": 100, "sms_id": id })
    } else {
        json!({ "status": "ERROR", "status_code": code, "status_text": "Отказ", "sms_id": id })
    };
    json!({ "status": "OK", "status_code": 100, "sms": { phone: inner }, "balance": balance(gateway) })
}
