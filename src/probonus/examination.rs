//! How this ProBonus answers, for the doctor: the form of an answer, what is around it, and which fields are odd. Harmless operations only.

use super::arguments::Arguments;
use super::client::ProBonus;
use super::decode::{
    Context, Odd, Verdict, absent_form, around, decide, prove_phone, read_account, read_balance, read_check,
    read_groups, read_history,
};
use super::error::UpstreamError;
use super::operation::Operation;
use super::reads::only_account;
use super::reply::Reply;
use super::sightings::Redirect;
use crate::clock::Deadline;
use crate::config::AbsentForm;
use crate::model::{AccountId, CheckId, Phone};

/// What is asked.
#[derive(Clone, Copy)]
pub enum Question<'q> {
    /// The groups of accounts.
    Groups,
    /// The account of a phone.
    Guest(&'q Phone),
    /// A balance.
    Balance(&'q AccountId),
    /// A history's last movement.
    History(&'q AccountId),
    /// A check.
    Check(&'q CheckId),
}

/// How it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impression {
    /// The HTTP status.
    pub status: u16,
    /// What the answer is taken for; as far as it is told, its values read.
    pub meaning: Result<Meaning, UpstreamError>,
    /// The form in which it says that there is nothing, whether that form is believed or not.
    pub absent: Option<AbsentForm>,
    /// Names of the envelopes around the answer, the outermost first.
    pub envelopes: Vec<&'static str>,
    /// Fields whose values could not be read.
    pub odd: Vec<&'static str>,
}

/// What an answer is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A result.
    Told,
    /// Nothing.
    Nothing,
    /// There is no such guest or check.
    Absent,
}

impl Question<'_> {
    /// The operation that answers it.
    #[must_use]
    pub fn operation(self) -> Operation {
        match self {
            Self::Groups => Operation::AccountGroups,
            Self::Guest(_) => Operation::FindByPhone,
            Self::Balance(_) => Operation::Balance,
            Self::History(_) => Operation::Transactions,
            Self::Check(_) => Operation::Check,
        }
    }
}

impl ProBonus {
    /// Asks and tells how it was answered.
    ///
    /// # Errors
    /// See [`UpstreamError`]: there was no answer, or none that is JSON.
    pub async fn examine(&self, question: Question<'_>, deadline: Deadline) -> Result<Impression, UpstreamError> {
        let arguments = Arguments::default();
        let arguments = match question {
            Question::Groups => arguments,
            Question::Guest(phone) => arguments.text("phone", self.spelled(phone)),
            Question::Balance(account) => arguments.id("accountId", account.as_str(), &self.ids),
            Question::History(account) => arguments
                .id("accountId", account.as_str(), &self.ids)
                .number("count", 1),
            Question::Check(check) => arguments.id("id", check.as_str(), &self.ids),
        };
        let reply = self.calls.make(question.operation(), &arguments, deadline).await?;
        Ok(self.impression_of(question, &reply))
    }

    fn impression_of(&self, question: Question<'_>, reply: &Reply) -> Impression {
        let operation = question.operation();
        let odd = Odd::default();
        let context = Context {
            values: &self.values,
            odd: &odd,
        };
        let meaning = decide(reply, operation, &self.forms).and_then(|verdict| {
            let answer = match verdict {
                Verdict::Told(answer) => answer,
                Verdict::Nothing => return Ok(Meaning::Nothing),
                Verdict::Absent => return Ok(Meaning::Absent),
            };
            match question {
                Question::Groups => read_groups(answer, context).map(drop),
                Question::Guest(phone) => only_account(answer, context)
                    .and_then(|account| prove_phone(account, phone).and_then(|()| read_account(account, context)))
                    .map(drop),
                Question::Balance(_) => read_balance(answer, context).map(drop),
                Question::History(account) => read_history(answer, account, context).map(drop),
                Question::Check(_) => read_check(answer, context).map(drop),
            }?;
            Ok(Meaning::Told)
        });
        Impression {
            status: reply.status.as_u16(),
            meaning,
            absent: absent_form(reply, operation),
            envelopes: around(reply, operation),
            odd: odd.fields(),
        }
    }

    /// Where ProBonus has redirected a call to.
    #[must_use]
    pub fn redirect(&self) -> Option<Redirect> {
        self.calls.sightings().redirect()
    }

    /// Whether ProBonus has sent a head that the HTTP library does not read.
    #[must_use]
    pub fn has_unreadable_head(&self) -> bool {
        self.calls.sightings().has_unreadable_head()
    }
}
