//! An answer of ProBonus read whole, and what its status means.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};

use super::decode::{Json, to_utf8};
use super::error::{Effect, UpstreamError};
use crate::retry_after::retry_after;

/// The longest pause that ProBonus may ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(30);

/// An answer read whole.
pub(super) struct Reply {
    pub status: StatusCode,
    pub body: Bytes,
    retry_after: Option<Duration>,
}

impl Reply {
    /// Reads the answer whole. One that breaks off was not given; one without end makes no sense.
    pub async fn read(mut response: reqwest::Response, bound: usize) -> Result<Self, UpstreamError> {
        let retry_after = pause_asked_for(response.headers());
        let kind = response.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).map(str::to_owned);
        let status = response.status();
        let mut body = BytesMut::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= bound => body.extend_from_slice(&chunk),
                Ok(None) => break,
                // The status of a failure tells enough.
                Ok(Some(_)) | Err(_) if !status.is_success() => break,
                Ok(Some(_)) => return Err(UpstreamError::Invalid),
                Err(_) => return Err(UpstreamError::unknown()),
            }
        }
        Ok(Self {
            status,
            body: to_utf8(body.freeze(), kind.as_deref()),
            retry_after,
        })
    }

    /// One as if it had been read.
    #[cfg(test)]
    pub fn of(status: StatusCode, body: &str) -> Self {
        Self {
            status,
            body: Bytes::copy_from_slice(body.as_bytes()),
            retry_after: None,
        }
    }

    /// Whether its body is empty.
    pub fn is_blank(&self) -> bool {
        self.body.trim_ascii().is_empty()
    }

    /// How long ProBonus asks to be left alone: told by the answers that turn a caller away, 429 and 503.
    pub fn asks_for_pause(&self) -> Option<Duration> {
        let away = matches!(
            self.status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        self.retry_after.filter(|_| away)
    }

    /// Whether a success is JSON, whatever it is called, or empty: whatever else comes is not ProBonus talking.
    pub fn makes_sense(&self) -> bool {
        !self.status.is_success() || self.is_blank() || Json::parse(&self.body).is_ok()
    }

    /// What a status that is no success means.
    pub fn failure(&self) -> UpstreamError {
        match self.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => UpstreamError::CredentialRefused,
            // Turned away at the door.
            StatusCode::TOO_MANY_REQUESTS => UpstreamError::Unavailable {
                retry_after: self.retry_after.or(Some(Duration::from_secs(1))),
                effect: Effect::None,
            },
            status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => UpstreamError::Unavailable {
                retry_after: self.asks_for_pause(),
                effect: Effect::Unknown,
            },
            status if status.is_client_error() => UpstreamError::Refused {
                status: status.as_u16(),
            },
            // A redirect or something stranger.
            _ => UpstreamError::Invalid,
        }
    }
}

/// How long ProBonus asks to be left alone, within [`LONGEST_RETRY_AFTER`].
fn pause_asked_for(headers: &HeaderMap) -> Option<Duration> {
    retry_after(headers).map(|pause| pause.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_pause_is_longer_than_is_sane() {
        let asked = |seconds: u64| {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, seconds.into())]);
            pause_asked_for(&headers)
        };
        assert_eq!(asked(2), Some(Duration::from_secs(2)));
        assert_eq!(asked(86_400), Some(LONGEST_RETRY_AFTER));
    }
}
