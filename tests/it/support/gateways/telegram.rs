//! Telegram Gateway. A phone that ends with 404 has no Telegram; one that ends with 429 must wait.

use serde_json::{Value, json};

use super::{Call, Emulator};

pub const TOKEN: &str = "TEST-TOKEN-1";

impl Emulator {
    /// Starts a Telegram Gateway.
    pub async fn telegram() -> Self {
        Self::start(answer).await
    }
}

fn answer(gateway: &Emulator, call: &Call) -> Value {
    let refused = |error: &str| json!({ "ok": false, "error": error });
    let phone = call.field("phone_number");
    if call
        .headers
        .get("authorization")
        .is_none_or(|token| token != &format!("Bearer {TOKEN}"))
    {
        return refused("ACCESS_TOKEN_INVALID");
    }
    let ttl: u32 = call.field("ttl").parse().unwrap_or(0);
    match call.path.as_str() {
        "/sendVerificationMessage" if !phone.starts_with('+') => refused("PHONE_NUMBER_INVALID"),
        "/sendVerificationMessage" if phone.ends_with("404") => refused("PHONE_NUMBER_NOT_FOUND"),
        "/sendVerificationMessage" if phone.ends_with("429") => refused("FLOOD_WAIT_17"),
        "/sendVerificationMessage" if !(30..=3600).contains(&ttl) => refused("TTL_INVALID"),
        "/sendVerificationMessage" => json!({ "ok": true, "result": {
            "request_id": gateway.calls("/sendVerificationMessage").len().to_string(),
            "phone_number": phone, "request_cost": 0.01, "remaining_balance": 12.5,
        }}),
        _ => refused("UNKNOWN_METHOD"),
    }
}
