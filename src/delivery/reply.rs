//! Reading gateways' answers: bounded, within the deadline, numbers as numbers or as text.

use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

use super::gateway::{Reason, SendError};
use crate::clock::Deadline;

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Sends `request` and reads status and body.
pub(super) async fn exchange(request: RequestBuilder, deadline: Deadline) -> Result<(StatusCode, Vec<u8>), SendError> {
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
        Ok((response.status(), body))
    };
    tokio::time::timeout_at(deadline.instant(), exchange)
        .await
        .unwrap_or(Err(SendError::Uncertain))
}

/// As [`exchange`], for gateways that always answer with a JSON object.
pub(super) async fn json(request: RequestBuilder, deadline: Deadline) -> Result<(StatusCode, Value), SendError> {
    let (status, body) = exchange(request, deadline).await?;
    let value = serde_json::from_slice::<Value>(&body).ok().filter(Value::is_object);
    Ok((status, value.ok_or(SendError::Uncertain)?))
}

/// A whole number that may stand there as text.
pub(super) fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => {
            let whole = number
                .as_f64()
                .filter(|number| number.fract() == 0.0 && number.abs() < 1e15);
            #[expect(clippy::cast_possible_truncation, reason = "whole and small, as just seen")]
            number.as_i64().or_else(|| whole.map(|number| number as i64))
        }
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A sum of money that may stand there as text; for metrics only.
pub(super) fn sum(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// A text or number as text.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
