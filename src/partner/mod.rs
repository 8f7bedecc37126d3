//! Money-like writes exactly once, over an upstream that checks nothing: the intent is on disk before ProBonus is called, one call
//! leaves, and when its outcome is not known it is settled by reading, never repeated blindly. Knows nothing of HTTP.
//!
//! `pending → sent → registered | rejected | unknown`. Found `pending` after a crash: nothing was sent, and whoever comes first goes on.
//! Found `sent`: it becomes `unknown` and is settled. Audit records (`target: "audit"`) name partner, operation and outcome, and nobody.
//!
//! Who calls whom: [`submission`] claims an order and hands it to [`execution`], which makes [`attempt`]s; [`reconciliation`] looks for
//! unknown ones in the [`evidence`] (what a movement says is [`matching`]'s), does what the [`decision`] says, and takes up what was left.
//! All of them write down what happens through the [`journal`]. [`identity`] tells orders apart, [`caps`] and [`daily_limits`] bound them.

mod attempt;
mod authentication;
mod caps;
mod check_guids;
mod daily_limits;
mod decision;
mod error;
mod evidence;
mod execution;
mod identity;
mod journal;
mod lease;
mod ledger;
mod matching;
mod operator;
mod order;
mod reconciliation;
mod restores;
mod submission;
mod upkeep;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use authentication::Caller;
pub use caps::{Breach, BreachKind};
pub use error::PartnerError;
pub use ledger::Ledger;
pub use operator::{list, resolve, show};
pub use order::{RefillKey, Submission, Whose};

use crate::clock::{Clock, Deadline};
use crate::config::{PartnerConfig, Scope};
use crate::entropy::Entropy;
use crate::keys::{Keys, sha256};
use crate::model::{AccountGroup, OperationKind, OperationState};
use crate::store::{OperationRow, SharedStore, StoreError};

use attempt::Attempts;
use authentication::Authentication;
use daily_limits::DailyLimits;
use decision::Rule;
use evidence::Evidence;
use execution::Execution;
use journal::Journal;
use reconciliation::Reconciliation;
use restores::Restores;
use submission::Submissions;
use upkeep::Upkeep;

/// An order is told about this long before its request runs out of time: a 503 of the request itself would say less than is known.
const ANSWERING: Duration = Duration::from_millis(400);

/// An operation as its partner sees it.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its public id.
    pub id: String,
    /// What became of it; what is sent is on its way.
    pub state: OperationState,
    /// Recorded attempts to do it.
    pub attempts: i64,
    /// When it was first asked for, in microseconds.
    pub created_at_us: i64,
    /// When the state last changed, in microseconds.
    pub changed_at_us: i64,
    /// Whether this is the outcome of an earlier request.
    pub replayed: bool,
}

impl Operation {
    fn of_row(row: &OperationRow, replayed: bool) -> Self {
        Self {
            id: row.id.clone(),
            state: row.state,
            attempts: row.attempts,
            created_at_us: row.created_at_us,
            changed_at_us: row.changed_at_us,
            replayed,
        }
    }
}

/// Partners' orders: gathers the parts and gives each what it needs.
pub struct Partner {
    authentication: Authentication,
    submissions: Submissions,
    reconciliation: Reconciliation,
    upkeep: Upkeep,
    ledger: Arc<dyn Ledger>,
    store: SharedStore,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What partners' orders may be and how they are settled.
pub struct Rules {
    /// Partners by their names.
    pub partners: BTreeMap<String, PartnerConfig>,
    /// The longest time after its end in which a call may still take effect.
    pub late_effect: Duration,
    /// The restaurants' zone.
    pub zone: TimeZone,
    /// When a business day begins.
    pub day_start: Time,
}

/// What it is given.
pub struct Tools {
    /// ProBonus.
    pub ledger: Arc<dyn Ledger>,
    /// State.
    pub store: SharedStore,
    /// Keys.
    pub keys: Arc<Keys>,
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
}

impl Partner {
    /// Starts, and begins to settle what an earlier life left open.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn start(rules: Rules, tools: Tools) -> Result<Arc<Self>, StoreError> {
        if !tools.store.is_shared() {
            tools.store.end_all_leases().await?;
        }
        let restores = Restores::start(tools.store.clone(), tools.clock.clone()).await?;
        let partner = Arc::new(Self::new(rules, tools, restores));
        tokio::spawn(run(partner.clone()));
        Ok(partner)
    }

    fn new(rules: Rules, tools: Tools, restores: Restores) -> Self {
        let (ledger, store, clock) = (tools.ledger, tools.store, tools.clock);
        let (partners, wake, stop) = (
            Arc::new(rules.partners),
            Arc::new(Notify::new()),
            CancellationToken::new(),
        );
        let (keys, entropy) = (tools.keys, tools.entropy);
        let journal = Arc::new(Journal::new(restores, store.clone(), keys, clock.clone(), entropy));
        let evidence = Evidence::new(ledger.clone(), journal.clone(), rules.zone.clone(), clock.clone());
        let evidence = Arc::new(evidence);
        let limits = DailyLimits::new(partners.clone(), (rules.zone, rules.day_start), clock.clone());
        let attempts = Arc::new(Attempts::new(ledger.clone(), journal.clone(), limits));
        let execution = Arc::new(Execution::new(
            ledger.clone(),
            (journal.clone(), evidence.clone(), attempts.clone()),
            wake.clone(),
        ));
        let rule = Rule {
            late_effect: rules.late_effect,
        };
        Self {
            authentication: Authentication::new(partners.clone(), store.clone(), clock.clone()),
            submissions: Submissions::new(partners, journal.clone(), execution.clone(), wake.clone()),
            reconciliation: Reconciliation::new(
                (journal.clone(), evidence, attempts),
                execution,
                rule,
                wake,
                stop.clone(),
            ),
            upkeep: Upkeep::new(journal.clone(), clock),
            ledger,
            store,
            tasks: TaskTracker::new(),
            stop,
        }
    }

    /// Ends the background work; operations under way are finished.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.upkeep.stop().await;
    }

    /// Who calls for `event` with this key, which needs the scope. A refusal is told in the audit log.
    ///
    /// # Errors
    /// No such key, a missing scope, too many calls, or the store.
    pub async fn caller(&self, key: Option<&str>, scope: Scope, event: &'static str) -> Result<Caller, PartnerError> {
        self.authentication.caller(key, scope, event).await
    }

    /// Carries an order out, once however often and wherever it is submitted. Goes on when the partner's connection breaks.
    ///
    /// # Errors
    /// See [`PartnerError`].
    pub async fn submit(
        self: &Arc<Self>,
        caller: &Caller,
        submission: Submission,
        deadline: Deadline,
    ) -> Result<Operation, PartnerError> {
        let (partner, name) = (self.clone(), caller.name.clone());
        let work = async move {
            let deadline = deadline.earlier_by(ANSWERING);
            let outcome = partner.submissions.submit(&name, &submission, deadline).await;
            tell(&name, &submission, &outcome);
            outcome
        };
        let span = tracing::Span::current();
        let task = self.tasks.spawn(tracing::Instrument::instrument(work, span));
        task.await.unwrap_or(Err(PartnerError::Internal))
    }

    /// How an operation of the caller's stands.
    ///
    /// # Errors
    /// See [`PartnerError`]; another partner's operation is [`PartnerError::NotFound`].
    pub async fn status(&self, caller: &Caller, kind: OperationKind, id: &str) -> Result<Operation, PartnerError> {
        let row = self.store.operation_by_id(kind, id).await?;
        let row = row
            .filter(|row| row.partner == caller.name)
            .ok_or(PartnerError::NotFound)?;
        Ok(Operation::of_row(&row, false))
    }

    /// The groups of accounts.
    ///
    /// # Errors
    /// When ProBonus cannot be asked.
    pub async fn account_groups(&self, deadline: Deadline) -> Result<Vec<AccountGroup>, PartnerError> {
        Ok(self.ledger.account_groups(deadline).await?)
    }

    /// One round of the background work: settles what is due, and does what else is due.
    pub async fn run_once(&self) {
        self.reconciliation.settle_due().await;
        self.upkeep.beat().await;
    }
}

/// Background work until the stop.
async fn run(partner: Arc<Partner>) {
    while partner.reconciliation.wait().await {
        let worker = partner.clone();
        // An operation taken up is settled to its end, also at a stop.
        let _ = partner.tasks.spawn(async move { worker.run_once().await }).await;
    }
}

/// The audit record of an order: who, what, outcome.
fn tell(partner: &str, submission: &Submission, outcome: &Result<Operation, PartnerError>) {
    let (kind, became) = (submission.order.kind().word(), word_of(outcome));
    let operation = match outcome {
        Ok(operation) => Some(operation.id.clone()),
        Err(_) => submission.check_guid().map(|guid| guid.to_string()),
    };
    tracing::info!(target: "audit", partner, event = kind, operation, outcome = became);
    metrics::counter!("cabinet_partner_calls_total", "kind" => kind, "outcome" => became).increment(1);
}

fn word_of(outcome: &Result<Operation, PartnerError>) -> &'static str {
    match outcome {
        Ok(Operation { replayed: true, .. }) => "replayed",
        Ok(operation) => operation.state.word(),
        Err(error) => error.word(),
    }
}

/// The key of what must stay unique for ever. It depends on no secret: a rotation must not make an old order a new one.
fn key_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut text = Vec::new();
    for part in parts {
        text.extend_from_slice(&(part.len() as u64).to_be_bytes());
        text.extend_from_slice(part);
    }
    sha256(&text)
}
