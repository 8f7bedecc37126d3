//! Reading what ProBonus answers.
//!
//! [`charset`] makes text of bytes, [`json`] looks into it, [`verdict`] decides what the answer is as a whole, by the table in [`forms`] and out
//! of its [`envelope`]s, and [`identity`] whether it is about whom it was asked for. The files named after answers read their values through
//! [`fields`], by [`scalars`] and [`dates`]; what cost only its own field is noted in [`odd`]. Nothing here makes a call.

mod account;
mod balance;
mod charset;
mod check;
mod dates;
#[cfg(test)]
mod dialects;
mod envelope;
mod fields;
mod forms;
mod groups;
mod history;
mod identity;
mod json;
#[cfg(test)]
mod mixtures;
mod odd;
mod scalars;
mod tokens;
#[cfg(test)]
mod values_tests;
mod verdict;

pub(super) use account::{read_account, read_account_id};
pub(super) use balance::{read_balance, read_pending};
pub(super) use charset::to_utf8;
pub(super) use check::read_check;
pub(super) use fields::Context;
pub(super) use groups::read_groups;
pub(super) use history::{Movements, read_history};
pub(super) use identity::{prove_account, prove_phone};
pub(super) use json::{Json, NONSENSE};
pub(super) use odd::Odd;
pub(super) use scalars::Values;
pub(super) use tokens::{Tokens, read_tokens};
pub(super) use verdict::{Verdict, absent_form, around, decide, outcome};
