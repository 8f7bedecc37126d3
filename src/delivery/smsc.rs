//! SMSC: short messages.

use async_trait::async_trait;
use secrecy::ExposeSecret;
use serde_json::Value;

use super::gateway::{Accepted, Gateway, Message, Reason, SendError};
use super::reply::{self, number, sum, text};
use crate::clock::Deadline;
use crate::config::{GatewayName, SmscConfig};
use crate::model::Channel;

/// The gateway.
pub(super) struct Smsc {
    config: SmscConfig,
    http: reqwest::Client,
}

impl Smsc {
    pub fn new(config: SmscConfig, http: reqwest::Client) -> Self {
        Self { config, http }
    }
}

#[async_trait]
impl Gateway for Smsc {
    fn name(&self) -> GatewayName {
        GatewayName::Smsc
    }

    fn channels(&self) -> &[Channel] {
        &[Channel::Sms]
    }

    async fn send(&self, message: &Message<'_>, deadline: Deadline) -> Result<Accepted, SendError> {
        let base = self.config.url.as_str().trim_end_matches('/');
        let mut form = vec![
            ("fmt", "3"),
            ("charset", "utf-8"),
            ("cost", "3"),
            ("phones", message.phone.digits()),
            ("mes", message.text),
            ("id", message.id),
        ];
        let credentials = [
            ("apikey", &self.config.api_key),
            ("login", &self.config.login),
            ("psw", &self.config.password),
        ];
        form.extend(
            credentials
                .into_iter()
                .filter_map(|(name, secret)| Some((name, secret.as_ref()?.expose_secret()))),
        );
        if let Some(sender) = &self.config.sender {
            form.push(("sender", sender));
        }
        let request = self.http.post(format!("{base}/send.php")).form(&form);
        let (status, answer) = reply::json(request, deadline).await?;
        if status.is_server_error() {
            return Err(SendError::Uncertain);
        }
        read(&answer)
    }
}

/// There is no status: the presence of an error decides.
fn read(answer: &Value) -> Result<Accepted, SendError> {
    if answer.get("error").is_some() || answer.get("error_code").is_some() {
        return Err(SendError::Rejected(match number(&answer["error_code"]) {
            Some(2) => Reason::Auth,
            Some(3) => Reason::Balance,
            Some(4) => Reason::Unavailable,
            Some(6) => Reason::Content,
            Some(7) => Reason::BadPhone,
            Some(8) => Reason::Unreachable,
            Some(9) => Reason::Duplicate,
            _ => Reason::BadRequest,
        }));
    }
    match text(&answer["id"]) {
        Some(id) => Ok(Accepted {
            provider_id: Some(id),
            balance: sum(&answer["balance"]),
        }),
        None => Err(SendError::Uncertain),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_presence_of_an_error_decides() {
        let accepted = read(&json!({"id": 1234, "cnt": 1, "cost": "1.40", "balance": "100.5"}))
            .unwrap_or_else(|_| panic!("taken"));
        assert_eq!(
            (accepted.provider_id.as_deref(), accepted.balance),
            (Some("1234"), Some(100.5))
        );
        assert_eq!(
            read(&json!({"error": "duplicate", "error_code": "9", "id": 5})).err(),
            Some(SendError::Rejected(Reason::Duplicate))
        );
        assert_eq!(read(&json!({"cnt": 1})).err(), Some(SendError::Uncertain));
    }
}
