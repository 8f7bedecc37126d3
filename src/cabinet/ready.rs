//! An answer made once: its bytes and its tag. The hot path only hands them out.

use bytes::Bytes;
use http::HeaderValue;
use jiff::Timestamp;
use serde::Serialize;

use crate::keys::{hex, sha256};

/// A view as it goes out.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The whole body; `stale` is false in it.
    pub body: Bytes,
    /// The tag over the content, without `as_of` and `stale`.
    pub etag: HeaderValue,
    /// How many bytes of the body are content.
    content: usize,
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
        let mut body = serde_json::to_vec(content).expect("a view is plain data");
        let etag = format!("\"{}\"", hex(&sha256(&body)[..12]));
        body.pop();
        let content = body.len();
        body.extend_from_slice(ending(as_of_us, false, content == 1).as_bytes());
        Self {
            body: body.into(),
            etag: HeaderValue::try_from(etag).expect("hexadecimal digits are a header value"),
            content,
            as_of_us,
        }
    }

    /// The same, said to be stale.
    #[must_use]
    pub fn stale_body(&self) -> Bytes {
        let mut body = self.body[..self.content].to_vec();
        body.extend_from_slice(ending(self.as_of_us, true, self.content == 1).as_bytes());
        body.into()
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
        assert_eq!(early.etag, late.etag);
        assert_ne!(early.etag, other.etag);
        let fresh: Value = serde_json::from_slice(&late.body).expect("JSON");
        assert_eq!(
            fresh,
            json!({ "available": 5, "as_of": "1970-01-01T00:00:01Z", "stale": false })
        );
        let stale: Value = serde_json::from_slice(&late.stale_body()).expect("JSON");
        assert_eq!(stale["stale"], true);
        assert!(serde_json::from_slice::<Value>(&Ready::new(&json!({}), 0).body).is_ok());
    }
}
