//! Telegram Gateway: a message in the messenger, for guests who have it.

use async_trait::async_trait;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::gateway::{Accepted, Gateway, Message, Reason, SendError};
use super::reply::{self, sum, text};
use crate::clock::Deadline;
use crate::config::{GatewayName, TelegramConfig};
use crate::model::Channel;

/// The gateway.
pub(super) struct Telegram {
    config: TelegramConfig,
    http: reqwest::Client,
}

impl Telegram {
    pub fn new(config: TelegramConfig, http: reqwest::Client) -> Self {
        Self { config, http }
    }
}

#[async_trait]
impl Gateway for Telegram {
    fn name(&self) -> GatewayName {
        GatewayName::Telegram
    }

    fn channels(&self) -> &[Channel] {
        &[Channel::Telegram]
    }

    async fn send(&self, message: &Message<'_>, deadline: Deadline) -> Result<Accepted, SendError> {
        let base = self.config.url.as_str().trim_end_matches('/');
        let mut body = json!({ "phone_number": message.phone.e164(), "code": message.code, "ttl": 300 });
        if let Some(sender) = &self.config.sender_username {
            body["sender_username"] = sender.as_str().into();
        }
        let request = self
            .http
            .post(format!("{base}/sendVerificationMessage"))
            .bearer_auth(self.config.token.expose_secret())
            .json(&body);
        let (status, answer) = reply::json(request, deadline).await?;
        if status.is_server_error() {
            return Err(SendError::Uncertain);
        }
        read(&answer)
    }
}

fn read(answer: &Value) -> Result<Accepted, SendError> {
    match answer["ok"].as_bool() {
        Some(true) => Ok(Accepted {
            provider_id: text(&answer["result"]["request_id"]),
            balance: sum(&answer["result"]["remaining_balance"]),
        }),
        Some(false) => Err(match answer["error"].as_str().unwrap_or_default() {
            "MESSAGE_ALREADY_SENT" => SendError::Uncertain,
            error => SendError::Rejected(reason(error)),
        }),
        None => Err(SendError::Uncertain),
    }
}

fn reason(error: &str) -> Reason {
    match error {
        "ACCESS_TOKEN_INVALID" | "ACCESS_TOKEN_REQUIRED" => Reason::Auth,
        "BALANCE_NOT_ENOUGH" => Reason::Balance,
        "PHONE_NUMBER_INVALID" => Reason::BadPhone,
        "PHONE_NUMBER_NOT_FOUND" | "PHONE_NUMBER_NOT_AVAILABLE" => Reason::Unreachable,
        error if error.contains("FLOOD_WAIT") => Reason::AccountLimit,
        error if error.starts_with("SENDER_") => Reason::Sender,
        _ => Reason::BadRequest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart() {
        let of = |error: &str| read(&json!({ "ok": false, "error": error })).err();
        assert_eq!(of("FLOOD_WAIT_17"), Some(SendError::Rejected(Reason::AccountLimit)));
        assert_eq!(
            of("PHONE_NUMBER_NOT_FOUND"),
            Some(SendError::Rejected(Reason::Unreachable))
        );
        assert_eq!(of("MESSAGE_ALREADY_SENT"), Some(SendError::Uncertain));
        assert_eq!(read(&json!([])).err(), Some(SendError::Uncertain));
        assert!(read(&json!({ "ok": true, "result": { "request_id": "5" } })).is_ok());
    }
}
