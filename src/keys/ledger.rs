//! The ledger key: made once, wrapped by the master secret; a rotation wraps it anew and never replaces it.
//!
//! What replicas must agree on while some of them know the new secret first and others the old one, and what is still to be found when
//! the old one is gone, is keyed by it. A store that is older than this keeps the keys its rows were made under: they were derived from
//! the secret of then, and from now on they are kept as a part of the ledger key.

use secrecy::zeroize::Zeroize;

use super::purpose::Purpose;
use super::set::{ID, Id, KeySet};
use super::{Secrets, Tag};
use crate::entropy::Entropy;

const SALT: &[u8] = b"guest-cabinet ledger";

/// What a store of before has keyed by its secret, and the purpose by whose key that was done.
const ADOPTED: [(Purpose, Purpose); 5] = [
    (Purpose::PhoneFingerprint, Purpose::PhoneFingerprint),
    (Purpose::Limit, Purpose::Limit),
    (Purpose::Operation, Purpose::Operation),
    (Purpose::Subject, Purpose::View),
    (Purpose::Caller, Purpose::Outbox),
];

const ADOPTED_BYTES: usize = ID + 32 * ADOPTED.len();

/// Keys that a secret gave before there was a ledger key.
#[derive(Clone)]
struct Adopted {
    id: Id,
    keys: [[u8; 32]; ADOPTED.len()],
}

/// A ledger key. `Debug` shows nothing.
#[derive(Clone)]
pub struct LedgerKey {
    root: [u8; 32],
    adopted: Vec<Adopted>,
}

impl std::fmt::Debug for LedgerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LedgerKey")
    }
}

impl Drop for LedgerKey {
    fn drop(&mut self) {
        self.root.zeroize();
        for adopted in &mut self.adopted {
            adopted.keys.zeroize();
        }
    }
}

impl LedgerKey {
    /// For a store without rows.
    #[must_use]
    pub fn random(entropy: &Entropy) -> Self {
        Self {
            root: entropy.bytes(),
            adopted: Vec::new(),
        }
    }

    /// For a store whose rows were keyed by the secrets themselves: what was made under the present one stays as it is, and what was made
    /// under the previous one is still recognised.
    #[must_use]
    pub fn adopting(secrets: &Secrets, entropy: &Entropy) -> Self {
        let adopted = |set: &KeySet| Adopted {
            id: set.id(),
            keys: ADOPTED.map(|(_, before)| set.raw(before)),
        };
        Self {
            root: entropy.bytes(),
            adopted: secrets.sets().map(adopted).collect(),
        }
    }

    /// The form that is wrapped: the root, then what was adopted.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.root.to_vec();
        for adopted in &self.adopted {
            bytes.extend_from_slice(&adopted.id);
            bytes.extend(adopted.keys.iter().flatten());
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (root, rest) = bytes.split_first_chunk::<32>()?;
        let (chunks, over) = rest.as_chunks::<ADOPTED_BYTES>();
        let adopted = |chunk: &[u8; ADOPTED_BYTES]| {
            let (id, keys) = chunk.split_first_chunk::<ID>()?;
            let keys = keys.as_chunks::<32>().0.try_into().ok()?;
            Some(Adopted { id: *id, keys })
        };
        over.is_empty().then_some(())?;
        Some(Self {
            root: *root,
            adopted: chunks.iter().map(adopted).collect::<Option<_>>()?,
        })
    }

    /// Its sets of keys: the one in use, then those by which only what exists is recognised.
    pub(super) fn sets(&self) -> Vec<KeySet> {
        let own = KeySet::derive(SALT, &self.root);
        if self.adopted.is_empty() {
            return vec![own];
        }
        let keys = |adopted: &Adopted| {
            let purposes = ADOPTED.map(|(purpose, _)| purpose);
            own.with(adopted.id, purposes.into_iter().zip(adopted.keys))
        };
        self.adopted.iter().map(keys).collect()
    }
}

/// The ledger keys that could be unwrapped.
pub(super) struct LedgerSets {
    active: KeySet,
    /// What was made under these is recognised and opened.
    former: Vec<KeySet>,
}

impl LedgerSets {
    pub fn new(active: &LedgerKey, former: &[LedgerKey]) -> Self {
        let mut sets = active.sets();
        let active = sets.remove(0);
        sets.extend(former.iter().flat_map(LedgerKey::sets));
        Self { active, former: sets }
    }

    pub fn active(&self) -> &KeySet {
        &self.active
    }

    pub fn all(&self) -> impl Iterator<Item = &KeySet> {
        std::iter::once(&self.active).chain(&self.former)
    }

    pub fn former_macs(&self, purpose: Purpose, parts: &[&[u8]]) -> Vec<Tag> {
        self.former.iter().map(|set| set.mac(purpose, parts)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_key_is_read_as_it_was_written() {
        let entropy = Entropy::seeded(1);
        let secrets = Secrets::derive(
            &"a secret of at least thirty-two bytes".into(),
            Some(&"another secret of at least 32 bytes".into()),
        );
        for key in [LedgerKey::random(&entropy), LedgerKey::adopting(&secrets, &entropy)] {
            let bytes = key.bytes();
            let read = LedgerKey::from_bytes(&bytes).expect("a ledger key");
            assert_eq!(read.bytes(), bytes);
            let ids = |key: &LedgerKey| key.sets().iter().map(KeySet::id).collect::<Vec<_>>();
            assert_eq!(ids(&read), ids(&key));
            assert!(LedgerKey::from_bytes(&bytes[1..]).is_none());
        }
    }
}
