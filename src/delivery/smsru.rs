//! SMS.ru: short messages.

use async_trait::async_trait;
use secrecy::ExposeSecret;
use serde_json::Value;

use super::gateway::{Accepted, Gateway, Message, Reason, SendError};
use super::reply::{self, number, sum, text};
use crate::clock::Deadline;
use crate::config::{GatewayName, SmsruConfig};
use crate::model::Channel;

/// The gateway.
pub(super) struct Smsru {
    config: SmsruConfig,
    http: reqwest::Client,
}

impl Smsru {
    pub fn new(config: SmsruConfig, http: reqwest::Client) -> Self {
        Self { config, http }
    }
}

#[async_trait]
impl Gateway for Smsru {
    fn name(&self) -> GatewayName {
        GatewayName::Smsru
    }

    fn channels(&self) -> &[Channel] {
        &[Channel::Sms]
    }

    async fn send(&self, message: &Message<'_>, deadline: Deadline) -> Result<Accepted, SendError> {
        let base = self.config.url.as_str().trim_end_matches('/');
        let mut form = vec![
            ("api_id", self.config.api_id.expose_secret()),
            ("json", "1"),
            ("to", message.phone.digits()),
            ("msg", message.text),
        ];
        if let Some(from) = &self.config.from {
            form.push(("from", from));
        }
        let request = self.http.post(format!("{base}/sms/send")).form(&form);
        let (status, answer) = reply::json(request, deadline).await?;
        if status.is_server_error() {
            return Err(SendError::Uncertain);
        }
        read(&answer)
    }
}

/// Outer OK with an inner error is usual: only an inner OK with code 100 is a promise.
fn read(answer: &Value) -> Result<Accepted, SendError> {
    if answer["status"] != "OK" {
        return Err(
            number(&answer["status_code"]).map_or(SendError::Uncertain, |code| SendError::Rejected(reason(code)))
        );
    }
    let only = answer["sms"].as_object().filter(|list| list.len() == 1);
    let Some(inner) = only.and_then(|list| list.values().next()) else {
        return Err(SendError::Uncertain);
    };
    match (inner["status"].as_str(), number(&inner["status_code"])) {
        (Some("OK"), Some(100)) => Ok(Accepted {
            provider_id: text(&inner["sms_id"]),
            balance: sum(&answer["balance"]),
        }),
        (_, Some(code)) => Err(SendError::Rejected(reason(code))),
        _ => Err(SendError::Uncertain),
    }
}

fn reason(code: i64) -> Reason {
    match code {
        200 | 300..=302 => Reason::Auth,
        201 => Reason::Balance,
        202 => Reason::BadPhone,
        204 | 221 => Reason::Sender,
        206 | 508 => Reason::AccountLimit,
        207 | 150 => Reason::Unreachable,
        209 | 215 => Reason::StopList,
        214 | 550 => Reason::Country,
        216 | 217 => Reason::Content,
        220 | 500 => Reason::Unavailable,
        230..=233 => Reason::RecipientLimit,
        501..=506 => Reason::Fraud,
        _ => Reason::BadRequest,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_inner_error_is_an_error_even_with_an_id() {
        let ok = json!({"status":"OK","status_code":"100","sms":{"79160000001":{"status":"OK","status_code":"100","sms_id":"1-2"}},"balance":"4122.56"});
        let accepted = read(&ok).unwrap_or_else(|_| panic!("taken"));
        assert_eq!(
            (accepted.provider_id.as_deref(), accepted.balance),
            (Some("1-2"), Some(4122.56))
        );
        let inner = json!({"status":"OK","status_code":100,"sms":{"79160000001":{"status":"ERROR","status_code":221,"sms_id":"1-2"}}});
        assert_eq!(read(&inner).err(), Some(SendError::Rejected(Reason::Sender)));
        let outer = json!({"status":"ERROR","status_code":200});
        assert_eq!(read(&outer).err(), Some(SendError::Rejected(Reason::Auth)));
        assert_eq!(read(&json!({})).err(), Some(SendError::Uncertain));
    }
}
