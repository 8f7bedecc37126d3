//! The session's cookie, and the rules for whoever uses it.

use std::time::Duration;

use cookie::{Cookie, SameSite};
use http::{HeaderMap, HeaderValue, header};

use super::{App, ErrorCode, Problem, whole_seconds};

/// The cookie of a browser's session. The prefix makes browsers keep it to this host, secure and whole-site.
pub(super) const SESSION: &str = "__Host-session";

/// The same on plain http on this machine, where a `Secure` cookie would be lost.
pub(super) const SESSION_PLAIN: &str = "session";

/// The cookie of a device that signed in before.
const DEVICE: &str = "__Host-device";
const DEVICE_PLAIN: &str = "device";

/// How long a device is remembered.
const DEVICE_LIFE: Duration = Duration::from_hours(8760);

fn plain(app: &App) -> bool {
    app.config.plain_loopback()
}

fn session_name(app: &App) -> &'static str {
    if plain(app) { SESSION_PLAIN } else { SESSION }
}

fn device_name(app: &App) -> &'static str {
    if plain(app) { DEVICE_PLAIN } else { DEVICE }
}

/// The values of the cookie `name`, in however many headers they come. Other cookies of the domain may hold any bytes; one of ours that
/// is no text is as good as none.
fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(header::COOKIE).iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(move |pair| {
        let value = pair
            .trim_ascii_start()
            .strip_prefix(name.as_bytes())?
            .strip_prefix(b"=")?;
        std::str::from_utf8(value.trim_ascii_end()).ok()
    })
}

/// The session's cookie, if there is one.
///
/// # Errors
/// When there are two that differ: which of them is meant cannot be known.
pub(super) fn session<'a>(app: &App, headers: &'a HeaderMap) -> Result<Option<&'a str>, Problem> {
    let mut values = values(headers, session_name(app)).filter(|value| !value.is_empty());
    let first = values.next();
    if values.any(|other| Some(other) != first) {
        return Err(Problem::new(ErrorCode::AmbiguousCredentials));
    }
    Ok(first)
}

/// What a device that signed in before carries: a cookie, or in apps a header.
pub(super) fn device<'a>(app: &App, headers: &'a HeaderMap) -> Option<&'a str> {
    let sent = headers.get("x-device-token").and_then(|value| value.to_str().ok());
    sent.or_else(|| values(headers, device_name(app)).next())
        .filter(|token| token.len() <= 128)
}

fn cookie(app: &App, name: &'static str, value: &str, life: Duration) -> HeaderValue {
    let seconds = i64::try_from(whole_seconds(life)).unwrap_or(i64::MAX);
    let cookie = Cookie::build((name, value))
        .http_only(true)
        .secure(!plain(app))
        .same_site(SameSite::Strict)
        .path("/")
        .max_age(cookie::time::Duration::seconds(seconds));
    HeaderValue::try_from(cookie.to_string()).expect("a cookie of ours is a header value")
}

/// Sets the session's cookie.
pub(super) fn set_session(app: &App, value: &str, life: Duration) -> HeaderValue {
    cookie(app, session_name(app), value, life)
}

/// Takes the session's cookie back.
pub(super) fn clear_session(app: &App) -> HeaderValue {
    cookie(app, session_name(app), "", Duration::ZERO)
}

/// Sets the device's cookie.
pub(super) fn set_device(app: &App, token: &str) -> HeaderValue {
    cookie(app, device_name(app), token, DEVICE_LIFE)
}

/// Whether a request with the cookie comes from a page that may send it.
pub(super) fn guard(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    allowed_origin(app, headers)?;
    let own_header = headers.get("x-cabinet").is_some_and(|value| value == "1");
    if own_header {
        Ok(())
    } else {
        Err(Problem::new(ErrorCode::CsrfHeaderMissing))
    }
}

/// Whether the page that sent the request, if one did, is ours or an allowed one.
pub(super) fn allowed_origin(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let refused = Err(Problem::new(ErrorCode::OriginNotAllowed));
    match (origins.next(), origins.next()) {
        (Some(origin), None) => {
            if origin.to_str().is_ok_and(|origin| is_allowed(app, origin)) {
                Ok(())
            } else {
                refused
            }
        }
        (Some(_), Some(_)) => refused,
        // Browsers say where a request comes from even when they leave the origin out.
        (None, _) if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site") => refused,
        (None, _) => Ok(()),
    }
}

/// Whether `origin` is our own or a configured one.
pub(super) fn is_allowed(app: &App, origin: &str) -> bool {
    is_own(app, origin)
        || app
            .config
            .web
            .allowed_origins
            .iter()
            .any(|allowed| allowed.matches(origin))
}

/// Whether `origin` is that of our own pages.
pub(super) fn is_own(app: &App, origin: &str) -> bool {
    app.own_origins.iter().any(|own| own == origin)
}
