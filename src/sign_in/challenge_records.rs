//! Challenges as they are kept: found again by the asker's secret, with what is sealed in them. Judges no code.

use std::net::IpAddr;
use std::sync::Arc;

use super::codes::ChallengeId;
use super::phones::Phones;
use super::{ATTEMPTS, SignInError};
use crate::clock::Clock;
use crate::keys::{Keys, Purpose};
use crate::model::Guest;
use crate::store::{ChallengeRow, SharedStore};

#[derive(Clone)]
pub(super) struct ChallengeRecords {
    keys: Arc<Keys>,
    store: SharedStore,
    clock: Clock,
    phones: Phones,
}

impl ChallengeRecords {
    pub fn new(keys: Arc<Keys>, store: SharedStore, clock: Clock, phones: Phones) -> Self {
        Self {
            keys,
            store,
            clock,
            phones,
        }
    }

    /// The challenge that `id` is the secret of, if it lives, and whose phone it is for.
    ///
    /// # Errors
    /// A dead challenge, or the store.
    pub async fn find(&self, id: &ChallengeId) -> Result<(ChallengeRow, Guest), SignInError> {
        let now_us = self.clock.now_us();
        let (tag, previous) = id.tags(&self.keys);
        let mut row = self.store.challenge(&tag, ATTEMPTS.into(), now_us).await?;
        if let (None, Some(previous)) = (&row, previous) {
            row = self.store.challenge(&previous, ATTEMPTS.into(), now_us).await?;
        }
        let row = row.ok_or(SignInError::ChallengeInvalid)?;
        let phone = self.phones.open(&row.id_tag, &row.phone_sealed);
        let guest = self.phones.guest(phone.ok_or(SignInError::ChallengeInvalid)?);
        Ok((row, guest))
    }

    /// The asker's address as it is kept in the row `id_tag`.
    pub fn seal_address(&self, id_tag: &[u8], ip: IpAddr) -> Vec<u8> {
        self.keys.seal(Purpose::Code, id_tag, ip.to_string().as_bytes())
    }

    /// The address that the challenge was asked for from.
    pub fn asked_from(&self, row: &ChallengeRow) -> Option<IpAddr> {
        let plain = self.keys.open(Purpose::Code, &row.id_tag, row.asked_from.as_ref()?)?;
        std::str::from_utf8(&plain).ok()?.parse().ok()
    }
}
