//! What is read of ProBonus: accounts, histories, balances, checks, groups.

use jiff::civil::Date;

use super::arguments::Arguments;
use super::calls::AskedBy;
use super::client::ProBonus;
use super::decode::{
    Context, Json, Movements, NONSENSE, Verdict, prove_account, prove_phone, read_account, read_account_id,
    read_balance, read_check, read_groups, read_history, read_pending,
};
use super::error::UpstreamError;
use super::operation::Operation;
use super::reply::Reply;
use crate::clock::Deadline;
use crate::model::{Account, AccountGroup, AccountId, Balance, Check, CheckId, Money, Phone, Transaction};

/// Which part of a history is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// Days of the restaurants' calendar, both included.
    Days {
        /// The first.
        from: Date,
        /// The last.
        to: Date,
    },
    /// The last so many movements.
    Last(u32),
}

impl ProBonus {
    /// The account of a phone; `None` when ProBonus says that there is none. An account that says it is another phone's is nonsense.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn find_by_phone(&self, phone: &Phone, deadline: Deadline) -> Result<Option<Account>, UpstreamError> {
        let arguments = Arguments::default().text("phone", self.spelled(phone));
        let reply = self.calls.make(Operation::FindByPhone, &arguments, deadline).await?;
        let Verdict::Told(answer) = self.decide(&reply, Operation::FindByPhone)? else {
            return Ok(None);
        };
        self.read(Operation::FindByPhone, |context| {
            let account = only_account(answer, context)?;
            prove_phone(account, phone)?;
            self.ids.learn(account);
            read_account(account, context).map(Some)
        })
    }

    /// The history, newest first, without movements that could not be told for want of a moment.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn transactions(
        &self,
        id: &AccountId,
        history: History,
        deadline: Deadline,
    ) -> Result<Vec<Transaction>, UpstreamError> {
        let movements = self.movements(id, history, deadline).await?;
        Ok(movements.entries)
    }

    /// The history as evidence: nonsense when any movement could not be told.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn whole_transactions(
        &self,
        id: &AccountId,
        history: History,
        deadline: Deadline,
    ) -> Result<Vec<Transaction>, UpstreamError> {
        let movements = self.movements(id, history, deadline).await?;
        if movements.left_out > 0 {
            return Err(NONSENSE);
        }
        Ok(movements.entries)
    }

    async fn movements(
        &self,
        id: &AccountId,
        history: History,
        deadline: Deadline,
    ) -> Result<Movements, UpstreamError> {
        let arguments = Arguments::default().id("accountId", id.as_str(), &self.ids);
        let arguments = match history {
            History::Days { from, to } => arguments
                .text("dateFrom", from.to_string())
                .text("dateTo", to.to_string()),
            History::Last(count) => arguments.number("count", count),
        };
        let reply = self.calls.make(Operation::Transactions, &arguments, deadline).await?;
        let Verdict::Told(answer) = self.decide(&reply, Operation::Transactions)? else {
            return Ok(Movements {
                entries: Vec::new(),
                left_out: 0,
            });
        };
        let movements = self.read(Operation::Transactions, |context| read_history(answer, id, context))?;
        if let Some(movement) = answer.array()?.first() {
            self.ids.learn_from_movement(*movement);
        }
        Ok(movements)
    }

    /// The balance in detail.
    ///
    /// # Errors
    /// See [`UpstreamError`]; whatever does not read is nonsense, never an empty balance.
    pub async fn balance(&self, id: &AccountId, deadline: Deadline) -> Result<Balance, UpstreamError> {
        let reply = self.balance_told(id, deadline).await?;
        let answer = self.told_of(id, &reply)?;
        self.read(Operation::Balance, |context| read_balance(answer, context))
    }

    /// Accruals that were booked and have not arrived: the history does not name them yet.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn pending(&self, id: &AccountId, deadline: Deadline) -> Result<Vec<Money>, UpstreamError> {
        let reply = self.balance_told(id, deadline).await?;
        let answer = self.told_of(id, &reply)?;
        self.read(Operation::Balance, |context| read_pending(answer, context))
    }

    async fn balance_told(&self, id: &AccountId, deadline: Deadline) -> Result<Reply, UpstreamError> {
        let arguments = Arguments::default().id("accountId", id.as_str(), &self.ids);
        self.calls.make(Operation::Balance, &arguments, deadline).await
    }

    /// What a balance tells, which must be this account's as far as it says whose it is.
    fn told_of<'a>(&self, id: &AccountId, reply: &'a Reply) -> Result<Json<'a>, UpstreamError> {
        match self.decide(reply, Operation::Balance)? {
            Verdict::Told(answer) => prove_account(answer, &["accountId"], id).map(|()| answer),
            Verdict::Nothing | Verdict::Absent => Err(NONSENSE),
        }
    }

    /// A check; `None` when there is none by that very id. Whose it is, the caller must prove.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn check(&self, id: &CheckId, deadline: Deadline) -> Result<Option<Check>, UpstreamError> {
        let arguments = Arguments::default().id("id", id.as_str(), &self.ids);
        let reply = self.calls.make(Operation::Check, &arguments, deadline).await?;
        self.check_told(id, &reply)
    }

    /// The same for a guest, whose failures stay theirs; `named`: their history names the check.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn check_asked_by(
        &self,
        account: &AccountId,
        named: bool,
        id: &CheckId,
        deadline: Deadline,
    ) -> Result<Option<Check>, UpstreamError> {
        let arguments = Arguments::default().id("id", id.as_str(), &self.ids);
        let account = account.as_str();
        let reply = self
            .calls
            .make_for(AskedBy { account, named }, &arguments, deadline)
            .await?;
        self.check_told(id, &reply)
    }

    fn check_told(&self, id: &CheckId, reply: &Reply) -> Result<Option<Check>, UpstreamError> {
        // An id is a guest's word: a ProBonus that knows none of such a form says so.
        if matches!(reply.status.as_u16(), 400 | 410 | 422) {
            return Ok(None);
        }
        let Verdict::Told(answer) = self.decide(reply, Operation::Check)? else {
            return Ok(None);
        };
        let check = self.read(Operation::Check, |context| read_check(answer, context))?;
        // Another spelling of an id (`007` for `7`) must not tell that there is such a check.
        Ok(Some(check).filter(|check| check.id == *id))
    }

    /// The groups of accounts.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn account_groups(&self, deadline: Deadline) -> Result<Vec<AccountGroup>, UpstreamError> {
        let arguments = Arguments::default();
        let reply = self.calls.make(Operation::AccountGroups, &arguments, deadline).await?;
        match self.decide(&reply, Operation::AccountGroups)? {
            Verdict::Told(answer) => self.read(Operation::AccountGroups, |context| read_groups(answer, context)),
            Verdict::Nothing | Verdict::Absent => Err(NONSENSE),
        }
    }

    /// Proves that the API is there and answers in its form, by an operation that knows nothing of guests: what a web server says about an
    /// address may look like "no such guest".
    ///
    /// # Errors
    /// See [`UpstreamError`]; a list without groups proves nothing.
    pub async fn prove_presence(&self, deadline: Deadline) -> Result<(), UpstreamError> {
        let groups = self.account_groups(deadline).await?;
        if groups.is_empty() { Err(NONSENSE) } else { Ok(()) }
    }
}

/// The one account of an answer; the same one told twice is one.
pub(super) fn only_account<'a>(answer: Json<'a>, context: Context) -> Result<Json<'a>, UpstreamError> {
    if !answer.is_list() {
        return Ok(answer);
    }
    let accounts = answer.array()?;
    let id = |account: &Json<'_>| read_account_id(*account, context);
    let first = *accounts.first().ok_or(NONSENSE)?;
    for other in &accounts {
        if id(other)? != id(&first)? {
            tracing::error!(
                target: "security",
                event = "several_accounts",
                "ProBonus has several accounts of one phone: its guest is shown none until they are merged"
            );
            metrics::counter!("cabinet_upstream_several_accounts_total").increment(1);
            return Err(UpstreamError::SeveralAccounts);
        }
    }
    Ok(first)
}
