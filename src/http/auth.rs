//! `/api/v1/auth`: a phone, a code, a session.

mod challenges;
mod opening;

use http::{HeaderName, HeaderValue};
use utoipa_axum::router::OpenApiRouter;

use super::{App, ErrorCode, FieldCode, Problem};
use crate::sign_in::{ChallengeId, SignInError};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(challenges::routes())
        .merge(opening::routes())
}

/// The asker's secret out of the path. What cannot be one looks like any dead one.
fn challenge_id(text: &str) -> Result<ChallengeId, Problem> {
    ChallengeId::parse(text).ok_or_else(|| Problem::new(ErrorCode::ChallengeInvalid))
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::ChallengeInvalid => Self::new(ErrorCode::ChallengeInvalid),
            SignInError::CodeIncorrect { attempts_left } => Self {
                attempts_left: Some(attempts_left),
                ..Self::new(ErrorCode::CodeIncorrect)
            },
            SignInError::CodeMissing => Self::field("code", FieldCode::Required),
            SignInError::CodeMalformed => Self::field("code", FieldCode::InvalidFormat),
            SignInError::DeliveryUnavailable { retry_after } => {
                Self::new(ErrorCode::DeliveryUnavailable).retry_after(retry_after)
            }
            SignInError::TooMany(limit) => {
                let window = limit.window.as_secs().max(1);
                let wait = limit.retry_after.as_millis().div_ceil(1000);
                let policy = format!("\"{}\";q={};w={window}", limit.name, limit.most);
                let left = format!("\"{}\";r=0;t={wait}", limit.name);
                let value = |text: String| HeaderValue::try_from(text).expect("names and numbers are a header value");
                Self::new(ErrorCode::TooManyRequests)
                    .retry_after(limit.retry_after)
                    .header(HeaderName::from_static("ratelimit-policy"), value(policy))
                    .header(HeaderName::from_static("ratelimit"), value(left))
            }
            SignInError::ChannelNotOffered => Self::field("channel", FieldCode::NotAllowed),
            SignInError::Unauthenticated => Self::new(ErrorCode::Unauthenticated),
            SignInError::SessionExpired => Self::new(ErrorCode::SessionExpired),
            SignInError::TokenReused => Self::new(ErrorCode::TokenReused),
            SignInError::InProgress => {
                Self::new(ErrorCode::OperationInProgress).retry_after(std::time::Duration::from_secs(1))
            }
            SignInError::Store(error) => error.into(),
        }
    }
}
