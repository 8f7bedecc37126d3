//! One exchange with ProBonus under our credential; a refused one is renewed once, when it can be.

use std::time::Duration;

use super::arguments::Arguments;
use super::call::Transport;
use super::complaint::complaint;
use super::credential::{Authorization, Credential};
use super::decode::{decide, outcome};
use super::error::UpstreamError;
use super::operation::Operation;
use super::reply::Reply;
use super::sightings::Sightings;
use crate::clock::{Clock, Deadline};
use crate::config::{Forms, ProbonusConfig};

/// The way to ProBonus and the credential for it.
pub(super) struct Exchange {
    transport: Transport,
    credential: Credential,
    forms: Forms,
}

impl Exchange {
    pub fn new(config: &ProbonusConfig, clock: Clock) -> Result<Self, reqwest::Error> {
        Ok(Self {
            transport: Transport::new(config, clock.clone())?,
            credential: Credential::new(config.credential.clone(), config.token_header.clone(), clock),
            forms: config.forms.clone(),
        })
    }

    /// What was seen on the way.
    pub fn sightings(&self) -> &Sightings {
        self.transport.sightings()
    }

    /// The longest time of one.
    pub fn timeout(&self) -> Duration {
        self.transport.timeout()
    }

    /// Sends `arguments` and gives the answer, unless the credential is refused or it makes no sense.
    pub async fn perform(
        &self,
        operation: Operation,
        arguments: &Arguments,
        deadline: Deadline,
    ) -> Result<Reply, UpstreamError> {
        let authorization = self
            .credential
            .authorization(operation, &self.transport, deadline)
            .await?;
        let send = |authorization: &Authorization| {
            let request = self.transport.request(operation, arguments);
            let request = request.header(authorization.name.clone(), authorization.value.clone());
            self.transport.send(operation, request, deadline)
        };
        let mut reply = send(&authorization).await?;
        if self.is_refused(operation, &reply) && self.credential.can_renew() {
            let renewed = self
                .credential
                .renewed(&authorization, operation, &self.transport, deadline)
                .await?;
            reply = send(&renewed).await?;
        }
        if self.is_refused(operation, &reply) {
            self.credential.refused(operation, reply.status);
            return Err(UpstreamError::CredentialRefused);
        }
        self.credential.accepted(operation);
        self.note_refusal(operation, arguments, &reply);
        if reply.makes_sense() {
            Ok(reply)
        } else {
            Err(UpstreamError::Invalid)
        }
    }

    /// What `reply` says, in the word for metrics.
    pub fn word_of(&self, operation: Operation, reply: &Reply) -> &'static str {
        outcome(reply, operation, &self.forms)
    }

    /// Whether the reply refuses our credential, be it inside a 200.
    fn is_refused(&self, operation: Operation, reply: &Reply) -> bool {
        let refused = decide(reply, operation, &self.forms).err();
        refused == Some(UpstreamError::CredentialRefused)
    }

    /// Tells the operator what ProBonus says to a request it refuses; never a guest.
    fn note_refusal(&self, operation: Operation, arguments: &Arguments, reply: &Reply) {
        if self.word_of(operation, reply) != "refused" {
            return;
        }
        let said = complaint(&reply.body, arguments).filter(|text| !self.credential.is_in(text));
        tracing::warn!(
            operation = operation.name(),
            status = reply.status.as_u16(),
            said,
            "ProBonus refuses a request"
        );
    }
}
