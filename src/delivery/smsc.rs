//! SMSC: short messages.

use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use jiff::Timestamp;
use md5::{Digest, Md5};
use secrecy::ExposeSecret;
use serde_json::Value;

use super::gateway::{Accepted, Gateway, Message, Proof, Reason, SendError};
use super::reply::{self, number, sum, text};
use super::report::{Event, Fate, Report, ReportRefused};
use crate::clock::Deadline;
use crate::config::{GatewayName, SmscConfig};
use crate::keys::hex;
use crate::model::Channel;

/// Our address is refused for a while after many bad requests (error 4); asking on makes it longer.
const BLOCKED_FOR: Duration = Duration::from_mins(5);

/// The gateway.
pub(super) struct Smsc {
    config: SmscConfig,
    http: reqwest::Client,
}

impl Smsc {
    pub fn new(config: SmscConfig, http: reqwest::Client) -> Self {
        Self { config, http }
    }

    async fn ask(&self, path: &str, more: &[(&str, &str)], deadline: Deadline) -> Result<Value, SendError> {
        let base = self.config.url.as_str().trim_end_matches('/');
        // Without the charset the text is taken for windows-1251.
        let mut form = vec![("fmt", "3"), ("charset", "utf-8")];
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
        form.extend_from_slice(more);
        let answer = reply::json(self.http.post(format!("{base}/{path}")).form(&form), deadline).await?;
        // There is no status: the presence of an error decides.
        if !answer["error"].is_null() || !answer["error_code"].is_null() {
            let code = number(&answer["error_code"]);
            return Err(SendError::refused(
                reason(code),
                (code == Some(4)).then_some(BLOCKED_FOR),
            ));
        }
        Ok(answer)
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
        let ip = message.guest_ip.map(|ip| ip.to_string());
        let mut form = vec![
            // With the balance in the answer.
            ("cost", "3"),
            ("phones", message.phone.digits()),
            ("mes", message.text),
            ("id", message.id),
        ];
        form.extend(self.config.sender.as_deref().map(|sender| ("sender", sender)));
        form.extend(ip.as_deref().map(|ip| ("userip", ip)));
        let answer = self.ask("send.php", &form, deadline).await?;
        Ok(Accepted {
            provider_id: Some(text(&answer["id"]).ok_or(SendError::Uncertain)?),
            balance: sum(&answer["balance"]),
            proof: Proof::Code,
        })
    }

    fn tells_balance(&self) -> bool {
        true
    }

    async fn balance(&self, deadline: Deadline) -> Result<f64, SendError> {
        let answer = self.ask("balance.php", &[], deadline).await?;
        sum(&answer["balance"]).ok_or(SendError::Uncertain)
    }

    fn report(&self, report: &Report<'_>, _now: Timestamp) -> Result<Vec<Event>, ReportRefused> {
        let (Some(path), Some(secret)) = (&self.config.callback_path, &self.config.callback_secret) else {
            return Err(ReportRefused::NotTaken);
        };
        let key = report.key.unwrap_or_default();
        if verify_slices_are_equal(path.expose_secret().as_bytes(), key.as_bytes()).is_err() {
            return Err(ReportRefused::NotTaken);
        }
        read(report, secret.expose_secret())
    }
}

fn reason(code: Option<i64>) -> Reason {
    match code {
        Some(2) => Reason::Auth,
        Some(3) => Reason::Balance,
        Some(4) => Reason::Unavailable,
        Some(6) => Reason::Content,
        Some(7) => Reason::BadPhone,
        Some(8) => Reason::Unreachable,
        Some(9) => Reason::Duplicate,
        _ => Reason::BadRequest,
    }
}

/// A delivery report: the checksum is MD5 over `id:phone:status:secret`.
fn read(report: &Report<'_>, secret: &str) -> Result<Vec<Event>, ReportRefused> {
    let field = |name| report.field(name).ok_or(ReportRefused::Malformed);
    let given = report.field("md5").ok_or(ReportRefused::Forged)?;
    let (id, status) = (field("id")?, field("status")?);
    let right = hex(&Md5::digest(format!("{id}:{}:{status}:{secret}", field("phone")?)));
    if verify_slices_are_equal(right.as_bytes(), given.to_ascii_lowercase().as_bytes()).is_err() {
        return Err(ReportRefused::Forged);
    }
    let fate = match status {
        "1" | "2" | "4" => Fate::Delivered,
        "-2" | "3" | "20" | "22" | "23" | "24" | "25" => Fate::Failed,
        _ => return Ok(Vec::new()),
    };
    Ok(vec![Event {
        provider_id: id.to_owned(),
        fate,
    }])
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn told(status: &str, checksum: &str) -> Result<Vec<Event>, ReportRefused> {
        let fields = [
            ("id", "1001"),
            ("phone", "79990000001"),
            ("status", status),
            ("md5", checksum),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let report = Report {
            headers: &HeaderMap::new(),
            body: b"",
            fields: &fields,
            key: None,
        };
        read(&report, "secret")
    }

    #[test]
    fn a_report_is_taken_with_its_checksum_only() {
        let events = told("1", "88c29726e558531ffd52e9ffe8dff7fc").expect("the gateway's own");
        assert_eq!(
            events,
            [Event {
                provider_id: "1001".into(),
                fate: Fate::Delivered
            }]
        );
        for (status, checksum) in [("1", ""), ("3", "88c29726e558531ffd52e9ffe8dff7fc"), ("1", "88c2")] {
            assert!(matches!(told(status, checksum), Err(ReportRefused::Forged)));
        }
    }
}
