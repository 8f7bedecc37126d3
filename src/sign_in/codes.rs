//! Challenge ids and codes. A code is derived from the secret id by a keyed hash: it stands nowhere, and a resend finds the same one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};

use crate::entropy::Entropy;
use crate::keys::{Keys, Purpose, Tag};

/// The secret of who asked for the code: 192 random bits.
#[derive(Clone, PartialEq, Eq)]
pub struct ChallengeId([u8; 24]);

impl std::fmt::Debug for ChallengeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChallengeId(…)")
    }
}

impl ChallengeId {
    pub(super) fn new(entropy: &Entropy) -> Self {
        Self(entropy.bytes())
    }

    /// The id in its text; `None` for anything that is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// The tag it is kept by, under the current secret and, during a rotation, the previous one.
    pub(super) fn tags(&self, keys: &Keys) -> (Tag, Option<Tag>) {
        let parts: &[&[u8]] = &[b"challenge", &self.0];
        (keys.mac(Purpose::Code, parts), keys.previous_mac(Purpose::Code, parts))
    }

    /// The code that belongs to it under the current secret.
    pub(super) fn code(&self, keys: &Keys) -> SecretString {
        digits(keys.mac(Purpose::Code, &[b"code", &self.0]))
    }

    /// The code that was sent: the one `tag` was made of, whichever secret was current then.
    pub(super) fn sent_code(&self, keys: &Keys, tag: &[u8]) -> Option<SecretString> {
        let previous = keys.previous_mac(Purpose::Code, &[b"code", &self.0]).map(digits);
        [Some(self.code(keys)), previous]
            .into_iter()
            .flatten()
            .find(|code| self.is_code(keys, code.expose_secret(), tag))
    }

    /// The keyed hash of `code` as it is kept.
    pub(super) fn code_tag(&self, keys: &Keys, code: &str) -> Tag {
        keys.mac(Purpose::Code, &[b"sent", &self.0, code.as_bytes()])
    }

    /// Whether `code` is the one that `tag` was made of; constant time.
    pub(super) fn is_code(&self, keys: &Keys, code: &str, tag: &[u8]) -> bool {
        keys.verify(Purpose::Code, &[b"sent", &self.0, code.as_bytes()], tag)
    }
}

/// Six digits out of a keyed hash; the bias of the division is below 2⁻⁴⁰.
fn digits(tag: Tag) -> SecretString {
    let number = tag[..8]
        .iter()
        .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{:06}", number % 1_000_000).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_again_from_its_id_even_after_a_rotation() {
        let entropy = Entropy::seeded(1);
        let old: SecretString = "an old secret of at least 32 bytes".into();
        let new: SecretString = "a new secret of at least 32 bytes!".into();
        let before = Keys::derive(&old, None, entropy.clone());
        let after = Keys::derive(&new, Some(&old), entropy.clone());
        let id = ChallengeId::new(&entropy);
        let code = id.code(&before);
        assert_eq!(code.expose_secret().len(), 6);
        let tag = id.code_tag(&before, code.expose_secret());
        let found = id.sent_code(&after, &tag).expect("the sent code");
        assert_eq!(found.expose_secret(), code.expose_secret());
        assert!(!id.is_code(&after, id.code(&after).expose_secret(), &tag));
        assert_eq!(ChallengeId::parse(&id.text()), Some(id));
        assert_eq!(ChallengeId::parse("short"), None);
    }
}
