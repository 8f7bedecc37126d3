//! Every key in use: keyed fingerprints, sealed copies, token signing keys.
//!
//! Knows nothing of what is protected. Most keys are derived from the master secret; with a previous secret configured, whatever was made
//! under it is still verified and opened, while everything new is made under the current one, so that rotation signs nobody out. What
//! replicas must agree on in the middle of a rotation, and what outlives it, is keyed by the ledger key
//! ([`Purpose::is_of_ledger`]): there is one, whichever secret is current.

mod ledger;
mod purpose;
mod secrets;
mod set;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use secrecy::SecretString;

pub use ledger::LedgerKey;
pub use purpose::Purpose;
pub use secrets::{Secrets, Wrapped};

use ledger::LedgerSets;
use set::KeySet;

use crate::entropy::Entropy;

/// A keyed hash.
pub type Tag = [u8; 32];

/// The keys of the secrets and of the ledger. `Debug` shows nothing.
pub struct Keys {
    secrets: Secrets,
    ledger: LedgerSets,
    entropy: Entropy,
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
    /// The keys of `secrets` and of the ledger key in use; what was made under `former` ones is still recognised and opened.
    #[must_use]
    pub fn new(secrets: Secrets, ledger: &LedgerKey, former: &[LedgerKey], entropy: Entropy) -> Self {
        Self {
            ledger: LedgerSets::new(ledger, former),
            secrets,
            entropy,
        }
    }

    /// Keys without a store that would hold a ledger key: the one used depends on the secret. For tests and measurements.
    #[must_use]
    pub fn derive(secret: &SecretString, previous: Option<&SecretString>, entropy: Entropy) -> Self {
        let secrets = Secrets::derive(secret, previous);
        let ledger = LedgerKey::adopting(&secrets, &entropy);
        Self::new(secrets, &ledger, &[], entropy)
    }

    /// The set that everything new of this purpose is made with.
    fn active(&self, purpose: Purpose) -> &KeySet {
        if purpose.is_of_ledger() {
            self.ledger.active()
        } else {
            &self.secrets.current
        }
    }

    /// All sets by which something of this purpose may have been made.
    fn sets(&self, purpose: Purpose) -> impl Iterator<Item = &KeySet> {
        let (ledger, secrets) = if purpose.is_of_ledger() {
            (Some(self.ledger.all()), None)
        } else {
            (None, Some(self.secrets.sets()))
        };
        ledger.into_iter().flatten().chain(secrets.into_iter().flatten())
    }

    /// The keyed hash of `parts`. Parts are length-prefixed, so they cannot run into each other. It is the same on all replicas and after
    /// every rotation when the purpose is of the ledger, else made under the current secret.
    #[must_use]
    pub fn mac(&self, purpose: Purpose, parts: &[&[u8]]) -> Tag {
        self.active(purpose).mac(purpose, parts)
    }

    /// The keyed hash under the previous secret, to find what was written before a rotation. What is of the ledger has none: one key, one
    /// look.
    #[must_use]
    pub fn previous_mac(&self, purpose: Purpose, parts: &[&[u8]]) -> Option<Tag> {
        let previous = self.secrets.previous.as_ref().filter(|_| !purpose.is_of_ledger());
        previous.map(|keys| keys.mac(purpose, parts))
    }

    /// Whether rows may carry keyed hashes of a former ledger key, or of a previous secret of before there was one, that can be made anew.
    #[must_use]
    pub fn can_rekey(&self) -> bool {
        self.secrets.previous.is_some() && self.ledger.all().nth(1).is_some()
    }

    /// The keyed hashes that such rows carry.
    #[must_use]
    pub fn former_macs(&self, purpose: Purpose, parts: &[&[u8]]) -> Vec<Tag> {
        debug_assert!(purpose.is_of_ledger());
        self.ledger.former_macs(purpose, parts)
    }

    /// Whether `tag` is the keyed hash of `parts` under any key still known; constant time.
    #[must_use]
    pub fn verify(&self, purpose: Purpose, parts: &[&[u8]], tag: &[u8]) -> bool {
        let same = |keys: &KeySet| verify_slices_are_equal(&keys.mac(purpose, parts), tag).is_ok();
        self.sets(purpose).fold(false, |found, keys| found | same(keys))
    }

    /// Seals `plain` (AES-256-GCM, random nonce) so that only [`Keys::open`] with the same purpose and `bound_to` reads it.
    ///
    /// # Panics
    /// Never in practice: sealing fails only above 64 GiB.
    #[must_use]
    pub fn seal(&self, purpose: Purpose, bound_to: &[u8], plain: &[u8]) -> Vec<u8> {
        self.active(purpose).seal(&self.entropy, purpose, bound_to, plain)
    }

    /// Names the key that everything new of this purpose is made with; says nothing about it.
    #[must_use]
    pub fn id(&self, purpose: Purpose) -> [u8; 4] {
        self.active(purpose).id()
    }

    /// Whether the key with this id is still known.
    #[must_use]
    pub fn knows(&self, purpose: Purpose, id: [u8; 4]) -> bool {
        self.sets(purpose).any(|set| set.id() == id)
    }

    /// Whether `sealed` was made under the key that [`Keys::seal`] uses now.
    #[must_use]
    pub fn is_sealed_anew(&self, purpose: Purpose, sealed: &[u8]) -> bool {
        sealed.starts_with(&self.active(purpose).id())
    }

    /// Opens what [`Keys::seal`] made under any key still known; `None` for anything else.
    #[must_use]
    pub fn open(&self, purpose: Purpose, bound_to: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        self.sets(purpose).find_map(|keys| keys.open(purpose, bound_to, sealed))
    }

    /// The raw keys for signing (first) and verifying (all).
    #[must_use]
    pub fn signing(&self, purpose: Purpose) -> Vec<SigningKey> {
        self.sets(purpose)
            .map(|keys| SigningKey {
                kid: hex(&keys.id()),
                bytes: keys.raw(purpose),
            })
            .collect()
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
    fn what_is_of_the_ledger_is_the_same_whichever_secret_is_current() {
        let [old, new] = [
            "an old secret of at least 32 bytes",
            "a new secret of at least 32 bytes!",
        ];
        let ledger = LedgerKey::random(&Entropy::system());
        let keys = |secret: &str, previous: Option<&str>| {
            let secrets = Secrets::derive(&secret.into(), previous.map(Into::into).as_ref());
            Keys::new(secrets, &ledger, &[], Entropy::system())
        };
        let (one, other, later) = (keys(old, Some(new)), keys(new, Some(old)), keys(new, None));
        for purpose in [Purpose::PhoneFingerprint, Purpose::Limit, Purpose::Operation] {
            let tag = one.mac(purpose, &[b"a"]);
            assert_eq!(other.mac(purpose, &[b"a"]), tag);
            assert_eq!(later.mac(purpose, &[b"a"]), tag);
            assert!(later.verify(purpose, &[b"a"], &tag) && !later.verify(purpose, &[b"b"], &tag));
            assert_eq!(one.previous_mac(purpose, &[b"a"]), None);
        }
        let sealed = one.seal(Purpose::Operation, b"row", b"order");
        assert_eq!(
            later.open(Purpose::Operation, b"row", &sealed).as_deref(),
            Some(&b"order"[..])
        );
        assert_ne!(one.mac(Purpose::Session, &[b"a"]), other.mac(Purpose::Session, &[b"a"]));
    }

    #[test]
    fn an_adopting_ledger_key_gives_the_keys_that_the_secret_gave_before_there_was_one() {
        let [old, new] = [
            "an old secret of at least 32 bytes",
            "a new secret of at least 32 bytes!",
        ];
        let secrets = || Secrets::derive(&new.into(), Some(&old.into()));
        let ledger = LedgerKey::adopting(&secrets(), &Entropy::system());
        let keys = Keys::new(secrets(), &ledger, &[], Entropy::system());
        // As the version before made them: HMAC-SHA-256 by HKDF-SHA-256 with the salt `guest-cabinet` and the purpose's label.
        let (phone, account): (&[u8], &[u8]) = (b"+79160000001", b"100500");
        let tag = |purpose, parts: &[&[u8]]| hex(&keys.mac(purpose, parts));
        assert_eq!(
            tag(Purpose::PhoneFingerprint, &[phone]),
            "745dde2dcde901f6883067e3a93a1e3c3835ddd7fe4c194841da5f54fcd921dc"
        );
        assert_eq!(
            tag(Purpose::Subject, &[b"account", account]),
            "187adb0e0ae41594130e644139b54be18573ea548857d619af6245ebb452f671"
        );
        assert_eq!(
            tag(Purpose::Limit, &[b"phone pause", phone]),
            "577838f398dcfaa75cda3ac8dbb567ca278b4e92695735b3af6b4ec0103bcbb2"
        );
        let former = keys.former_macs(Purpose::PhoneFingerprint, &[phone]);
        assert_eq!(
            former.iter().map(|tag| hex(tag)).collect::<Vec<_>>(),
            ["027cc2f051a8fed43876d16b0642b833ea4c76ed111d1c1c3aac3d9fbe4dee42"]
        );
        let order = unhex("6a9e6a2b75084c34b0713c3ff99c413deeff9c2cb4c32c3138104d16f3954cca").expect("a tag");
        assert!(keys.verify(Purpose::Operation, &[b"order", b"partner", b"{}"], &order));
    }
}
