//! `Retry-After` as servers send it (RFC 9110, section 10.2.3).

use std::time::Duration;

use http::{HeaderMap, header};
use jiff::fmt::rfc2822;

/// How long a server asks to be left alone: in seconds, or until a moment, counted from the answer's own date. What is over is zero; what
/// cannot be read is nothing. Servers ask for any time at all: the caller bounds it.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let moment = |text| rfc2822::parse(text).ok();
    let told = text(header::RETRY_AFTER)?;
    if let Ok(seconds) = told.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let left = moment(told)?.duration_since(&moment(text(header::DATE)?)?);
    Some(left.try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_time_to_wait_is_told_in_seconds_or_as_a_moment() {
        for (told, seconds) in [
            ("2", Some(2)),
            (" 86400 ", Some(86_400)),
            ("Wed, 21 Oct 2026 07:28:09 GMT", Some(9)),
            ("Wed, 21 Oct 2026 07:27:00 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(told));
            let date = HeaderValue::from_static("Wed, 21 Oct 2026 07:28:00 GMT");
            headers.insert(header::DATE, date);
            assert_eq!(retry_after(&headers), seconds.map(Duration::from_secs), "{told}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
