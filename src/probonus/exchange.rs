//! One exchange with ProBonus under our credential; a refused one is renewed once, when it can be.

use std::time::Duration;

use super::arguments::Arguments;
use super::call::Transport;
use super::complaint::complaint;
use super::credential::{Authorization, Credential};
use super::error::UpstreamError;
use super::operation::Operation;
use super::reply::Reply;
use crate::clock::{Clock, Deadline};
use crate::config::ProbonusConfig;

/// The way to ProBonus and the credential for it.
pub(super) struct Exchange {
    transport: Transport,
    credential: Credential,
}

impl Exchange {
    pub fn new(config: &ProbonusConfig, clock: Clock) -> Result<Self, reqwest::Error> {
        Ok(Self {
            transport: Transport::new(config)?,
            credential: Credential::new(config.credential.clone(), config.token_header.clone(), clock),
        })
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
        if reply.refuses_credential() && self.credential.can_renew() {
            let renewed = self
                .credential
                .renewed(&authorization, operation, &self.transport, deadline)
                .await?;
            reply = send(&renewed).await?;
        }
        if reply.refuses_credential() {
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

    /// Tells the operator what ProBonus says to a request it refuses; never a guest.
    fn note_refusal(&self, operation: Operation, arguments: &Arguments, reply: &Reply) {
        if reply.word() != "refused" {
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
