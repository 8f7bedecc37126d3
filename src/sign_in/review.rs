//! Store-review numbers: they get no message and sign in with a fixed code, within their dates and where the review takes place.

use std::net::IpAddr;

use jiff::Timestamp;
use secrecy::ExposeSecret;

use super::codes::ChallengeId;
use crate::config::TestPhone;
use crate::keys::Keys;
use crate::model::Phone;
use crate::store::ChallengeRow;

/// A number under review.
#[derive(Clone, Copy)]
pub(super) struct Review<'a> {
    number: &'a TestPhone,
}

impl<'a> Review<'a> {
    /// Its fixed code.
    pub fn code(self) -> &'a secrecy::SecretString {
        &self.number.code
    }

    /// It is an ordinary number from then on.
    pub fn ends_at(self) -> Timestamp {
        self.number.valid_until
    }

    /// Whether nobody but the reviewers can come across it: elsewhere the number is an ordinary one. What is not so must look like any
    /// other number in all its answers, for whoever asks for it.
    pub fn is_for_reviewers_only(self) -> bool {
        !self.number.networks.is_empty()
    }
}

/// The configured ones.
pub(super) struct ReviewNumbers(Vec<TestPhone>);

impl ReviewNumbers {
    pub fn new(numbers: Vec<TestPhone>) -> Self {
        Self(numbers)
    }

    /// Whether `phone` is under review for who asks from `ip` now.
    pub fn find(&self, phone: &Phone, ip: IpAddr, now: Timestamp) -> Option<Review<'_>> {
        let ip = ip.to_canonical();
        let number = self.0.iter().find(|number| {
            let is_there = number.networks.is_empty() || number.networks.iter().any(|network| network.contains(&ip));
            number.phone == *phone && (number.valid_from..number.valid_until).contains(&now) && is_there
        })?;
        Some(Review { number })
    }

    /// Whether the challenge was asked for by a reviewer: only then its code is the fixed one.
    pub fn of_challenge(&self, id: &ChallengeId, row: &ChallengeRow, phone: &Phone, keys: &Keys) -> Option<Review<'_>> {
        let number = self.0.iter().find(|number| number.phone == *phone)?;
        let is_fixed = id.is_code(keys, number.code.expose_secret(), &row.code_tag);
        is_fixed.then_some(Review { number })
    }
}
