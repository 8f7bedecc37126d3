//! The tokens of a login. They must be texts: nothing else goes back into a header.

use std::time::Duration;

use super::json::{Json, NONSENSE, Object, Read};

/// Tokens of a login.
pub(in crate::probonus) struct Tokens {
    pub access: String,
    pub refresh: Option<String>,
    pub expires_in: Option<Duration>,
}

/// Reads them.
pub(in crate::probonus) fn read_tokens(answer: Json) -> Read<Tokens> {
    let object = answer.single()?.object()?;
    let seconds = object
        .told(&["expiresIn", "expires_in"])
        .and_then(|life| life.scalar().ok());
    Ok(Tokens {
        access: token(&object, &["accessToken", "access_token", "token"])?.ok_or(NONSENSE)?,
        refresh: token(&object, &["refreshToken", "refresh_token"])?,
        expires_in: seconds
            .and_then(|seconds| seconds.trim().parse().ok())
            .map(Duration::from_secs),
    })
}

fn token(object: &Object, names: &[&str]) -> Read<Option<String>> {
    let token = object
        .told(names)
        .map(|value| value.text().map(std::borrow::Cow::into_owned));
    Ok(token.transpose()?.filter(|token| !token.is_empty()))
}
