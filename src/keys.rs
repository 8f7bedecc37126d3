//! Every key in use, derived from the master secret: keyed fingerprints, sealed copies, token signing keys.
//!
//! Knows nothing of what is protected. With a previous secret configured, whatever was made under it is still
//! verified and opened, while everything new is made under the current one, so that rotation signs nobody out.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::hmac;
use secrecy::{ExposeSecret, SecretString};

use crate::entropy::Entropy;

/// What a derived key is for; two purposes never share a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Finding a guest by phone without keeping the phone.
    PhoneFingerprint,
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
    /// Callers' addresses and number ranges in the limits' table.
    Limit,
    /// Messages waiting to be sent.
    Outbox,
    /// Partner operations: fingerprints of bodies, sealed bodies.
    Operation,
}

const PURPOSES: [Purpose; 11] = [
    Purpose::PhoneFingerprint,
    Purpose::PhoneSeal,
    Purpose::Code,
    Purpose::Session,
    Purpose::Device,
    Purpose::AccessToken,
    Purpose::View,
    Purpose::Cursor,
    Purpose::Limit,
    Purpose::Outbox,
    Purpose::Operation,
];

impl Purpose {
    fn label(self) -> &'static str {
        match self {
            Self::PhoneFingerprint => "phone fingerprint v1",
            Self::PhoneSeal => "phone seal v1",
            Self::Code => "code v1",
            Self::Session => "session v1",
            Self::Device => "device v1",
            Self::AccessToken => "access token v1",
            Self::View => "view v1",
            Self::Cursor => "cursor v1",
            Self::Limit => "limit v1",
            Self::Outbox => "outbox v1",
            Self::Operation => "operation v1",
        }
    }
}

/// A keyed hash.
pub type Tag = [u8; 32];

/// The derived keys of the current secret and, during a rotation, of the previous one. `Debug` shows nothing.
pub struct Keys {
    current: KeySet,
    previous: Option<KeySet>,
    entropy: Entropy,
}

struct KeySet {
    id: [u8; 4],
    raw: Vec<[u8; 32]>,
    macs: Vec<hmac::Key>,
    seals: Vec<LessSafeKey>,
}

/// A raw signing key with the id that goes into a token's `kid`.
pub struct SigningKey {
    /// Names the secret it came from; says nothing about it.
    pub kid: String,
    /// 32 bytes.
    pub bytes: [u8; 32],
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

impl Keys {
    /// Derives all keys (HKDF-SHA-256).
    #[must_use]
    pub fn derive(secret: &SecretString, previous: Option<&SecretString>, entropy: Entropy) -> Self {
        Self {
            current: KeySet::derive(secret),
            previous: previous.map(KeySet::derive),
            entropy,
        }
    }

    /// The keyed hash of `parts` under the current secret. Parts are length-prefixed, so they cannot run into each other.
    #[must_use]
    pub fn mac(&self, purpose: Purpose, parts: &[&[u8]]) -> Tag {
        self.current.mac(purpose, parts)
    }

    /// The keyed hash under the previous secret, to find what was written before a rotation.
    #[must_use]
    pub fn previous_mac(&self, purpose: Purpose, parts: &[&[u8]]) -> Option<Tag> {
        self.previous.as_ref().map(|keys| keys.mac(purpose, parts))
    }

    /// Whether `tag` is the keyed hash of `parts` under either secret; constant time.
    #[must_use]
    pub fn verify(&self, purpose: Purpose, parts: &[&[u8]], tag: &[u8]) -> bool {
        let same =
            |keys: &KeySet| aws_lc_rs::constant_time::verify_slices_are_equal(&keys.mac(purpose, parts), tag).is_ok();
        let current = same(&self.current);
        let previous = self.previous.as_ref().is_some_and(same);
        current || previous
    }

    /// Seals `plain` (AES-256-GCM, random nonce) so that only [`Keys::open`] with the same purpose and `bound_to` reads it.
    ///
    /// # Panics
    /// Never in practice: sealing fails only above 64 GiB.
    #[must_use]
    pub fn seal(&self, purpose: Purpose, bound_to: &[u8], plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = self.entropy.bytes();
        let mut body = plain.to_vec();
        self.current.seals[purpose as usize]
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(bound_to), &mut body)
            .expect("a value of this size can be sealed");
        let mut sealed = Vec::with_capacity(4 + NONCE_LEN + body.len());
        sealed.extend_from_slice(&self.current.id);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&body);
        sealed
    }

    /// Opens what [`Keys::seal`] made under either secret; `None` for anything else.
    #[must_use]
    pub fn open(&self, purpose: Purpose, bound_to: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (id, rest) = sealed.split_at_checked(4)?;
        let (nonce, body) = rest.split_at_checked(NONCE_LEN)?;
        let keys = self.sets().find(|keys| keys.id == id)?;
        let mut body = body.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let plain = keys.seals[purpose as usize]
            .open_in_place(nonce, Aad::from(bound_to), &mut body)
            .ok()?;
        let length = plain.len();
        body.truncate(length);
        Some(body)
    }

    /// The raw keys for signing (first) and verifying (all).
    #[must_use]
    pub fn signing(&self, purpose: Purpose) -> Vec<SigningKey> {
        self.sets()
            .map(|keys| SigningKey {
                kid: hex(&keys.id),
                bytes: keys.raw[purpose as usize],
            })
            .collect()
    }

    fn sets(&self) -> impl Iterator<Item = &KeySet> {
        std::iter::once(&self.current).chain(self.previous.as_ref())
    }
}

struct Length(usize);
impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl KeySet {
    fn derive(secret: &SecretString) -> Self {
        let root = Salt::new(HKDF_SHA256, b"guest-cabinet").extract(secret.expose_secret().as_bytes());
        let expand = |label: &str, out: &mut [u8]| {
            root.expand(&[label.as_bytes()], Length(out.len()))
                .and_then(|okm| okm.fill(out))
                .expect("HKDF gives up to 255 blocks");
        };
        let mut id = [0; 4];
        expand("key id v1", &mut id);
        let raw: Vec<[u8; 32]> = PURPOSES
            .iter()
            .map(|purpose| {
                let mut key = [0; 32];
                expand(purpose.label(), &mut key);
                key
            })
            .collect();
        let macs = raw.iter().map(|key| hmac::Key::new(hmac::HMAC_SHA256, key)).collect();
        let seals = raw
            .iter()
            .map(|key| LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("a key of 32 bytes")))
            .collect();
        Self { id, raw, macs, seals }
    }

    fn mac(&self, purpose: Purpose, parts: &[&[u8]]) -> Tag {
        let mut context = hmac::Context::with_key(&self.macs[purpose as usize]);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.sign().as_ref().try_into().expect("SHA-256 gives 32 bytes")
    }
}

/// SHA-256 without a key: for what is random enough by itself, as a partner's key.
///
/// # Panics
/// Never: the hash has 32 bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Tag {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

/// Lower-case hexadecimal text of `bytes`.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// The 32 bytes of 64 hexadecimal digits.
#[must_use]
pub fn unhex(text: &str) -> Option<Tag> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(current: &str, previous: Option<&str>) -> Keys {
        Keys::derive(&current.into(), previous.map(Into::into).as_ref(), Entropy::system())
    }

    #[test]
    fn what_the_previous_secret_made_is_still_read_and_nothing_else_is() {
        let old = keys("an old secret of at least 32 bytes", None);
        let sealed = old.seal(Purpose::View, b"guest", b"view");
        let tag = old.mac(Purpose::Session, &[b"a", b"b"]);
        let rotated = keys(
            "a new secret of at least 32 bytes!",
            Some("an old secret of at least 32 bytes"),
        );
        assert_eq!(
            rotated.open(Purpose::View, b"guest", &sealed).as_deref(),
            Some(&b"view"[..])
        );
        assert!(rotated.verify(Purpose::Session, &[b"a", b"b"], &tag));
        assert!(!rotated.verify(Purpose::Session, &[b"ab", b""], &tag));
        assert_eq!(rotated.open(Purpose::View, b"other", &sealed), None);
        assert_eq!(rotated.open(Purpose::PhoneSeal, b"guest", &sealed), None);
        assert_eq!(
            keys("a third secret of at least 32 bytes", None).open(Purpose::View, b"guest", &sealed),
            None
        );
        assert_eq!(rotated.open(Purpose::View, b"guest", &sealed[..10]), None);
    }

    #[test]
    fn every_purpose_has_its_own_key() {
        let keys = keys("an old secret of at least 32 bytes", None);
        for (index, purpose) in PURPOSES.iter().enumerate() {
            assert_eq!(*purpose as usize, index);
            assert!(!keys.current.raw[..index].contains(&keys.current.raw[index]));
        }
    }
}
