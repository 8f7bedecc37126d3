//! Phones as they are kept: a fingerprint to find a guest by, and copies sealed to their rows.

use std::sync::Arc;

use crate::keys::{Keys, Purpose};
use crate::model::{Guest, GuestKey, Phone};

#[derive(Clone)]
pub(super) struct Phones {
    keys: Arc<Keys>,
}

impl Phones {
    pub fn new(keys: Arc<Keys>) -> Self {
        Self { keys }
    }

    /// The guest whose phone it is.
    pub fn guest(&self, phone: Phone) -> Guest {
        let key = GuestKey(self.keys.mac(Purpose::PhoneFingerprint, &[phone.e164().as_bytes()]));
        Guest::new(key, phone)
    }

    /// A copy that only the row `row` can be read with: moved into another guest's row, it opens nothing.
    pub fn seal(&self, row: &[u8], phone: &Phone) -> Vec<u8> {
        self.keys.seal(Purpose::PhoneSeal, row, phone.e164().as_bytes())
    }

    /// What [`Phones::seal`] made.
    pub fn open(&self, row: &[u8], sealed: &[u8]) -> Option<Phone> {
        open_phone(&self.keys, row, sealed)
    }
}

/// The phone in the sealed copy of the row `row`.
pub(super) fn open_phone(keys: &Keys, row: &[u8], sealed: &[u8]) -> Option<Phone> {
    let plain = keys.open(Purpose::PhoneSeal, row, sealed)?;
    Phone::from_e164(std::str::from_utf8(&plain).ok()?)
}
