//! The operator's own receiver, signed by Standard Webhooks: whatever gateway there is, a few lines of the operator's reach it.

use async_trait::async_trait;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::gateway::{Accepted, Gateway, Message, Reason, SendError};
use super::reply;
use crate::clock::{Clock, Deadline};
use crate::config::{GatewayName, WebhookConfig};
use crate::model::Channel;

/// The gateway.
pub(super) struct Webhook {
    config: WebhookConfig,
    key: hmac::Key,
    channels: Vec<Channel>,
    http: reqwest::Client,
    clock: Clock,
}

impl Webhook {
    pub fn new(config: WebhookConfig, http: reqwest::Client, clock: Clock) -> Result<Self, String> {
        if !config.allow_private && is_private(&config.url) {
            return Err("url names a private address; set delivery.webhook.allow_private = true to allow that".into());
        }
        Ok(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret_bytes(&config.secret)),
            channels: config.channels.iter().filter_map(|name| Channel::named(name)).collect(),
            config,
            http,
            clock,
        })
    }
}

/// The bytes of a secret: what follows `whsec_` in base64, or the text itself when it is none.
fn secret_bytes(secret: &SecretString) -> Vec<u8> {
    let text = secret.expose_secret();
    let encoded = text.strip_prefix("whsec_").unwrap_or(text);
    STANDARD
        .decode(encoded)
        .ok()
        .filter(|bytes| !bytes.is_empty())
        .unwrap_or_else(|| text.as_bytes().to_vec())
}

/// Whether the address is literally one of a private network. Loopback is this machine and always allowed.
fn is_private(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_private() || ip.is_link_local() || ip.is_unspecified(),
        Some(url::Host::Ipv6(ip)) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified(),
        _ => false,
    }
}

/// The signature of Standard Webhooks over id, moment and body.
fn sign(key: &hmac::Key, id: &str, seconds: i64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(key);
    context.update(format!("{id}.{seconds}.").as_bytes());
    context.update(body);
    format!("v1,{}", STANDARD.encode(context.sign()))
}

#[async_trait]
impl Gateway for Webhook {
    fn name(&self) -> GatewayName {
        GatewayName::Webhook
    }

    fn channels(&self) -> &[Channel] {
        &self.channels
    }

    async fn send(&self, message: &Message<'_>, deadline: Deadline) -> Result<Accepted, SendError> {
        let now = self.clock.now();
        let body = json!({
            "type": "otp.send",
            "timestamp": now.to_string(),
            "data": {
                "attempt_id": message.id,
                "phone": message.phone.e164(),
                "channel": message.channel.as_str(),
                "code": message.code,
                "text": message.text,
                "locale": message.language,
                "expires_at": message.expires_at.to_string(),
                "guest_ip": null,
            },
        });
        let body = serde_json::to_vec(&body).expect("a message is plain data");
        let id = format!("{}-webhook", message.id);
        let seconds = now.as_second();
        let request = self
            .http
            .post(self.config.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", sign(&self.key, &id, seconds, &body))
            .body(body);
        let (status, answer) = reply::exchange(request, deadline).await?;
        read(status, &answer)
    }
}

fn read(status: StatusCode, body: &[u8]) -> Result<Accepted, SendError> {
    let accepted = |id: Option<&Value>| Accepted {
        provider_id: id.and_then(reply::text),
        balance: None,
    };
    match status.as_u16() {
        204 => return Ok(accepted(None)),
        200..=299 => {}
        401 | 403 => return Err(SendError::Rejected(Reason::Auth)),
        429 => return Err(SendError::Rejected(Reason::AccountLimit)),
        // Turned away before anything was done.
        400..=499 => return Err(SendError::Rejected(Reason::BadRequest)),
        300..=399 => return Err(SendError::Rejected(Reason::Unavailable)),
        _ => return Err(SendError::Uncertain),
    }
    let answer: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    match answer["accepted"].as_bool() {
        Some(true) => Ok(accepted(answer.get("message_id"))),
        Some(false) => {
            let reason = answer["reason"].as_str().and_then(Reason::named);
            Err(SendError::Rejected(reason.unwrap_or(Reason::Unavailable)))
        }
        // A plain 2xx without the word: taken, most receivers say no more than that.
        None if body.trim_ascii().is_empty() || answer.is_object() => Ok(accepted(None)),
        None => Err(SendError::Uncertain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_standard_webhooks() {
        // The example of the specification.
        let secret = secret_bytes(&"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into());
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let signature = sign(
            &key,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn answers_are_taken_at_their_word() {
        let of = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).expect("a status");
            read(status, body.as_bytes()).map(|accepted| accepted.provider_id)
        };
        assert_eq!(of(204, ""), Ok(None));
        assert_eq!(of(200, r#"{"accepted":true,"message_id":7}"#), Ok(Some("7".into())));
        assert_eq!(
            of(200, r#"{"accepted":false,"reason":"bad_phone"}"#),
            Err(SendError::Rejected(Reason::BadPhone))
        );
        assert_eq!(of(200, "<html>"), Err(SendError::Uncertain));
        assert_eq!(of(302, ""), Err(SendError::Rejected(Reason::Unavailable)));
        assert_eq!(of(500, "{}"), Err(SendError::Uncertain));
    }
}
