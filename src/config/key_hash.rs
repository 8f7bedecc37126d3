//! The hash of a key that opens an API from server to server: read from its setting, refused where anybody could guess the key.

use secrecy::ExposeSecret;

use super::reader::{Problems, Section};
use crate::keys::{sha256, unhex};

/// Texts that stand for a key in examples, in first tries, or by mistake. Each is refused in lower and upper case, and with the line break
/// that `echo` puts behind it.
const KNOWN: [&str; 36] = [
    "",
    " ",
    "key",
    "$key",
    "<key>",
    "your-key",
    "your_key",
    "yourkey",
    "my-key",
    "mykey",
    "api-key",
    "api_key",
    "apikey",
    "secret",
    "changeme",
    "change-me",
    "change_me",
    "test",
    "testing",
    "example",
    "sample",
    "demo",
    "default",
    "password",
    "pass",
    "admin",
    "root",
    "none",
    "null",
    "undefined",
    "123",
    "1234",
    "12345",
    "123456",
    "12345678",
    "qwerty",
];

/// What stands in the way of a key's hash.
const KNOWN_KEY: &str = "is the hash of an empty or well-known text, which anybody can send: make a key with `guest-cabinet hash-key --generate`";

/// The hash under `key`, when one is given and of use.
pub(super) fn key_hash(section: &mut Section, key: &str, problems: &mut Problems) -> Option<[u8; 32]> {
    let told = section.secret(key, problems)?;
    judged(section, key, told.expose_secret(), problems)
}

/// The hash under `key`, which must be given.
pub(super) fn required_key_hash(section: &mut Section, key: &str, problems: &mut Problems) -> Option<[u8; 32]> {
    let what = "the key's hash, as `guest-cabinet hash-key` prints it";
    let told = section.required_secret(key, what, problems)?;
    judged(section, key, told.expose_secret(), problems)
}

fn judged(section: &Section, key: &str, told: &str, problems: &mut Problems) -> Option<[u8; 32]> {
    let hash = unhex(told.trim());
    match hash {
        None => problems.add(&section.name(key), "must be 64 hexadecimal digits"),
        Some(hash) if is_known(&hash) => problems.add(&section.name(key), KNOWN_KEY),
        Some(_) => {}
    }
    hash
}

/// Whether it is the hash of one of the [`KNOWN`] texts.
fn is_known(hash: &[u8; 32]) -> bool {
    KNOWN.iter().any(|text| {
        let spellings = [(*text).to_owned(), text.to_ascii_uppercase()];
        spellings.iter().any(|text| {
            let ends = ["", "\n", "\r\n"];
            ends.iter()
                .any(|end| sha256(format!("{text}{end}").as_bytes()) == *hash)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_anybody_would_try_first_is_known_and_a_made_key_is_not() {
        for text in [
            "",
            "\n",
            "secret",
            "SECRET",
            "changeme\n",
            "test\r\n",
            "password",
            "key",
            "$KEY",
        ] {
            assert!(is_known(&sha256(text.as_bytes())), "{text:?}");
        }
        for text in ["gck_00112233445566778899aabbccddeeff", "a delivery partner's key"] {
            assert!(!is_known(&sha256(text.as_bytes())), "{text:?}");
        }
    }
}
