//! SMS.ru: short messages, calls to the guest, calls from the guest.

mod report;

use std::ops::RangeInclusive;

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde_json::Value;

use super::gateway::{Accepted, CallSeen, Gateway, Message, Proof, Reason, SendError};
use super::reply::{self, dial, last_four, number, sum, text};
use super::report::{Event, Report, ReportRefused};
use crate::clock::{Clock, Deadline};
use crate::config::{GatewayName, SmsruConfig};
use crate::model::Channel;

/// The gateway.
pub(super) struct Smsru {
    config: SmsruConfig,
    channels: Vec<Channel>,
    http: reqwest::Client,
    clock: Clock,
}

/// The life of a message that the gateway takes, in minutes.
const TTL: RangeInclusive<i64> = 1..=1440;

impl Smsru {
    pub fn new(config: SmsruConfig, http: reqwest::Client, clock: Clock) -> Self {
        Self {
            clock,
            channels: config.channels.iter().filter_map(|name| Channel::named(name)).collect(),
            config,
            http,
        }
    }

    /// One call; secrets and phones go in the body.
    async fn ask(&self, path: &str, more: &[(&str, &str)], deadline: Deadline) -> Result<Value, SendError> {
        let base = self.config.url.as_str().trim_end_matches('/');
        let mut form = vec![("api_id", self.config.api_id.expose_secret()), ("json", "1")];
        form.extend_from_slice(more);
        reply::json(self.http.post(format!("{base}{path}")).form(&form), deadline).await
    }
}

#[async_trait]
impl Gateway for Smsru {
    fn name(&self) -> GatewayName {
        GatewayName::Smsru
    }

    fn channels(&self) -> &[Channel] {
        &self.channels
    }

    async fn send(&self, message: &Message<'_>, deadline: Deadline) -> Result<Accepted, SendError> {
        let phone = message.phone.digits();
        let ip = message.guest_ip.map(|ip| ip.to_string());
        let ip = ip.as_deref().map(|ip| ("ip", ip));
        match message.channel {
            Channel::FlashCall => {
                // `-1`: the caller's address is not known.
                let form = [("phone", phone), ip.unwrap_or(("ip", "-1"))];
                flash_call(&self.ask("/code/call", &form, deadline).await?)
            }
            Channel::GuestCall => guest_call(&self.ask("/callcheck/add", &[("phone", phone)], deadline).await?),
            _ => {
                let from = self.config.from.as_deref().map(|from| ("from", from));
                // A code that comes after its end only confuses the guest.
                let left = message.expires_at.as_second() - self.clock.now().as_second();
                let ttl = (left + 59).div_euclid(60).clamp(*TTL.start(), *TTL.end()).to_string();
                let mut form = vec![("to", phone), ("msg", message.text), ("ttl", &ttl)];
                form.extend(from.into_iter().chain(ip));
                short_message(&self.ask("/sms/send", &form, deadline).await?)
            }
        }
    }

    fn tells_balance(&self) -> bool {
        true
    }

    async fn balance(&self, deadline: Deadline) -> Result<f64, SendError> {
        let answer = self.ask("/my/balance", &[], deadline).await?;
        whole_request(&answer)?;
        sum(&answer["balance"]).ok_or(SendError::Uncertain)
    }

    async fn call_seen(&self, watched: &str, deadline: Deadline) -> Result<CallSeen, SendError> {
        let answer = self
            .ask("/callcheck/status", &[("check_id", watched)], deadline)
            .await?;
        whole_request(&answer)?;
        match number(&answer["check_status"]) {
            Some(400) => Ok(CallSeen::NotYet),
            Some(401) => Ok(CallSeen::Seen),
            Some(402) => Ok(CallSeen::Over),
            _ => Err(SendError::Uncertain),
        }
    }

    fn report(&self, report: &Report<'_>, _now: Timestamp) -> Result<Vec<Event>, ReportRefused> {
        report::read(self.config.api_id.expose_secret(), report.fields)
    }
}

/// Ids of calls and of messages look alike.
fn call_id(check_id: &str) -> String {
    format!("call {check_id}")
}

fn whole_request(answer: &Value) -> Result<(), SendError> {
    if answer["status"] == "OK" {
        return Ok(());
    }
    Err(number(&answer["status_code"]).map_or(SendError::Uncertain, |code| SendError::Rejected(reason(code))))
}

/// Outer OK with an inner error is usual: only an inner OK with code 100 is a promise.
fn short_message(answer: &Value) -> Result<Accepted, SendError> {
    whole_request(answer)?;
    let only = answer["sms"].as_object().filter(|list| list.len() == 1);
    let Some(inner) = only.and_then(|list| list.values().next()) else {
        return Err(SendError::Uncertain);
    };
    match (inner["status"].as_str(), number(&inner["status_code"])) {
        (Some("OK"), Some(100)) => Ok(Accepted {
            provider_id: text(&inner["sms_id"]),
            balance: sum(&answer["balance"]),
            proof: Proof::Code,
        }),
        (_, Some(code)) => Err(SendError::Rejected(reason(code))),
        _ => Err(SendError::Uncertain),
    }
}

/// The digits are SMS.ru's; nothing reports on such a call later.
fn flash_call(answer: &Value) -> Result<Accepted, SendError> {
    if answer["status"] == "ERROR" && number(&answer["status_code"]).is_none() {
        return Err(SendError::Rejected(Reason::Unavailable));
    }
    whole_request(answer)?;
    let digits = last_four(&answer["code"]).ok_or(SendError::Uncertain)?;
    Ok(Accepted {
        provider_id: None,
        balance: sum(&answer["balance"]),
        proof: Proof::Digits(digits.into()),
    })
}

fn guest_call(answer: &Value) -> Result<Accepted, SendError> {
    whole_request(answer)?;
    let (check_id, dial) = (text(&answer["check_id"]), dial(&answer["call_phone"]));
    let (Some(check_id), Some(dial)) = (check_id, dial) else {
        return Err(SendError::Uncertain);
    };
    Ok(Accepted {
        provider_id: Some(call_id(&check_id)),
        balance: sum(&answer["balance"]),
        proof: Proof::Call {
            dial,
            watched: Some(check_id),
        },
    })
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
        let accepted = short_message(&ok).unwrap_or_else(|_| panic!("taken"));
        assert_eq!(
            (accepted.provider_id.as_deref(), accepted.balance),
            (Some("1-2"), Some(4122.56))
        );
        let inner = json!({"status":"OK","status_code":100,"sms":{"79160000001":{"status":"ERROR","status_code":221,"sms_id":"1-2"}}});
        assert_eq!(short_message(&inner).err(), Some(SendError::Rejected(Reason::Sender)));
        let outer = json!({"status":"ERROR","status_code":200});
        assert_eq!(short_message(&outer).err(), Some(SendError::Rejected(Reason::Auth)));
        assert_eq!(short_message(&json!({})).err(), Some(SendError::Uncertain));
    }

    #[test]
    fn calls_without_digits_or_a_number_are_of_no_use() {
        let bare = json!({"status":"ERROR","status_text":"no"});
        assert_eq!(flash_call(&bare).err(), Some(SendError::Rejected(Reason::Unavailable)));
        assert_eq!(
            flash_call(&json!({"status":"OK","code":""})).err(),
            Some(SendError::Uncertain)
        );
        let markup = json!({"status":"OK","check_id":"1","call_phone":"<a>"});
        assert_eq!(guest_call(&markup).err(), Some(SendError::Uncertain));
        assert!(flash_call(&json!({"status":"OK","code":35,"balance":"1.5"})).is_ok());
    }
}
