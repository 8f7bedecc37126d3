//! What keys are for. Two purposes never share a key.

/// What a derived key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The sealed copy of a phone.
    PhoneSeal,
    /// One-time codes.
    Code,
    /// Refresh tokens and cookie values.
    Session,
    /// The token of a device that signed in before.
    Device,
    /// Access tokens (JWT).
    AccessToken,
    /// Last-seen views.
    View,
    /// Paging cursors.
    Cursor,
    /// Messages waiting to be sent.
    Outbox,
    /// The ledger key, wrapped.
    Ledger,
    /// Finding a guest by phone without keeping the phone.
    PhoneFingerprint,
    /// Callers' addresses and number ranges in the limits' table.
    Limit,
    /// Partner operations: fingerprints of bodies, sealed bodies.
    Operation,
    /// What views are kept about: accounts and checks by their ids.
    Subject,
    /// The phone that is to call us.
    Caller,
}

pub(super) const PURPOSES: [Purpose; 14] = [
    Purpose::PhoneSeal,
    Purpose::Code,
    Purpose::Session,
    Purpose::Device,
    Purpose::AccessToken,
    Purpose::View,
    Purpose::Cursor,
    Purpose::Outbox,
    Purpose::Ledger,
    Purpose::PhoneFingerprint,
    Purpose::Limit,
    Purpose::Operation,
    Purpose::Subject,
    Purpose::Caller,
];

impl Purpose {
    /// Whether its key comes from the ledger key: what replicas must agree on in the middle of a rotation, and what outlives it.
    #[must_use]
    pub fn is_of_ledger(self) -> bool {
        self as usize >= Self::PhoneFingerprint as usize
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::PhoneSeal => "phone seal v1",
            Self::Code => "code v1",
            Self::Session => "session v1",
            Self::Device => "device v1",
            Self::AccessToken => "access token v1",
            Self::View => "view v1",
            Self::Cursor => "cursor v1",
            Self::Outbox => "outbox v1",
            Self::Ledger => "ledger v1",
            Self::PhoneFingerprint => "phone fingerprint v1",
            Self::Limit => "limit v1",
            Self::Operation => "operation v1",
            Self::Subject => "subject v1",
            Self::Caller => "caller v1",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_purpose_has_its_place_and_its_own_label() {
        for (index, purpose) in PURPOSES.iter().enumerate() {
            assert_eq!(*purpose as usize, index);
            assert!(PURPOSES[..index].iter().all(|other| other.label() != purpose.label()));
        }
    }
}
