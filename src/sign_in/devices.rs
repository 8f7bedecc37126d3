//! Devices that signed a phone in before: strangers cannot use up what is kept for them. Knows no sessions.
//!
//! A token proves that this server made it for the phone, and the store that the phone has not forgotten the device since.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock::{Clock, micros};
use crate::entropy::Entropy;
use crate::keys::{Keys, Purpose, Tag};
use crate::model::{Guest, Phone};
use crate::store::{SharedStore, StoreError};

/// Devices that a phone has; one more, and the longest unseen is forgotten.
const PER_PHONE: i64 = 10;

/// A device unseen for so long is forgotten: as long as its cookie lives.
const LIFE: Duration = Duration::from_hours(8760);

/// The random half of a token.
type DeviceId = [u8; 12];

/// Of the keyed hash so many bytes stand in a token.
const TAG: usize = 20;

pub(super) struct Devices {
    keys: Arc<Keys>,
    entropy: Entropy,
    store: SharedStore,
    clock: Clock,
}

impl Devices {
    pub fn new(keys: Arc<Keys>, entropy: Entropy, store: SharedStore, clock: Clock) -> Self {
        Self {
            keys,
            entropy,
            store,
            clock,
        }
    }

    /// Whether whoever carries `token` signed the guest's phone in before.
    pub async fn is_known(&self, token: Option<&str>, guest: &Guest) -> Result<bool, StoreError> {
        match token.and_then(|token| self.read(token, &guest.phone)) {
            Some(id) => self.store.is_device_known(&id, guest.key).await,
            None => Ok(false),
        }
    }

    /// Remembers a device on which the phone was just signed in; gives its token. A device that is known keeps its place.
    pub async fn remember(&self, token: Option<&str>, guest: &Guest) -> Result<String, StoreError> {
        let known = token.and_then(|token| self.read(token, &guest.phone));
        let id = known.unwrap_or_else(|| self.entropy.bytes());
        let now_us = self.clock.now_us();
        self.store.remember_device(&id, guest.key, PER_PHONE, now_us).await?;
        Ok(self.write(&id, &guest.phone))
    }

    /// Forgets at most `most` devices that were not seen for long; says how many.
    pub async fn forget_unseen(&self, most: i64) -> Result<u64, StoreError> {
        let before_us = self.clock.now_us().saturating_sub(micros(LIFE));
        self.store.prune_devices(before_us, most).await
    }

    fn write(&self, id: &DeviceId, phone: &Phone) -> String {
        let tag = self.keys.mac(Purpose::Device, &[id, phone.e164().as_bytes()]);
        URL_SAFE_NO_PAD.encode([&id[..], &tag[..TAG]].concat())
    }

    /// The device's id when `token` was made for `phone`.
    fn read(&self, token: &str, phone: &Phone) -> Option<DeviceId> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (id, tag) = bytes.split_first_chunk::<12>()?;
        let parts: &[&[u8]] = &[id, phone.e164().as_bytes()];
        let made = |whole: Tag| aws_lc_rs::constant_time::verify_slices_are_equal(&whole[..TAG], tag).is_ok();
        let ours = made(self.keys.mac(Purpose::Device, parts))
            || self.keys.previous_mac(Purpose::Device, parts).is_some_and(made);
        ours.then_some(*id)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::GuestKey;
    use crate::store::Store;

    async fn devices(clock: &Clock) -> Devices {
        let store = Store::open(&"sqlite::memory:".into()).await.expect("a store");
        let entropy = Entropy::seeded(2);
        let keys = Keys::derive(&"a secret of at least thirty-two bytes".into(), None, entropy.clone());
        Devices::new(Arc::new(keys), entropy, Arc::new(store), clock.clone())
    }

    fn guest(number: u8) -> Guest {
        let phone = Phone::from_e164(&format!("+7916000000{number}")).expect("a phone");
        Guest::new(GuestKey([number; 32]), phone)
    }

    #[tokio::test]
    async fn a_device_is_known_for_its_phone_only() {
        let devices = devices(&Clock::manual(Timestamp::UNIX_EPOCH)).await;
        let token = devices.remember(None, &guest(1)).await.expect("the store");
        let known = async |token: &str, guest: &Guest| devices.is_known(Some(token), guest).await.expect("the store");
        assert!(known(&token, &guest(1)).await);
        assert!(!known(&token, &guest(2)).await);
        assert!(!known("rubbish", &guest(1)).await);
        assert_eq!(
            devices.remember(Some(&token), &guest(1)).await.expect("the store"),
            token
        );
    }

    #[tokio::test]
    async fn the_eleventh_device_makes_the_one_longest_unseen_forgotten() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let devices = devices(&clock).await;
        let mut tokens = Vec::new();
        for _ in 0..10 {
            clock.advance(Duration::from_secs(1));
            tokens.push(devices.remember(None, &guest(1)).await.expect("the store"));
        }
        clock.advance(Duration::from_secs(1));
        // The first one comes again, so that the second is the one longest unseen.
        devices.remember(Some(&tokens[0]), &guest(1)).await.expect("the store");
        tokens.push(devices.remember(None, &guest(1)).await.expect("the store"));
        let mut known = Vec::new();
        for token in &tokens {
            known.push(devices.is_known(Some(token), &guest(1)).await.expect("the store"));
        }
        let forgotten: Vec<usize> = (0..11).filter(|index| !known[*index]).collect();
        assert_eq!(forgotten, [1]);
    }
}
