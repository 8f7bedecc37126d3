//! An answer made once: its bytes and its tag. The hot path only hands them out.

use bytes::Bytes;
use http::HeaderValue;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::keys::{hex, sha256};

/// A view as it goes out: one piece of memory for body and tag, handed out without copying.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The whole body, in which `stale` is false, and after it the tag.
    bytes: Bytes,
    /// How many bytes of the body are content, without `as_of` and `stale`.
    content: u32,
    /// How many bytes the body has.
    body: u32,
    as_of_us: i64,
}

/// One of the ways a body may end.
fn ending(as_of_us: i64, stale: bool, empty: bool) -> String {
    let as_of = Timestamp::from_microsecond(as_of_us).unwrap_or(Timestamp::MIN);
    let comma = if empty { "" } else { "," };
    format!("{comma}\"as_of\":\"{as_of}\",\"stale\":{stale}}}")
}

impl Ready {
    /// The answer for `content`, which must be an object.
    ///
    /// # Panics
    /// Never: views are plain data.
    #[must_use]
    pub fn new(content: &impl Serialize, as_of_us: i64) -> Self {
        let mut bytes = serde_json::to_vec(content).expect("a view is plain data");
        let tag = hex(&sha256(&bytes)[..12]);
        bytes.pop();
        let content = bytes.len();
        bytes.extend_from_slice(ending(as_of_us, false, content == 1).as_bytes());
        let body = bytes.len();
        bytes.extend_from_slice(format!("\"{tag}\"").as_bytes());
        let short = |length: usize| u32::try_from(length).expect("a view is shorter than what ProBonus may answer");
        Self {
            // Without the room that growing left over.
            bytes: bytes.into_boxed_slice().into(),
            content: short(content),
            body: short(body),
            as_of_us,
        }
    }

    /// The whole body; `stale` is false in it.
    #[must_use]
    pub fn body(&self) -> Bytes {
        self.bytes.slice(..self.body as usize)
    }

    /// The content, read back: what is shown is all that need be remembered.
    ///
    /// # Panics
    /// When it was made of something else.
    #[must_use]
    pub fn content<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.bytes[..self.body as usize]).expect("what was written so is read so")
    }

    /// The same, said to be stale.
    #[must_use]
    pub fn stale_body(&self) -> Bytes {
        let mut body = self.bytes[..self.content as usize].to_vec();
        body.extend_from_slice(ending(self.as_of_us, true, self.content == 1).as_bytes());
        body.into()
    }

    /// The tag over the content, without `as_of` and `stale`; in quotes.
    #[must_use]
    pub fn tag(&self) -> &[u8] {
        &self.bytes[self.body as usize..]
    }

    /// The tag as a header.
    ///
    /// # Panics
    /// Never: it is hexadecimal digits in quotes.
    #[must_use]
    pub fn etag(&self) -> HeaderValue {
        HeaderValue::from_maybe_shared(self.bytes.slice(self.body as usize..)).expect("a tag is a header value")
    }

    /// Bytes it takes.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.bytes.len()
    }

    /// When ProBonus said so, in microseconds.
    #[must_use]
    pub fn as_of_us(&self) -> i64 {
        self.as_of_us
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_tag_is_over_the_content_alone() {
        let early = Ready::new(&json!({ "available": 5 }), 0);
        let late = Ready::new(&json!({ "available": 5 }), 1_000_000);
        let other = Ready::new(&json!({ "available": 6 }), 0);
        assert_eq!(early.tag(), late.tag());
        assert_ne!(early.tag(), other.tag());
        assert_eq!(early.etag().as_bytes(), early.tag());
        let fresh: Value = serde_json::from_slice(&late.body()).expect("JSON");
        assert_eq!(
            fresh,
            json!({ "available": 5, "as_of": "1970-01-01T00:00:01Z", "stale": false })
        );
        let stale: Value = serde_json::from_slice(&late.stale_body()).expect("JSON");
        assert_eq!(stale["stale"], true);
        assert!(serde_json::from_slice::<Value>(&Ready::new(&json!({}), 0).body()).is_ok());
    }
}
