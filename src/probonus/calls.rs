//! The policy of calls: what is remembered of failures, concurrency limit, throttle, the exchange itself, and a second try where one is
//! safe. It knows what a failure means and for whom it counts, and nothing of HTTP or of what answers hold.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, counter, gauge, histogram};

use super::arguments::Arguments;
use super::error::{Effect, UpstreamError};
use super::exchange::Exchange;
use super::operation::{Group, Operation};
use super::reply::Reply;
use super::resilience::{
    ConcurrencyLimit, FailureMemory, Outcome, Priority, ProbePacer, RateLimit, RetryBudget, Throttle, Throttled,
    Throttling, jitter,
};
use super::sightings::Sightings;
use crate::clock::{Clock, Deadline};
use crate::config::ProbonusConfig;
use crate::entropy::Entropy;

/// A call slower than this share of its time counts as a failure: a server that hardly answers is about to not answer.
const SLOW: f64 = 0.9;

/// The longest pause that ProBonus may ask for: it is about load, and load changes within seconds.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// So many failures in a row of one guest's calls of a group count for all, then they are the guest's own, and one call a pause is made.
/// Twice as many (a phone and an account) are still fewer than the shortest run that is taken for an outage.
const GUESTS_SHARE: u32 = 3;
const GUESTS_PAUSE: Duration = Duration::from_secs(1);

/// A check that could not be told is not asked for again for so long.
const ARGUMENTS_PAUSE: Duration = Duration::from_secs(3);

/// A guest may have so many checks asked for at once, then one every so often.
const CHECKS_BURST: u32 = 120;
const CHECKS_INTERVAL: Duration = Duration::from_millis(250);

/// Calls with the care ProBonus is due.
pub(super) struct Calls {
    exchange: Exchange,
    gates: [Gate; 4],
    guests: FailureMemory,
    checks: FailureMemory,
    checks_per_guest: RateLimit,
    retries: RetryBudget,
    clock: Clock,
    entropy: Entropy,
    retried: Counter,
}

/// What all calls of one group pass.
struct Gate {
    limit: ConcurrencyLimit,
    throttle: Throttle,
}

/// A call, and to whom and what a failure of it belongs.
struct Call<'a> {
    operation: Operation,
    arguments: &'a Arguments,
    /// Whose failure it is when it is not ProBonus'.
    guest: Option<&'a str>,
    /// The check that is asked for.
    check: Option<&'a str>,
    priority: Priority,
}

/// Who asks for a check, and how sure it is that there is one.
pub(super) struct AskedBy<'a> {
    /// The guest's account.
    pub account: &'a str,
    /// Whether their history names it. Otherwise the id may be of their own making, and says nothing about ProBonus.
    pub named: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Try {
    First,
    Second,
}

impl Calls {
    pub fn new(
        config: &ProbonusConfig,
        throttling: Throttling,
        clock: Clock,
        entropy: Entropy,
    ) -> Result<Self, reqwest::Error> {
        let pacer = Arc::new(ProbePacer::default());
        let gate = |group: Group| Gate {
            limit: ConcurrencyLimit::new(config.max_concurrency),
            throttle: Throttle::new(group.name(), throttling, pacer.clone(), clock.clone(), entropy.clone()),
        };
        Ok(Self {
            exchange: Exchange::new(config, clock.clone())?,
            gates: Group::ALL.map(gate),
            guests: FailureMemory::new(GUESTS_SHARE, GUESTS_PAUSE, clock.clone()),
            checks: FailureMemory::new(1, ARGUMENTS_PAUSE, clock.clone()),
            checks_per_guest: RateLimit::new(CHECKS_BURST, CHECKS_INTERVAL, clock.clone()),
            retries: RetryBudget::new(),
            clock,
            entropy,
            retried: counter!("cabinet_upstream_retries_total"),
        })
    }

    /// What was seen on the way.
    pub fn sightings(&self) -> &Sightings {
        self.exchange.sightings()
    }

    /// One call; a read that failed by chance is tried once more.
    pub async fn make(
        &self,
        operation: Operation,
        arguments: &Arguments,
        deadline: Deadline,
    ) -> Result<Reply, UpstreamError> {
        let call = Call {
            operation,
            arguments,
            guest: operation.guest_argument().and_then(|name| arguments.get(name)),
            check: None,
            priority: priority_of(deadline),
        };
        self.make_call(&call, deadline).await
    }

    /// The same for a check that a guest asks for.
    pub async fn make_for(
        &self,
        asked_by: AskedBy<'_>,
        arguments: &Arguments,
        deadline: Deadline,
    ) -> Result<Reply, UpstreamError> {
        let operation = Operation::Check;
        let check = arguments.get("id");
        if let Some(error) = check.and_then(|check| self.checks.recall(&check)) {
            count(operation, "remembered");
            return Err(error);
        }
        if !self.checks_per_guest.allows(&asked_by.account) {
            count(operation, "too_often");
            return Err(UpstreamError::Overloaded);
        }
        let usual = priority_of(deadline);
        let call = Call {
            operation,
            arguments,
            guest: Some(asked_by.account),
            check,
            priority: if asked_by.named { usual } else { Priority::Speculative },
        };
        self.make_call(&call, deadline).await
    }

    async fn make_call(&self, call: &Call<'_>, deadline: Deadline) -> Result<Reply, UpstreamError> {
        if let Some(error) = call.guest_key().and_then(|key| self.guests.recall(&key)) {
            count(call.operation, "remembered");
            return Err(error);
        }
        let mut result = self.attempt(call, Try::First, deadline).await;
        if self.may_retry(call, &result, deadline) {
            self.retried.increment(1);
            tokio::time::sleep(jitter(&self.entropy)).await;
            result = self.attempt(call, Try::Second, deadline).await;
        }
        if let Some(check) = call.check {
            self.note_check(check, &result);
        }
        match result {
            Ok(reply) if call.operation.is_read() => match reply.asks_for_pause() {
                Some(pause) => Err(UpstreamError::Unavailable {
                    retry_after: Some(pause.min(LONGEST_PAUSE)),
                    effect: Effect::None,
                }),
                None => Ok(reply),
            },
            result => result,
        }
    }

    /// Whether a call that failed by chance is worth a second try, and the budget bears it.
    fn may_retry(&self, call: &Call<'_>, result: &Result<Reply, UpstreamError>, deadline: Deadline) -> bool {
        let by_chance = match result {
            // 429 is no chance: it asks to be left alone.
            Ok(reply) => reply.status.is_server_error() && reply.asks_for_pause().is_none(),
            Err(error) => matches!(error, UpstreamError::Unavailable { retry_after: None, .. }),
        };
        let gate = &self.gates[call.operation.group() as usize];
        let guests_own = || call.guest_key().is_some_and(|key| self.guests.recall(&key).is_some());
        by_chance
            && call.operation.is_read()
            && call.priority == Priority::Foreground
            && deadline.remaining() > self.exchange.timeout() / 4
            && gate.throttle.may_retry()
            && !guests_own()
            && self.retries.withdraw()
    }

    async fn attempt(&self, call: &Call<'_>, which: Try, deadline: Deadline) -> Result<Reply, UpstreamError> {
        let (operation, gate) = (call.operation, &self.gates[call.operation.group() as usize]);
        let _turn = gate
            .limit
            .acquire(call.priority, deadline)
            .await
            .map_err(|_| UpstreamError::Overloaded)
            .inspect_err(|error| count(operation, error.outcome()))?;
        let permit = gate
            .throttle
            .admit(call.priority)
            .map_err(|Throttled { nonsense, retry_after }| not_made(operation, nonsense, retry_after))
            .inspect_err(|_| count(operation, "throttled"))?;
        if which == Try::First {
            self.retries.deposit();
        }
        gauge!("cabinet_retries_left").set(f64::from(self.retries.left()));
        let started = self.clock.steady();
        let result = self.exchange.perform(operation, call.arguments, deadline).await;
        let took = self.clock.steady().saturating_sub(started);
        histogram!("cabinet_upstream_seconds", "operation" => operation.name()).record(took.as_secs_f64());
        count(operation, self.word_of(operation, &result));
        if let Some(pause) = result.as_ref().ok().and_then(Reply::asks_for_pause) {
            gate.throttle.pause(pause.min(LONGEST_PAUSE));
        }
        if let Some(outcome) = self.outcome_for_all(call, &result, took) {
            permit.record(outcome);
        }
        result
    }

    /// What a call says about its group; nothing when it is about our credential, its guest, or an argument of the guest's making.
    fn outcome_for_all(
        &self,
        call: &Call<'_>,
        result: &Result<Reply, UpstreamError>,
        took: Duration,
    ) -> Option<Outcome> {
        let word = self.word_of(call.operation, result);
        if word == "credential_refused" {
            return None;
        }
        let guest = call.guest_key();
        let (outcome, in_a_row) = if let Some(nonsense) = failure(word) {
            let error = not_made(call.operation, nonsense, GUESTS_PAUSE);
            let in_a_row = guest.map_or(0, |guest| self.guests.failed(&guest, error));
            (Outcome::Failed { nonsense }, in_a_row)
        } else {
            guest.inspect(|guest| self.guests.succeeded(guest));
            let slow = took.as_secs_f64() > self.exchange.timeout().as_secs_f64() * SLOW;
            let outcome = if slow {
                Outcome::Failed { nonsense: false }
            } else {
                Outcome::Accepted
            };
            (outcome, 0)
        };
        (call.priority != Priority::Speculative && in_a_row <= GUESTS_SHARE).then_some(outcome)
    }

    fn word_of(&self, operation: Operation, result: &Result<Reply, UpstreamError>) -> &'static str {
        match result {
            Ok(reply) => self.exchange.word_of(operation, reply),
            Err(error) => error.outcome(),
        }
    }

    /// Remembers what became of a check that was asked for.
    fn note_check(&self, check: &str, result: &Result<Reply, UpstreamError>) {
        match failure(self.word_of(Operation::Check, result)) {
            Some(nonsense) => {
                let error = not_made(Operation::Check, nonsense, ARGUMENTS_PAUSE);
                self.checks.failed(&check, error);
            }
            None => self.checks.succeeded(&check),
        }
    }
}

impl<'a> Call<'a> {
    /// The guest in this call's group: what fails for one group may go well for another.
    fn guest_key(&self) -> Option<(Group, &'a str)> {
        self.guest.map(|guest| (self.operation.group(), guest))
    }
}

fn priority_of(deadline: Deadline) -> Priority {
    if deadline.is_background() {
        Priority::Background
    } else {
        Priority::Foreground
    }
}

/// Why a call is not made: a read fails as the calls did for whose failures it is not made.
fn not_made(operation: Operation, nonsense: bool, wait: Duration) -> UpstreamError {
    if nonsense && operation.is_read() {
        UpstreamError::Invalid
    } else {
        UpstreamError::not_sent(Some(wait))
    }
}

/// Whether the word says that ProBonus failed; then, whether by an answer without sense.
fn failure(word: &str) -> Option<bool> {
    matches!(word, "unavailable" | "invalid").then_some(word == "invalid")
}

fn count(operation: Operation, outcome: &'static str) {
    counter!("cabinet_upstream_requests_total", "operation" => operation.name(), "outcome" => outcome).increment(1);
}
