//! The client: what all operations share. What is read stands in `reads`, what is written in `writes`.

use jiff::tz::TimeZone;

use super::calls::Calls;
use super::decode::{Context, Odd, Values, Verdict, decide};
use super::error::UpstreamError;
use super::ids::IdForm;
use super::operation::Operation;
use super::reply::Reply;
use super::resilience::Throttling;
use crate::clock::Clock;
use crate::config::{Forms, PhoneFormat, ProbonusConfig};
use crate::entropy::Entropy;
use crate::model::Phone;

/// The client. `Debug` shows nothing.
pub struct ProBonus {
    pub(super) calls: Calls,
    pub(super) values: Values,
    phone_format: PhoneFormat,
    pub(super) forms: Forms,
    pub(super) ids: IdForm,
}

impl std::fmt::Debug for ProBonus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProBonus")
    }
}

impl ProBonus {
    /// A client for the configured ProBonus; `zone` is that of times that name none.
    ///
    /// # Errors
    /// When the TLS library cannot be set up.
    pub fn new(
        config: &ProbonusConfig,
        zone: TimeZone,
        clock: Clock,
        entropy: Entropy,
    ) -> Result<Self, reqwest::Error> {
        Self::with_throttling(config, Throttling::default(), zone, clock, entropy)
    }

    /// The same, throttled otherwise than by default: for measuring what the defaults should be.
    ///
    /// # Errors
    /// When the TLS library cannot be set up.
    pub fn with_throttling(
        config: &ProbonusConfig,
        throttling: Throttling,
        zone: TimeZone,
        clock: Clock,
        entropy: Entropy,
    ) -> Result<Self, reqwest::Error> {
        Ok(Self {
            calls: Calls::new(config, throttling, clock, entropy)?,
            values: Values::new(config.sums, zone),
            phone_format: config.phone_format,
            forms: config.forms.clone(),
            ids: IdForm::default(),
        })
    }

    /// Reads an answer's values; what was odd in it is counted.
    pub(super) fn read<T>(
        &self,
        operation: Operation,
        read: impl FnOnce(Context) -> Result<T, UpstreamError>,
    ) -> Result<T, UpstreamError> {
        let odd = Odd::default();
        let value = read(Context {
            values: &self.values,
            odd: &odd,
        });
        odd.count(operation);
        value
    }

    pub(super) fn decide<'a>(&self, reply: &'a Reply, operation: Operation) -> Result<Verdict<'a>, UpstreamError> {
        decide(reply, operation, &self.forms)
    }

    pub(super) fn spelled(&self, phone: &Phone) -> String {
        match self.phone_format {
            PhoneFormat::Digits => phone.digits().to_owned(),
            PhoneFormat::E164 => phone.e164().to_owned(),
            // Only Russian numbers have the `8…` spelling.
            PhoneFormat::National => match phone.digits().strip_prefix('7') {
                Some(rest) => format!("8{rest}"),
                None => phone.digits().to_owned(),
            },
        }
    }
}
