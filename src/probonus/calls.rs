//! Everything a call passes on its way: bulkhead, breaker, credential, HTTP, and a second try where one is safe.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metrics::{Counter, counter, gauge, histogram};

use super::arguments::Arguments;
use super::breaker::Breaker;
use super::bulkhead::Bulkhead;
use super::call::Transport;
use super::complaint::complaint;
use super::credential::Credential;
use super::error::UpstreamError;
use super::operation::{Group, Operation};
use super::reply::Reply;
use super::retry::{RetryBudget, jitter};
use crate::clock::{Clock, Deadline};
use crate::config::ProbonusConfig;
use crate::entropy::Entropy;

/// A call slower than this share of its time counts as a failure: a server that hardly answers is about to not answer.
const SLOW: f64 = 0.9;

/// Calls with the care ProBonus is due.
pub(super) struct Calls {
    transport: Transport,
    credential: Credential,
    gates: [Gate; 4],
    retries: RetryBudget,
    clock: Clock,
    entropy: Entropy,
    retried: Counter,
}

/// What all calls of one group pass.
struct Gate {
    bulkhead: Bulkhead,
    breaker: Breaker,
    /// Whether the last failure was an answer without sense.
    nonsense: AtomicBool,
}

impl Gate {
    /// Why a call does not pass while the breaker is open: a read fails as the calls did that opened it.
    fn paused(&self, operation: Operation, wait: Duration) -> UpstreamError {
        if operation.is_read() && self.nonsense.load(Ordering::Relaxed) {
            UpstreamError::Invalid
        } else {
            UpstreamError::not_sent(Some(wait))
        }
    }
}

impl Calls {
    pub fn new(config: &ProbonusConfig, clock: Clock, entropy: Entropy) -> Result<Self, reqwest::Error> {
        Ok(Self {
            transport: Transport::new(config)?,
            credential: Credential::new(config.credential.clone(), config.token_header.clone(), clock.clone()),
            gates: Group::ALL.map(|group| Gate {
                bulkhead: Bulkhead::new(config.max_concurrency),
                breaker: Breaker::new(group.name(), group.failures(), clock.clone()),
                nonsense: AtomicBool::new(false),
            }),
            retries: RetryBudget::new(),
            clock,
            entropy,
            retried: counter!("cabinet_upstream_retries_total"),
        })
    }

    /// One call; a read that failed by chance is tried once more.
    pub async fn make(
        &self,
        operation: Operation,
        arguments: &Arguments,
        deadline: Deadline,
    ) -> Result<Reply, UpstreamError> {
        self.retries.earn();
        gauge!("cabinet_retries_left").set(f64::from(i32::try_from(self.retries.left()).unwrap_or(i32::MAX)));
        let first = self.once(operation, arguments, deadline).await;
        let failed = match &first {
            // 429 is no chance: it asks to be left alone.
            Ok(reply) => reply.status.is_server_error() && reply.asks_for_pause().is_none(),
            Err(error) => matches!(error, UpstreamError::Unavailable { retry_after: None, .. }),
        };
        if !failed || !operation.is_read() {
            return first;
        }
        let pause = jitter(&self.entropy);
        let time_for_another = deadline.remaining() > pause + self.transport.timeout() / 4;
        if !time_for_another || !self.retries.spend() {
            return first;
        }
        self.retried.increment(1);
        tokio::time::sleep(pause).await;
        self.once(operation, arguments, deadline).await
    }

    async fn once(
        &self,
        operation: Operation,
        arguments: &Arguments,
        deadline: Deadline,
    ) -> Result<Reply, UpstreamError> {
        let gate = &self.gates[operation.group() as usize];
        let _turn = gate
            .bulkhead
            .enter(deadline)
            .await
            .inspect_err(|error| count(operation, error.outcome()))?;
        let permit = gate
            .breaker
            .permit()
            .map_err(|wait| gate.paused(operation, wait))
            .inspect_err(|_| count(operation, "paused"))?;
        let started = self.clock.steady();
        let outcome = self.authorized(operation, arguments, deadline).await;
        let took = self.clock.steady().saturating_sub(started);
        histogram!("cabinet_upstream_seconds", "operation" => operation.name()).record(took.as_secs_f64());
        let word = match &outcome {
            Ok(reply) => word_of(reply),
            Err(error) => error.outcome(),
        };
        count(operation, word);
        if let Some(pause) = outcome.as_ref().ok().and_then(Reply::asks_for_pause) {
            gate.breaker.pause(pause);
        }
        // A refused credential says nothing about ProBonus' health.
        if word != "credential_refused" {
            let slow = took.as_secs_f64() > self.transport.timeout().as_secs_f64() * SLOW;
            let failed = slow || matches!(word, "unavailable" | "invalid");
            if failed {
                gate.nonsense.store(word == "invalid", Ordering::Relaxed);
            }
            permit.tell(failed);
        }
        outcome
    }

    /// The call with a credential; a refused one is renewed once, when it can be.
    async fn authorized(
        &self,
        operation: Operation,
        arguments: &Arguments,
        deadline: Deadline,
    ) -> Result<Reply, UpstreamError> {
        let authorization = self
            .credential
            .authorization(operation, &self.transport, deadline)
            .await?;
        let send = |authorization: &super::credential::Authorization| {
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
}

impl Calls {
    /// Tells the operator what ProBonus says to a request it refuses; never a guest.
    fn note_refusal(&self, operation: Operation, arguments: &Arguments, reply: &Reply) {
        if word_of(reply) != "refused" {
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

fn count(operation: Operation, outcome: &'static str) {
    counter!("cabinet_upstream_requests_total", "operation" => operation.name(), "outcome" => outcome).increment(1);
}

fn word_of(reply: &Reply) -> &'static str {
    match reply.status.as_u16() {
        408 | 429 | 500..=599 => "unavailable",
        404 | 200..=299 => "ok",
        400..=499 => "refused",
        _ => "invalid",
    }
}
