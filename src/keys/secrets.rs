//! The master secret and the one before it, and what is wrapped by them.

use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret, SecretString};

use super::ledger::LedgerKey;
use super::purpose::Purpose;
use super::set::KeySet;
use crate::entropy::Entropy;

const SALT: &[u8] = b"guest-cabinet";

/// The keys of the master secret and, during a rotation, of the previous one. `Debug` shows nothing.
pub struct Secrets {
    pub(super) current: KeySet,
    pub(super) previous: Option<KeySet>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

/// A ledger key wrapped by one secret.
#[derive(Clone, Debug)]
pub struct Wrapped {
    /// Names the secret; says nothing about it.
    pub secret_id: Vec<u8>,
    /// The key, sealed.
    pub sealed: Vec<u8>,
}

impl Secrets {
    /// Derives all keys (HKDF-SHA-256). The same secret given twice is one.
    #[must_use]
    pub fn derive(secret: &SecretString, previous: Option<&SecretString>) -> Self {
        let set = |secret: &SecretString| KeySet::derive(SALT, secret.expose_secret().as_bytes());
        let current = set(secret);
        let previous = previous.map(set).filter(|previous| previous.id() != current.id());
        Self { current, previous }
    }

    pub(super) fn sets(&self) -> impl Iterator<Item = &KeySet> {
        std::iter::once(&self.current).chain(self.previous.as_ref())
    }

    /// The ids of the secrets, the present one first.
    #[must_use]
    pub fn ids(&self) -> Vec<Vec<u8>> {
        self.sets().map(|set| set.id().to_vec()).collect()
    }

    /// The ledger key of a generation, wrapped by each secret, the present one first.
    #[must_use]
    pub fn wrap(&self, key: &LedgerKey, generation: i64, entropy: &Entropy) -> Vec<Wrapped> {
        let mut plain = key.bytes();
        let wrap = |set: &KeySet| Wrapped {
            secret_id: set.id().to_vec(),
            sealed: set.seal(entropy, Purpose::Ledger, &bound_to(generation), &plain),
        };
        let wrapped = self.sets().map(wrap).collect();
        plain.zeroize();
        wrapped
    }

    /// Unwraps a generation's ledger key by the secret that wrapped it; `None` when that is not known.
    #[must_use]
    pub fn unwrap(&self, generation: i64, sealed: &[u8]) -> Option<LedgerKey> {
        let mut plain = self
            .sets()
            .find_map(|set| set.open(Purpose::Ledger, &bound_to(generation), sealed))?;
        let key = LedgerKey::from_bytes(&plain);
        plain.zeroize();
        key
    }
}

fn bound_to(generation: i64) -> Vec<u8> {
    [b"ledger key ", &generation.to_be_bytes()[..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_secret_unwraps_its_generation_only_and_a_third_none() {
        let entropy = Entropy::seeded(1);
        let [first, second, third] = ["first", "second", "third"]
            .map(|name| SecretString::from(format!("the {name} secret of at least 32 bytes")));
        let both = Secrets::derive(&first, Some(&second));
        let key = LedgerKey::random(&entropy);
        let wrapped = both.wrap(&key, 1, &entropy);
        for (secret, wrapped) in [&first, &second].into_iter().zip(&wrapped) {
            let one = Secrets::derive(secret, None);
            assert_eq!(one.ids(), std::slice::from_ref(&wrapped.secret_id));
            assert_eq!(one.unwrap(1, &wrapped.sealed).expect("the key").bytes(), key.bytes());
            assert!(one.unwrap(2, &wrapped.sealed).is_none());
            assert!(Secrets::derive(&third, None).unwrap(1, &wrapped.sealed).is_none());
        }
        assert_eq!(Secrets::derive(&first, Some(&first)).ids().len(), 1);
    }
}
