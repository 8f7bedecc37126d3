//! Telegram Gateway: a message in the messenger, for guests who have it.

use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::hmac;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::gateway::{Accepted, Gateway, Message, Proof, Reason, SendError};
use super::reply::{self, sum, text};
use super::report::{Event, Fate, Report, ReportRefused};
use super::signature::is_fresh;
use crate::clock::{Clock, Deadline};
use crate::config::{GatewayName, TelegramConfig};
use crate::keys::{hex, sha256};
use crate::model::Channel;

/// The life of a message that the gateway takes, in seconds.
const TTL: std::ops::RangeInclusive<i64> = 30..=3600;

/// The gateway.
pub(super) struct Telegram {
    config: TelegramConfig,
    /// Where reports are to go; Telegram takes https addresses only.
    callback_url: Option<String>,
    http: reqwest::Client,
    clock: Clock,
}

impl Telegram {
    pub fn new(config: TelegramConfig, public_url: &url::Url, http: reqwest::Client, clock: Clock) -> Self {
        let callback_url = public_url.join("/callbacks/telegram").map(String::from).ok();
        Self {
            config,
            callback_url: callback_url.filter(|url| url.starts_with("https:") && url.len() <= 256),
            http,
            clock,
        }
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
        let left = message.expires_at.as_second() - self.clock.now().as_second();
        let mut body = json!({
            "phone_number": message.phone.e164(),
            "code": message.code,
            "ttl": left.clamp(*TTL.start(), *TTL.end()),
        });
        if let Some(sender) = &self.config.sender_username {
            body["sender_username"] = sender.as_str().into();
        }
        if let Some(url) = &self.callback_url {
            body["callback_url"] = url.as_str().into();
        }
        let request = self
            .http
            .post(format!("{base}/sendVerificationMessage"))
            .bearer_auth(self.config.token.expose_secret())
            .json(&body);
        read(&reply::json(request, deadline).await?)
    }

    fn report(&self, report: &Report<'_>, now: Timestamp) -> Result<Vec<Event>, ReportRefused> {
        told(self.config.token.expose_secret(), report, now)
    }
}

fn read(answer: &Value) -> Result<Accepted, SendError> {
    match answer["ok"].as_bool() {
        Some(true) => Ok(Accepted {
            provider_id: text(&answer["result"]["request_id"]),
            balance: sum(&answer["result"]["remaining_balance"]),
            proof: Proof::Code,
        }),
        Some(false) => Err(match answer["error"].as_str().unwrap_or_default() {
            "MESSAGE_ALREADY_SENT" => SendError::Uncertain,
            error => SendError::refused(reason(error), flood_wait(error)),
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

/// `FLOOD_WAIT_17`: seconds, where they are told.
fn flood_wait(error: &str) -> Option<Duration> {
    let (_, seconds) = error.split_once("FLOOD_WAIT_")?;
    let digits = seconds.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().map(Duration::from_secs)
}

/// A report, signed with the hash of our token over moment and body.
fn told(token: &str, report: &Report<'_>, now: Timestamp) -> Result<Vec<Event>, ReportRefused> {
    let header = |name| report.header(name).ok_or(ReportRefused::Forged);
    let (seconds, given) = (header("x-request-timestamp")?, header("x-request-signature")?);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &sha256(token.as_bytes()));
    let right = hmac::sign(&key, &[seconds.as_bytes(), b"\n", report.body].concat());
    let right = hex(right.as_ref());
    let same = aws_lc_rs::constant_time::verify_slices_are_equal(right.as_bytes(), given.as_bytes());
    if same.is_err() || !is_fresh(seconds, now) {
        return Err(ReportRefused::Forged);
    }
    let told: Value = serde_json::from_slice(report.body).map_err(|_| ReportRefused::Malformed)?;
    let provider_id = text(&told["request_id"]).ok_or(ReportRefused::Malformed)?;
    let fate = match told["delivery_status"]["status"].as_str() {
        Some("delivered" | "read") => Fate::Delivered,
        Some("expired" | "revoked") => Fate::Failed,
        _ => return Ok(Vec::new()),
    };
    Ok(vec![Event { provider_id, fate }])
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    #[test]
    fn errors_are_told_apart() {
        let of = |error: &str| read(&json!({ "ok": false, "error": error })).err();
        assert_eq!(
            of("FLOOD_WAIT_17"),
            Some(SendError::Later(Reason::AccountLimit, Duration::from_secs(17)))
        );
        assert_eq!(of("FLOOD_WAIT"), Some(SendError::Rejected(Reason::AccountLimit)));
        assert_eq!(
            of("PHONE_NUMBER_NOT_FOUND"),
            Some(SendError::Rejected(Reason::Unreachable))
        );
        assert_eq!(of("MESSAGE_ALREADY_SENT"), Some(SendError::Uncertain));
        assert_eq!(read(&json!([])).err(), Some(SendError::Uncertain));
        assert!(read(&json!({ "ok": true, "result": { "request_id": "5" } })).is_ok());
    }

    const BODY: &str = r#"{"request_id":"1","phone_number":"79990000001","request_cost":0.01,"delivery_status":{"status":"delivered","updated_at":1767225599}}"#;
    const SIGNATURE: &str = "ae0acaff68b96705a96043fd76a5759fb9480e6b6279f0166779b9d5a199acdc";

    #[test]
    fn a_report_is_taken_with_a_fresh_signature_only() {
        let signed = |token: &str, body: &str, signature: &str, late: i64| {
            let mut headers = HeaderMap::new();
            headers.insert("x-request-timestamp", 1_767_225_600.into());
            headers.insert("x-request-signature", signature.parse().expect("a value"));
            let report = Report {
                headers: &headers,
                body: body.as_bytes(),
                fields: &[],
                key: None,
            };
            told(
                token,
                &report,
                Timestamp::from_second(1_767_225_600 + late).expect("a moment"),
            )
        };
        let event = Event {
            provider_id: "1".into(),
            fate: Fate::Delivered,
        };
        assert_eq!(
            signed("TEST-TOKEN-1", BODY, SIGNATURE, 0).expect("Telegram's own"),
            [event]
        );
        for (token, body, signature, late) in [
            ("TEST-TOKEN-2", BODY, SIGNATURE, 0),
            ("TEST-TOKEN-1", "{}", SIGNATURE, 0),
            ("TEST-TOKEN-1", BODY, "", 0),
            ("TEST-TOKEN-1", BODY, SIGNATURE, 301),
        ] {
            assert!(matches!(
                signed(token, body, signature, late),
                Err(ReportRefused::Forged)
            ));
        }
    }
}
