//! The operator's own receiver, signed by Standard Webhooks: whatever gateway there is, a few lines of the operator's reach it.
//!
//! It is sent `otp.send` and answers 204, or `{"accepted": true, "challenge"?: {"kind": "our_code" | "digits" | "guest_call", "expected"?,
//! "dial"?}}`, or `{"accepted": false, "reason", "retry_after"?}`. Any other success says nothing. It may report `otp.delivery` (`{"attempt_id", "status": "delivered" | "failed"}`) and
//! `otp.confirmed` (`{"attempt_id"}`: the guest's call came) to `/callbacks/webhook`, signed the same way with a secret of their own.

use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::hmac;
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::gateway::{Accepted, Gateway, Message, Proof, Reason, SendError};
use super::public_only;
use super::reply::{self, dial, last_four, number};
use super::report::{Event, Fate, Report, ReportRefused};
use super::signature;
use crate::clock::{Clock, Deadline};
use crate::config::{GatewayName, WebhookConfig};
use crate::model::Channel;
use crate::retry_after::retry_after;

/// The gateway.
pub(super) struct Webhook {
    url: url::Url,
    key: hmac::Key,
    report_keys: Vec<hmac::Key>,
    channels: Vec<Channel>,
    http: reqwest::Client,
    clock: Clock,
}

impl Webhook {
    pub fn new(config: WebhookConfig, http: reqwest::Client, clock: Clock) -> Result<Self, String> {
        if !config.allow_private && public_only::names_private(&config.url) {
            return Err("url names a private address; set delivery.webhook.allow_private = true to allow that".into());
        }
        let report_secrets = [&config.report_secret, &config.report_secret_previous];
        Ok(Self {
            key: signature::key(&config.secret),
            report_keys: report_secrets.into_iter().flatten().map(signature::key).collect(),
            channels: config.channels.iter().filter_map(|name| Channel::named(name)).collect(),
            url: config.url,
            http,
            clock,
        })
    }
}

#[async_trait]
impl Gateway for Webhook {
    fn name(&self) -> GatewayName {
        GatewayName::Webhook
    }

    fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// By `webhook-id` the receiver knows what it had already.
    fn repeats_safely(&self) -> bool {
        true
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
                "guest_ip": message.guest_ip,
            },
        });
        let body = serde_json::to_vec(&body).expect("a message is plain data");
        let id = format!("{}-webhook", message.id);
        let seconds = now.as_second();
        let request = self
            .http
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signature::sign(&self.key, &id, seconds, &body))
            .body(body);
        let (status, headers, answer) = reply::exchange(request, deadline).await?;
        let proof = read(status, retry_after(&headers), &answer, message.channel)?;
        Ok(Accepted {
            provider_id: Some(message.id.to_owned()),
            balance: None,
            proof,
        })
    }

    fn report(&self, report: &Report<'_>, now: Timestamp) -> Result<Vec<Event>, ReportRefused> {
        if self.report_keys.is_empty() {
            return Err(ReportRefused::NotTaken);
        }
        signature::check(&self.report_keys, report, now)?;
        let told: Value = serde_json::from_slice(report.body).map_err(|_| ReportRefused::Malformed)?;
        let id = told["data"]["attempt_id"].as_str().ok_or(ReportRefused::Malformed)?;
        let fate = match (told["type"].as_str(), told["data"]["status"].as_str()) {
            (Some("otp.confirmed"), _) => Fate::Confirmed,
            (Some("otp.delivery"), Some("delivered")) => Fate::Delivered,
            (Some("otp.delivery"), Some("failed" | "expired")) => Fate::Failed,
            // Kinds and states that came later.
            _ => return Ok(Vec::new()),
        };
        Ok(vec![Event {
            provider_id: id.to_owned(),
            fate,
        }])
    }
}

fn read(status: StatusCode, retry_after: Option<Duration>, body: &[u8], channel: Channel) -> Result<Proof, SendError> {
    let answer: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let named = Reason::named(answer["reason"].as_str().unwrap_or_default());
    let seconds = number(&answer["retry_after"]).and_then(|seconds| u64::try_from(seconds).ok());
    let wait = seconds.map(Duration::from_secs).or(retry_after);
    let refused = |usual| Err(SendError::refused(named.unwrap_or(usual), wait));
    match (status.as_u16(), answer["accepted"].as_bool()) {
        (204, _) => proof(&Value::Null, channel),
        (200..=299, Some(true)) => proof(&answer["challenge"], channel),
        (200..=299, Some(false)) => refused(Reason::Unavailable),
        (200..=299, None) if body.trim_ascii().is_empty() || answer.is_object() => Err(SendError::Unsaid),
        (300..=399, _) => Err(SendError::Rejected(Reason::Unavailable)),
        // 410 is the scheme's word for "stop".
        (401 | 403 | 410, _) => Err(SendError::Rejected(Reason::Auth)),
        (429, _) => refused(Reason::AccountLimit),
        // Turned away before anything was done.
        (400..=499, _) => refused(Reason::BadRequest),
        (503, _) if retry_after.is_some() => refused(Reason::Unavailable),
        _ => Err(SendError::Uncertain),
    }
}

/// Without digits or a number to call, a call proves nothing.
fn proof(challenge: &Value, channel: Channel) -> Result<Proof, SendError> {
    match (challenge["kind"].as_str(), channel) {
        (Some("digits"), Channel::FlashCall) => {
            let digits = last_four(&challenge["expected"]).ok_or(SendError::Uncertain)?;
            Ok(Proof::Digits(digits.into()))
        }
        (Some("guest_call"), Channel::GuestCall) => Ok(Proof::Call {
            dial: dial(&challenge["dial"]).ok_or(SendError::Uncertain)?,
            watched: None,
        }),
        (None | Some("our_code"), Channel::Sms | Channel::Telegram | Channel::Other) => Ok(Proof::Code),
        _ => Err(SendError::Uncertain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_at_their_word() {
        let of = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).expect("a status");
            read(status, None, body.as_bytes(), Channel::Sms).map(drop)
        };
        let rejected = |reason| Err(SendError::Rejected(reason));
        for (status, body, outcome) in [
            (204, "", Ok(())),
            (200, r#"{"accepted":true,"message_id":7}"#, Ok(())),
            (
                200,
                r#"{"accepted":false,"reason":"bad_phone"}"#,
                rejected(Reason::BadPhone),
            ),
            (200, r#"{"accepted":false,"reason":"?"}"#, rejected(Reason::Unavailable)),
            (422, r#"{"reason":"stop_list"}"#, rejected(Reason::StopList)),
            (
                200,
                r#"{"accepted":false,"reason":"recipient_limit","retry_after":90}"#,
                Err(SendError::Later(Reason::RecipientLimit, Duration::from_secs(90))),
            ),
            (200, "{}", Err(SendError::Unsaid)),
            (202, "", Err(SendError::Unsaid)),
            (200, r#"{"accepted":"yes"}"#, Err(SendError::Unsaid)),
            (200, "<html>", Err(SendError::Uncertain)),
            (429, "", rejected(Reason::AccountLimit)),
            (503, "", Err(SendError::Uncertain)),
            (302, "", rejected(Reason::Unavailable)),
            (410, "", rejected(Reason::Auth)),
            (500, r#"{"accepted":true}"#, Err(SendError::Uncertain)),
        ] {
            assert_eq!(of(status, body), outcome, "{status} {body}");
        }
        let wait = Duration::from_secs(30);
        for (status, reason) in [(429, Reason::AccountLimit), (503, Reason::Unavailable)] {
            let status = StatusCode::from_u16(status).expect("a status");
            let later = read(status, Some(wait), b"", Channel::Sms).err();
            assert_eq!(later, Some(SendError::Later(reason, wait)));
        }
    }

    #[test]
    fn calls_need_digits_or_a_number() {
        let of = |body: Value, channel| read(StatusCode::OK, None, body.to_string().as_bytes(), channel);
        let with = |challenge: Value| json!({ "accepted": true, "challenge": challenge });
        let call = with(json!({ "kind": "guest_call", "dial": "+7 800 500-82-75" }));
        assert!(matches!(of(call, Channel::GuestCall), Ok(Proof::Call { dial, .. }) if dial == "+78005008275"));
        let digits = with(json!({ "kind": "digits", "expected": "0042" }));
        assert!(matches!(of(digits.clone(), Channel::FlashCall), Ok(Proof::Digits(_))));
        assert!(of(digits, Channel::Sms).is_err());
        assert!(of(json!({ "accepted": true }), Channel::GuestCall).is_err());
    }
}
