//! Who is asking: the guest of a session.

use serde::{Deserialize, Serialize};

use super::Phone;
use crate::keys::hex;

/// A guest's key in caches and tables: the keyed fingerprint of the phone. Says nothing about the phone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GuestKey(pub [u8; 32]);

impl std::fmt::Debug for GuestKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GuestKey({}…)", hex(&self.0[..4]))
    }
}

/// A guest whose phone is proven. Everything that goes upstream for them is derived from this.
#[derive(Clone, Debug)]
pub struct Guest {
    /// The keyed fingerprint of the phone.
    pub key: GuestKey,
    /// The proven phone.
    pub phone: Phone,
}

/// A session's public id: names it in the list of sessions, opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SessionId(pub uuid::Uuid);
