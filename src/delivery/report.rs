//! What gateways report later: delivered, not delivered, the guest's call seen. A report may only move a message's state forward.

use http::HeaderMap;

use super::Delivery;
use crate::config::GatewayName;
use crate::keys::Purpose;
use crate::store::StoreError;

/// What came to a gateway's address.
pub struct Report<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body, byte by byte.
    pub body: &'a [u8],
    /// The body's fields, when it is a form or a flat JSON object.
    pub fields: &'a [(String, String)],
    /// The end of the address, when it has one.
    pub key: Option<&'a str>,
}

impl Report<'_> {
    /// A field's value.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(known, _)| known == name);
        field.map(|(_, value)| value.as_str())
    }

    /// A header's text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What a report says about one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// The gateway's id of the message.
    pub provider_id: String,
    pub fate: Fate,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Delivered,
    Failed,
    /// The guest's call was seen.
    Confirmed,
}

/// Why a report was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReportRefused {
    /// This gateway is not configured to report, or not at this address.
    #[error("no reports are taken there")]
    NotTaken,
    /// The signature is missing, wrong or old.
    #[error("the report is not the gateway's")]
    Forged,
    /// It is signed and makes no sense.
    #[error("the report cannot be read")]
    Malformed,
    /// The store cannot be asked: the gateway should repeat it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Delivery {
    /// Takes a report to the address of the gateway called `name`; gives the text that the gateway wants to hear.
    ///
    /// Repeated reports, reports out of order and reports about messages that are gone change nothing.
    ///
    /// # Errors
    /// See [`ReportRefused`].
    pub async fn report(&self, name: &str, report: &Report<'_>) -> Result<&'static str, ReportRefused> {
        let line = self.lines.iter().find(|line| line.gateway.name().as_str() == name);
        let gateway = &line.ok_or(ReportRefused::NotTaken)?.gateway;
        let events = gateway.report(report, self.clock.now()).inspect_err(|refused| {
            if matches!(refused, ReportRefused::Forged) {
                let name = gateway.name().as_str();
                tracing::warn!(target: "security", event = "report_refused", gateway = name);
                metrics::counter!("cabinet_reports_total", "gateway" => name, "outcome" => "refused").increment(1);
            }
        })?;
        for event in events {
            self.happened(gateway.name(), &event).await?;
        }
        Ok(match gateway.name() {
            // Anything else is repeated for days.
            GatewayName::Smsru => "100",
            _ => "OK",
        })
    }

    /// Keeps what became of a message.
    pub(super) async fn happened(&self, gateway: GatewayName, event: &Event) -> Result<(), StoreError> {
        let parts: &[&[u8]] = &[b"provider", gateway.as_str().as_bytes(), event.provider_id.as_bytes()];
        let now_us = self.clock.now_us();
        let tags = [
            Some(self.keys.mac(Purpose::Outbox, parts)),
            self.keys.previous_mac(Purpose::Outbox, parts),
        ];
        let mut moved = false;
        for tag in tags.iter().flatten() {
            moved |= match event.fate {
                Fate::Delivered => self.store.message_delivered(tag).await?,
                Fate::Failed => self.store.message_failed(tag, "sent", now_us).await?,
                Fate::Confirmed => self.confirm_call(tag, gateway.as_str()).await?,
            };
        }
        let outcome = match (moved, event.fate) {
            (false, _) => "nothing_new",
            (true, Fate::Delivered) => "delivered",
            (true, Fate::Failed) => "failed",
            (true, Fate::Confirmed) => "confirmed",
        };
        metrics::counter!("cabinet_reports_total", "gateway" => gateway.as_str(), "outcome" => outcome).increment(1);
        Ok(())
    }
}
