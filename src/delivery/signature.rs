//! Standard Webhooks: signing what we send to the operator's receiver, checking what it sends back.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::report::{Report, ReportRefused};

/// A signature that is older, or from further ahead, is not taken.
const TOLERANCE_SECONDS: i64 = 300;

/// The key of a secret: the bytes that follow `whsec_` in base64, or the text itself when it is no base64.
pub(super) fn key(secret: &SecretString) -> hmac::Key {
    let text = secret.expose_secret();
    let encoded = text.strip_prefix("whsec_").unwrap_or(text);
    let bytes = STANDARD.decode(encoded).ok().filter(|bytes| !bytes.is_empty());
    hmac::Key::new(hmac::HMAC_SHA256, &bytes.unwrap_or_else(|| text.as_bytes().to_vec()))
}

/// The signature over id, moment and body.
pub(super) fn sign(key: &hmac::Key, id: &str, seconds: i64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(key);
    context.update(format!("{id}.{seconds}.").as_bytes());
    context.update(body);
    format!("v1,{}", STANDARD.encode(context.sign()))
}

/// Whether one of the signatures that the report carries is of one of `keys`, and fresh.
pub(super) fn check(keys: &[hmac::Key], report: &Report<'_>, now: Timestamp) -> Result<(), ReportRefused> {
    let header = |name| report.header(name).ok_or(ReportRefused::Forged);
    let (id, seconds, signatures) = (
        header("webhook-id")?,
        header("webhook-timestamp")?,
        header("webhook-signature")?,
    );
    if !is_fresh(seconds, now) {
        return Err(ReportRefused::Forged);
    }
    let signed = [id.as_bytes(), b".", seconds.as_bytes(), b".", report.body].concat();
    let mut given = signatures
        .split(' ')
        .filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok());
    // `verify` compares in constant time.
    if given.any(|tag| keys.iter().any(|key| hmac::verify(key, &signed, &tag).is_ok())) {
        Ok(())
    } else {
        Err(ReportRefused::Forged)
    }
}

/// Whether a moment in seconds is within the tolerance.
pub(super) fn is_fresh(seconds: &str, now: Timestamp) -> bool {
    let seconds: Option<i64> = seconds.parse().ok();
    seconds.is_some_and(|seconds| now.as_second().abs_diff(seconds) <= TOLERANCE_SECONDS.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    const BODY: &[u8] = br#"{"type":"otp.send","data":{"code":"482913"}}"#;
    const SIGNATURE: &str = "v1,WS6VLFkaF+Xd+9KZuh6fVwEGDUy/VkrSsbS5xlq5fjM=";
    const MOMENT: i64 = 1_767_225_600;

    fn checked(secrets: &[&str], signature: &str, body: &[u8], late: i64) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", "evt_0001".parse().expect("a value"));
        headers.insert("webhook-timestamp", MOMENT.into());
        headers.insert("webhook-signature", signature.parse().expect("a value"));
        let report = Report {
            headers: &headers,
            body,
            fields: &[],
            key: None,
        };
        let keys: Vec<_> = secrets.iter().map(|secret| key(&(*secret).into())).collect();
        let now = Timestamp::from_second(MOMENT + late).expect("a moment");
        check(&keys, &report, now).is_ok()
    }

    #[test]
    fn the_signature_is_that_of_standard_webhooks() {
        assert_eq!(sign(&key(&SECRET.into()), "evt_0001", MOMENT, BODY), SIGNATURE);
        // The example of the specification.
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into();
        let signature = sign(
            &key(&secret),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn one_match_of_signatures_and_secrets_is_enough_and_anything_else_is_forged() {
        let other = "whsec_b3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXI=";
        assert!(checked(&[SECRET], SIGNATURE, BODY, 0));
        assert!(checked(
            &[other, SECRET],
            &format!("v1,AAAA v2,x {SIGNATURE}"),
            BODY,
            300
        ));
        for (secret, signature, body, late) in [
            (other, SIGNATURE, BODY, 0),
            (SECRET, "v1,AAAA", BODY, 0),
            (SECRET, "", BODY, 0),
            (SECRET, &SIGNATURE[3..], BODY, 0),
            (SECRET, SIGNATURE, b"{}".as_slice(), 0),
            (SECRET, SIGNATURE, BODY, 301),
            (SECRET, SIGNATURE, BODY, -301),
        ] {
            assert!(!checked(&[secret], signature, body, late), "{signature} {late}");
        }
        assert!(!checked(&[], SIGNATURE, BODY, 0));
    }
}
