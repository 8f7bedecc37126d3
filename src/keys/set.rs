//! One root's keys, a key for each purpose.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::hmac;

use super::Tag;
use super::purpose::{PURPOSES, Purpose};
use crate::entropy::Entropy;

/// Bytes of a set's id.
pub(super) const ID: usize = 4;

/// Names the root that a set came from; says nothing about it.
pub(super) type Id = [u8; ID];

/// The keys of one root (HKDF-SHA-256).
pub(super) struct KeySet {
    id: Id,
    raw: Vec<[u8; 32]>,
    macs: Vec<hmac::Key>,
    seals: Vec<LessSafeKey>,
}

struct Length(usize);
impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl KeySet {
    /// `salt` keeps kinds of roots apart.
    pub fn derive(salt: &[u8], root: &[u8]) -> Self {
        let root = Salt::new(HKDF_SHA256, salt).extract(root);
        let expand = |label: &str, out: &mut [u8]| {
            root.expand(&[label.as_bytes()], Length(out.len()))
                .and_then(|okm| okm.fill(out))
                .expect("HKDF gives up to 255 blocks");
        };
        let mut id = [0; ID];
        expand("key id v1", &mut id);
        let key = |purpose: &Purpose| {
            let mut key = [0; 32];
            expand(purpose.label(), &mut key);
            key
        };
        Self::new(id, PURPOSES.iter().map(key).collect())
    }

    fn new(id: Id, raw: Vec<[u8; 32]>) -> Self {
        let seal = |key| LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("a key of 32 bytes"));
        Self {
            id,
            macs: raw.iter().map(|key| hmac::Key::new(hmac::HMAC_SHA256, key)).collect(),
            seals: raw.iter().map(|key| seal(&key[..])).collect(),
            raw,
        }
    }

    /// The same set with another id and other keys for some purposes.
    pub fn with(&self, id: Id, keys: impl Iterator<Item = (Purpose, [u8; 32])>) -> Self {
        let mut raw = self.raw.clone();
        for (purpose, key) in keys {
            raw[purpose as usize] = key;
        }
        Self::new(id, raw)
    }

    pub fn id(&self) -> Id {
        self.id
    }

    pub fn raw(&self, purpose: Purpose) -> [u8; 32] {
        self.raw[purpose as usize]
    }

    /// The keyed hash of `parts`, which are length-prefixed, so that they cannot run into each other.
    pub fn mac(&self, purpose: Purpose, parts: &[&[u8]]) -> Tag {
        let mut context = hmac::Context::with_key(&self.macs[purpose as usize]);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.sign().as_ref().try_into().expect("SHA-256 gives 32 bytes")
    }

    /// Seals with AES-256-GCM and a random nonce; the set's id stands in front.
    pub fn seal(&self, entropy: &Entropy, purpose: Purpose, bound_to: &[u8], plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = entropy.bytes();
        let mut body = plain.to_vec();
        self.seals[purpose as usize]
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(bound_to), &mut body)
            .expect("a value of this size can be sealed");
        let mut sealed = Vec::with_capacity(ID + NONCE_LEN + body.len());
        sealed.extend_from_slice(&self.id);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&body);
        sealed
    }

    /// Opens what [`KeySet::seal`] made; `None` for anything else.
    pub fn open(&self, purpose: Purpose, bound_to: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (id, rest) = sealed.split_at_checked(ID)?;
        if id != self.id {
            return None;
        }
        let (nonce, body) = rest.split_at_checked(NONCE_LEN)?;
        let mut body = body.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let plain = self.seals[purpose as usize]
            .open_in_place(nonce, Aad::from(bound_to), &mut body)
            .ok()?;
        let length = plain.len();
        body.truncate(length);
        Some(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_purpose_has_its_own_key() {
        let set = KeySet::derive(b"a salt", b"a root");
        for index in 0..PURPOSES.len() {
            assert!(!set.raw[..index].contains(&set.raw[index]));
        }
    }
}
