//! Codes that are given back: whether one proves the phone, and what a wrong one costs. Opens no sessions.

use std::net::IpAddr;
use std::sync::Arc;

use super::challenge_records::ChallengeRecords;
use super::codes::ChallengeId;
use super::guess_limits::GuessLimits;
use super::limits::{Counters, Exhausted, limits};
use super::networks::{CallerNetworks, Networks};
use super::review::ReviewNumbers;
use super::send_limits::SendLimits;
use super::sessions::SessionKind;
use super::{ATTEMPTS, CHOSEN_ATTEMPTS, CHOSEN_DIGITS, SignInError};
use crate::clock::Clock;
use crate::delivery::Delivery;
use crate::keys::Keys;
use crate::model::Guest;
use crate::store::{ChallengeRow, Guess, SharedStore, Try};

/// A code given back.
pub struct Verify<'a> {
    /// The challenge.
    pub id: &'a ChallengeId,
    /// Six digits, or the last four of the number that called; may be empty when the guest's own call stands for them.
    pub code: &'a str,
    /// Which kind of session is wanted.
    pub kind: SessionKind,
    /// What the guest calls the device.
    pub device_name: Option<String>,
    /// From where.
    pub ip: IpAddr,
    /// What a device that signed in before carries.
    pub device_token: Option<&'a str>,
}

/// What a code turned out to be.
struct Judged {
    is_right: bool,
    /// Of so many tries this is one.
    most: u32,
    /// Four digits: few enough to be guessed.
    is_short: bool,
}

pub(super) struct Verification {
    pub records: ChallengeRecords,
    pub networks: Arc<Networks>,
    pub sends: Arc<SendLimits>,
    pub guesses: Arc<GuessLimits>,
    pub counters: Arc<Counters>,
    pub review: Arc<ReviewNumbers>,
    pub delivery: Arc<Delivery>,
    pub keys: Arc<Keys>,
    pub store: SharedStore,
    pub clock: Clock,
}

impl Verification {
    /// Consumes the challenge by its right code, once; says whose phone that proves.
    ///
    /// # Errors
    /// A dead challenge, a wrong code, a limit, or the store.
    pub async fn prove_phone(&self, verify: &Verify<'_>) -> Result<Guest, SignInError> {
        let (row, guest) = self.records.find(verify.id).await?;
        let judged = self.judge(verify, &row)?;
        let callers = self.callers(verify.ip, &row);
        self.count(&judged, &row, &guest, &callers).await?;
        let review = self.review.of_challenge(verify.id, &row, &guest.phone, &self.keys);
        if review.is_some() {
            tracing::warn!(target: "security", event = "test_phone_used", guest = ?guest.key);
        }
        if review.is_none_or(|review| !review.is_for_reviewers_only()) {
            self.sends.prove(&guest.phone, &callers).await;
        }
        Ok(guest)
    }

    /// Whether what was given back proves the phone, and of how many tries this is one: our code, the digits that a gateway chose, or any
    /// once the guest's own call came.
    fn judge(&self, verify: &Verify<'_>, row: &ChallengeRow) -> Result<Judged, SignInError> {
        let judged = |is_right| Judged {
            is_right,
            most: ATTEMPTS,
            is_short: false,
        };
        if row.is_confirmed {
            return Ok(judged(true));
        }
        if verify.code.is_empty() {
            return Err(SignInError::CodeMissing);
        }
        if verify.code.len() != CHOSEN_DIGITS as usize {
            return Ok(judged(verify.id.is_code(&self.keys, verify.code, &row.code_tag)));
        }
        let tag = row.chosen_digits.as_deref().ok_or(SignInError::CodeMalformed)?;
        Ok(Judged {
            is_right: self.delivery.are_chosen_digits(&row.id_tag, verify.code, tag),
            most: CHOSEN_ATTEMPTS,
            is_short: true,
        })
    }

    /// Who has to do with the code: who asked for it and, from another household, who gives it back.
    fn callers(&self, ip: IpAddr, row: &ChallengeRow) -> Vec<CallerNetworks> {
        let asker = self.records.asked_from(row).map(|ip| self.networks.of(ip));
        let giver = self.networks.of(ip);
        let is_asker = asker.as_ref().is_some_and(|asker| giver.is_household_of(asker));
        asker.into_iter().chain((!is_asker).then_some(giver)).collect()
    }

    /// Consumes the challenge, or counts a wrong code.
    async fn count(
        &self,
        judged: &Judged,
        row: &ChallengeRow,
        guest: &Guest,
        callers: &[CallerNetworks],
    ) -> Result<(), SignInError> {
        let wrong = self.guesses.of_wrong_code(guest.key, callers);
        let ways = if judged.is_short {
            self.guesses.of_short_code(callers, self.are_proven(callers).await?)
        } else {
            vec![Vec::new()]
        };
        let mut refused = None;
        for guesses in &ways {
            let now_us = self.clock.now_us();
            let given = Guess {
                is_right: judged.is_right,
                most: judged.most.into(),
                guesses: &limits(guesses),
                wrong: &limits(&wrong),
            };
            match self.store.try_code(&row.id_tag, &given, now_us).await? {
                Try::Consumed => return Ok(()),
                Try::Dead => return Err(SignInError::ChallengeInvalid),
                Try::Wrong { attempts, over } => {
                    note_wrong(guest, attempts);
                    let attempts_left = judged
                        .most
                        .saturating_sub(u32::try_from(attempts).unwrap_or(judged.most));
                    let over = over.map(|(index, ends_at_us)| wrong[index].exhausted(ends_at_us, now_us));
                    return Err(match over {
                        Some(exhausted) => self.too_many(exhausted, guest, callers),
                        None => SignInError::CodeIncorrect { attempts_left },
                    });
                }
                Try::Limited { index, ends_at_us } => {
                    refused.get_or_insert(guesses[index].exhausted(ends_at_us, now_us));
                }
            }
        }
        let refused = refused.expect("there is a way, and it was refused");
        Err(self.too_many(refused, guest, callers))
    }

    fn too_many(&self, exhausted: Exhausted, guest: &Guest, callers: &[CallerNetworks]) -> SignInError {
        if let Some(caller) = callers.last() {
            self.counters.note_exhausted(&exhausted, guest.key, caller);
        }
        SignInError::TooMany(exhausted)
    }

    /// Whether guests signed in lately from wherever the code comes from.
    async fn are_proven(&self, callers: &[CallerNetworks]) -> Result<bool, SignInError> {
        for caller in callers {
            if !self.sends.is_proven(caller).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn note_wrong(guest: &Guest, attempts: i64) {
    tracing::info!(target: "security", event = "code_wrong", guest = ?guest.key, attempts);
    metrics::counter!("cabinet_sign_in_total", "event" => "code_wrong").increment(1);
}
