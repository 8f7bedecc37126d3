//! The header `Idempotency-Key`: bare, as most send it, or a structured-field string (RFC 9651, section 3.3.3), as its draft standard
//! writes it. Both spellings of a key are one key.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::http::{ErrorCode, FieldCode, Problem};
use crate::partner::RefillKey;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest key, in characters.
const MOST: usize = 128;

/// The key of a request.
///
/// # Errors
/// 400 when there is none or an empty one; 422 when it is malformed, too long, or given more than once.
pub(super) fn read(headers: &HeaderMap) -> Result<RefillKey, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let key = match (values.next(), values.next()) {
        (None, _) => return Err(required()),
        (Some(value), None) => parse(value)?,
        (Some(_), Some(_)) => return Err(wrong(FieldCode::InvalidFormat)),
    };
    if key.key.trim().is_empty() {
        return Err(required());
    }
    if key.key.len() > MOST {
        return Err(wrong(FieldCode::TooLong));
    }
    Ok(key)
}

fn required() -> Problem {
    Problem::new(ErrorCode::IdempotencyKeyRequired)
}

fn wrong(code: FieldCode) -> Problem {
    Problem::field("Idempotency-Key", code)
}

fn parse(value: &HeaderValue) -> Result<RefillKey, Problem> {
    let malformed = || wrong(FieldCode::InvalidFormat);
    let text = value.to_str().map_err(|_| malformed())?.trim();
    if let Some(rest) = text.strip_prefix('"') {
        let key = unquoted(rest).ok_or_else(malformed)?;
        return Ok(RefillKey {
            key,
            quoted: Some(text.to_owned()),
        });
    }
    if text.contains('"') {
        return Err(malformed());
    }
    Ok(RefillKey {
        key: text.to_owned(),
        quoted: None,
    })
}

/// The content of a structured-field string after its opening quote. Parameters behind it say nothing that we know, and are ignored.
fn unquoted(rest: &str) -> Option<String> {
    let mut key = String::new();
    let mut characters = rest.chars();
    loop {
        match characters.next()? {
            '"' => break,
            '\\' => key.push(characters.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            character @ ' '..='~' => key.push(character),
            _ => return None,
        }
    }
    let behind = characters.as_str().trim_start();
    (behind.is_empty() || behind.starts_with(';')).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(texts: &[&[u8]]) -> Result<String, (ErrorCode, Option<FieldCode>)> {
        let mut headers = HeaderMap::new();
        for text in texts {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(text).expect("a value"));
        }
        read(&headers)
            .map(|key| key.key)
            .map_err(|problem| (problem.code, problem.errors.first().map(|(_, code)| *code)))
    }

    #[test]
    fn bare_and_quoted_are_one_key_and_what_is_malformed_is_told() {
        let format = Err((ErrorCode::ValidationFailed, Some(FieldCode::InvalidFormat)));
        let none = Err((ErrorCode::IdempotencyKeyRequired, None));
        for (text, key) in [
            (&b"k"[..], Ok("k".to_owned())),
            (b" k ", Ok("k".to_owned())),
            (b"\"k\"", Ok("k".to_owned())),
            (b"\"k\"; v=1", Ok("k".to_owned())),
            (br#""a\"b\\c""#, Ok(r#"a"b\c"#.to_owned())),
            (b"two words", Ok("two words".to_owned())),
            (b"", none.clone()),
            (b"\"\"", none.clone()),
            (b"\" \"", none.clone()),
            (b"\"k", format.clone()),
            (b"k\"", format.clone()),
            (b"\"k\"x", format.clone()),
            (br#""k\x""#, format.clone()),
            (b"\"k\tk\"", format.clone()),
            (b"\xd0\xba", format.clone()),
        ] {
            assert_eq!(told(&[text]), key, "{}", String::from_utf8_lossy(text));
        }
        assert_eq!(told(&[]), none);
        assert_eq!(told(&[b"a", b"b"]), format);
        let long = "k".repeat(MOST + 1);
        assert_eq!(
            told(&[long.as_bytes()]),
            Err((ErrorCode::ValidationFailed, Some(FieldCode::TooLong)))
        );
    }

    #[test]
    fn how_an_earlier_version_kept_a_quoted_key_is_known() {
        let headers = HeaderMap::from_iter([(IDEMPOTENCY_KEY, HeaderValue::from_static(" \"k\" "))]);
        assert_eq!(read(&headers).expect("a key").quoted.as_deref(), Some("\"k\""));
    }
}
