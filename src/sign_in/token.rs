//! Tokens: access tokens as JWT with everything pinned, refresh tokens and cookies as keyed values that stand nowhere.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::SignInError;
use crate::keys::{Keys, Purpose};
use crate::model::SessionId;

/// The pinned type: another kind of JWT under the same key is none of ours.
const TYPE: &str = "at+jwt";

/// Issuer and audience are the same on all replicas, by whatever address each is reached; the key tells installations apart.
const ISSUER: &str = "guest-cabinet";
const AUDIENCE: &str = "guest-cabinet/api";

/// A token may be younger than our clock by so many seconds: what NTP can miss between two replicas.
const LEEWAY_S: i64 = 60;

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    /// The session.
    sub: uuid::Uuid,
    /// The number of the pair.
    number: i64,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// What an access token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AccessClaims {
    pub session: SessionId,
    pub number: i64,
    pub expires_at_s: i64,
}

/// Signs and verifies access tokens.
pub(super) struct AccessTokens {
    signing: (String, EncodingKey),
    verifying: Vec<(String, DecodingKey)>,
    validation: Validation,
}

impl AccessTokens {
    pub fn new(keys: &Keys) -> Self {
        let all = keys.signing(Purpose::AccessToken);
        let current = all.first().expect("there is a current secret");
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
        // Time is a parameter: both are compared with our clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self {
            signing: (current.kid.clone(), EncodingKey::from_secret(&current.bytes)),
            verifying: all
                .iter()
                .map(|key| (key.kid.clone(), DecodingKey::from_secret(&key.bytes)))
                .collect(),
            validation,
        }
    }

    /// A token for the pair `number` of `session`, good for `life`.
    pub fn sign(&self, session: SessionId, number: i64, now_s: i64, life: Duration) -> String {
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(self.signing.0.clone());
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: session.0,
            number,
            iat: now_s,
            nbf: now_s,
            // A life of less than a second would be over before it began.
            exp: now_s + i64::try_from(life.as_millis().div_ceil(1000)).unwrap_or(i64::MAX / 2),
        };
        jsonwebtoken::encode(&header, &claims, &self.signing.1).expect("claims are plain data")
    }

    /// What `token` says, when it is one of ours and its time has not passed.
    pub fn verify(&self, token: &str, now_s: i64) -> Result<AccessClaims, SignInError> {
        let refused = |_| SignInError::Unauthenticated;
        let header = jsonwebtoken::decode_header(token).map_err(refused)?;
        if header.typ.as_deref() != Some(TYPE) {
            return Err(SignInError::Unauthenticated);
        }
        let key = self.verifying.iter().find(|(kid, _)| header.kid.as_ref() == Some(kid));
        let (_, key) = key.ok_or(SignInError::Unauthenticated)?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &self.validation)
            .map_err(|_| SignInError::Unauthenticated)?
            .claims;
        if claims.nbf > now_s + LEEWAY_S || claims.number < 0 {
            return Err(SignInError::Unauthenticated);
        }
        if claims.exp <= now_s {
            return Err(SignInError::SessionExpired);
        }
        Ok(AccessClaims {
            session: SessionId(claims.sub),
            number: claims.number,
            expires_at_s: claims.exp,
        })
    }
}

/// The refresh token of the pair `number`.
pub(super) fn refresh_token(keys: &Keys, session: SessionId, number: i64) -> String {
    keyed(keys, b"refresh", session, number)
}

/// The session and number of a refresh token of ours.
pub(super) fn read_refresh_token(keys: &Keys, token: &str) -> Option<(SessionId, i64)> {
    read_keyed(keys, b"refresh", token)
}

/// The cookie's value.
pub(super) fn cookie_value(keys: &Keys, session: SessionId) -> String {
    keyed(keys, b"cookie", session, 0)
}

/// The session of a cookie of ours.
pub(super) fn read_cookie(keys: &Keys, value: &str) -> Option<SessionId> {
    read_keyed(keys, b"cookie", value).map(|(session, _)| session)
}

fn keyed(keys: &Keys, kind: &[u8], session: SessionId, number: i64) -> String {
    let number = number.to_be_bytes();
    let tag = keys.mac(Purpose::Session, &[kind, session.0.as_bytes(), &number]);
    let mut token = session.0.as_bytes().to_vec();
    token.extend_from_slice(&number);
    token.extend_from_slice(&tag);
    URL_SAFE_NO_PAD.encode(token)
}

fn read_keyed(keys: &Keys, kind: &[u8], token: &str) -> Option<(SessionId, i64)> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok().filter(|bytes| bytes.len() == 56)?;
    let (session, rest) = bytes.split_at(16);
    let (number, tag) = rest.split_at(8);
    let ours = keys.verify(Purpose::Session, &[kind, session, number], tag);
    let session = SessionId(uuid::Uuid::from_slice(session).ok()?);
    let number = i64::from_be_bytes(number.try_into().ok()?);
    ours.then_some((session, number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Entropy;

    const NOW: i64 = 1_800_000_000;
    const LIFE: Duration = Duration::from_mins(5);

    fn tokens(secret: &str, previous: Option<&str>) -> (AccessTokens, Keys) {
        let keys = Keys::derive(&secret.into(), previous.map(Into::into).as_ref(), Entropy::seeded(1));
        let tokens = AccessTokens::new(&keys);
        (tokens, keys)
    }

    const OLD: &str = "an old secret of at least 32 bytes";
    const NEW: &str = "a new secret of at least 32 bytes!";

    #[test]
    fn a_rotation_of_the_secret_signs_nobody_out() {
        let session = SessionId(uuid::Uuid::from_u128(7));
        let (before, old_keys) = tokens(OLD, None);
        let (after, new_keys) = tokens(NEW, Some(OLD));
        let (stranger, _) = tokens("a third secret of at least 32 bytes", None);
        let token = before.sign(session, 3, NOW, LIFE);
        let claims = after.verify(&token, NOW + 299).expect("still good");
        assert_eq!((claims.session, claims.number), (session, 3));
        assert!(matches!(
            after.verify(&token, NOW + 300),
            Err(SignInError::SessionExpired)
        ));
        assert!(matches!(
            after.verify(&token, NOW - 61),
            Err(SignInError::Unauthenticated)
        ));
        assert!(matches!(
            stranger.verify(&token, NOW),
            Err(SignInError::Unauthenticated)
        ));
        let refresh = refresh_token(&old_keys, session, 3);
        assert_eq!(read_refresh_token(&new_keys, &refresh), Some((session, 3)));
        assert_eq!(read_cookie(&new_keys, &refresh), None, "a refresh token is no cookie");
    }

    #[test]
    fn malformed_tokens_are_refused_and_never_panic() {
        let (tokens, keys) = tokens(OLD, None);
        let session = SessionId(uuid::Uuid::from_u128(7));
        let good = tokens.sign(session, 0, NOW, LIFE);
        let parts: Vec<&str> = good.split('.').collect();
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let none = format!("{}.{}.", encode(r#"{"alg":"none","typ":"at+jwt"}"#), parts[1]);
        let other = format!(
            "{}.{}.{}",
            encode(r#"{"alg":"HS512","typ":"at+jwt"}"#),
            parts[1],
            parts[2]
        );
        let key = EncodingKey::from_secret(&keys.signing(Purpose::AccessToken)[0].bytes);
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(TYPE.into());
        header.kid = Some(keys.signing(Purpose::AccessToken)[0].kid.clone());
        let strange = |claims: serde_json::Value| jsonwebtoken::encode(&header, &claims, &key).expect("a token");
        let mut cases = vec![
            String::new(),
            "a.b.c".into(),
            "....".into(),
            none,
            other,
            "é".repeat(500),
        ];
        for change in [
            serde_json::json!({ "exp": "soon" }),
            serde_json::json!({ "sub": 5 }),
            serde_json::json!({ "number": -1 }),
            serde_json::json!({ "iss": "https://evil.example" }),
            serde_json::json!({ "aud": ["other"] }),
            serde_json::json!({ "exp": 1.0e300 }),
        ] {
            let mut claims = serde_json::json!({
                "iss": ISSUER, "aud": AUDIENCE, "sub": session.0, "number": 0, "iat": NOW, "nbf": NOW, "exp": NOW + 300
            });
            for (name, value) in change.as_object().expect("an object") {
                claims[name] = value.clone();
            }
            cases.push(strange(claims));
        }
        for case in cases {
            assert!(
                matches!(tokens.verify(&case, NOW), Err(SignInError::Unauthenticated)),
                "{case}"
            );
        }
        for length in 0..80 {
            assert_eq!(read_refresh_token(&keys, &"A".repeat(length)), None);
        }
    }
}
