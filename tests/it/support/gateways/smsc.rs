//! SMSC: errors come with HTTP 200, sums as text; the same text to the same phone twice is refused.

use serde_json::{Value, json};

use super::{Call, Emulator};

pub const API_KEY: &str = "smsc-test-key";

impl Emulator {
    /// Starts an SMSC.
    pub async fn smsc() -> Self {
        Self::start(answer).await
    }
}

fn error(code: u32) -> Value {
    json!({ "error": "refused", "error_code": code })
}

fn answer(gateway: &Emulator, call: &Call) -> Value {
    if call.field("fmt") != "3" || call.field("charset") != "utf-8" {
        return error(1);
    }
    if call.field("apikey") != API_KEY {
        return error(2);
    }
    match call.path.as_str() {
        "/sys/send.php" => send(gateway, call),
        "/sys/balance.php" => json!({ "balance": "100.50" }),
        _ => error(1),
    }
}

fn send(gateway: &Emulator, call: &Call) -> Value {
    let phone = call.field("phones");
    if phone.ends_with("007") {
        return json!({ "error": "invalid number", "error_code": 7, "id": call.field("id") });
    }
    let before = gateway.remember(&format!("text {phone}"), call.field("mes"));
    if before.as_deref() == Some(call.field("mes")) {
        return error(9);
    }
    json!({ "id": call.field("id"), "cnt": 1, "cost": "1.40", "balance": "100.5" })
}
