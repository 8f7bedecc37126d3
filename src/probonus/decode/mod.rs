//! Reading what ProBonus answers: what the answer is as a whole ([`verdict`], by the table in [`forms`]), then its values.
//!
//! `verdict` is the only place that tells done, refused, absent and nonsense apart; whoever makes a call asks it. It knows nothing of
//! accounts and sums.

pub(super) mod envelope;
pub(super) mod forms;
pub(super) mod identity;
#[cfg(test)]
mod mixtures;
pub(super) mod verdict;
