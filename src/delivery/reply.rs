//! Reading gateways' answers: bounded, within the deadline, numbers as numbers or as text.

use http::{HeaderMap, StatusCode};
use reqwest::RequestBuilder;
use serde_json::Value;

use super::gateway::{Reason, SendError};
use crate::clock::Deadline;
use crate::retry_after::retry_after;

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Sends `request` and reads status, headers and body.
pub(super) async fn exchange(
    request: RequestBuilder,
    deadline: Deadline,
) -> Result<(StatusCode, HeaderMap, Vec<u8>), SendError> {
    let exchange = async {
        let mut response = request.send().await.map_err(|error| {
            if error.is_connect() || error.is_builder() {
                SendError::Rejected(Reason::Unavailable)
            } else {
                SendError::Uncertain
            }
        })?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|_| SendError::Uncertain)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(SendError::Uncertain);
            }
            body.extend_from_slice(&chunk);
        }
        Ok((response.status(), std::mem::take(response.headers_mut()), body))
    };
    tokio::time::timeout_at(deadline.instant(), exchange)
        .await
        .unwrap_or(Err(SendError::Uncertain))
}

/// As [`exchange`], for gateways that always answer with a JSON object, whatever the status.
pub(super) async fn json(request: RequestBuilder, deadline: Deadline) -> Result<Value, SendError> {
    let (status, headers, body) = exchange(request, deadline).await?;
    let wait = retry_after(&headers);
    match (status.as_u16(), wait) {
        // Turned away with the time to come again: nothing was done, whatever else stands there.
        (429, Some(_)) => return Err(SendError::refused(Reason::AccountLimit, wait)),
        (503, Some(_)) => return Err(SendError::refused(Reason::Unavailable, wait)),
        (500.., _) => return Err(SendError::Uncertain),
        _ => {}
    }
    let value = serde_json::from_slice::<Value>(&body).ok().filter(Value::is_object);
    value.ok_or(match status.as_u16() {
        429 => SendError::Rejected(Reason::AccountLimit),
        // Somebody before the gateway turned it away.
        300..=499 => SendError::Rejected(Reason::Unavailable),
        _ => SendError::Uncertain,
    })
}

/// A whole number that may stand there as text.
pub(super) fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => text.trim().parse().ok().or_else(|| whole(text.trim().parse().ok()?)),
        _ => None,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "whole and small, as just seen")]
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 1e15).then_some(number as i64)
}

/// A sum of money that may stand there as text; for metrics only.
pub(super) fn sum(value: &Value) -> Option<f64> {
    let sum = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
    sum.filter(|sum| sum.is_finite())
}

/// A text or number as text.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The last four of the digits that a gateway chose. What was a number on its way has lost its leading zeros.
pub(super) fn last_four(value: &Value) -> Option<String> {
    let digits = match value {
        Value::Number(_) => format!("{:04}", number(value).filter(|number| *number >= 0)?),
        Value::String(text) if !text.trim().is_empty() => format!("{:0>4}", text.trim()),
        _ => return None,
    };
    let sane = digits.len() <= 8 && digits.bytes().all(|byte| byte.is_ascii_digit());
    sane.then(|| digits[digits.len() - 4..].to_owned())
}

/// The number that the guest is to call, as `+7…`.
pub(super) fn dial(value: &Value) -> Option<String> {
    let text = text(value)?;
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let usual = |c: char| c.is_ascii_digit() || " +-()".contains(c);
    ((8..=15).contains(&digits.len()) && text.chars().all(usual)).then(|| format!("+{digits}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_come_as_numbers_and_as_text() {
        for value in [json!(10), json!("10"), json!(10.0), json!(" 10 "), json!("10.0")] {
            assert_eq!((number(&value), sum(&value)), (Some(10), Some(10.0)), "{value}");
        }
        for value in [json!(null), json!("NaN"), json!("ten"), json!([10])] {
            assert_eq!((number(&value), sum(&value)), (None, None), "{value}");
        }
    }

    #[test]
    fn digits_keep_their_zeros_and_their_end() {
        for (value, digits) in [
            (json!("0435"), Some("0435")),
            (json!(435), Some("0435")),
            (json!("120435"), Some("0435")),
            (json!("435"), Some("0435")),
            (json!(""), None),
            (json!("123456789"), None),
            (json!(-1), None),
            (json!("12a4"), None),
            (json!(null), None),
        ] {
            assert_eq!(last_four(&value).as_deref(), digits, "{value}");
        }
        assert_eq!(dial(&json!("78005008275")).as_deref(), Some("+78005008275"));
        assert_eq!(dial(&json!(78_005_008_275_i64)).as_deref(), Some("+78005008275"));
        assert_eq!(dial(&json!("<a href=tel:78005008275>")), None);
    }
}
