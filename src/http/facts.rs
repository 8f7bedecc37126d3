//! What is known about a request before any handler sees it: its language, deadline, the caller's address, and its id.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::uri::Authority;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Version, header};
use ipnet::IpNet;

use super::Language;
use crate::clock::Deadline;

/// The header that names a request, both ways.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The facts, put into the request's extensions by the outermost layer.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts {
    /// The language of texts for people.
    pub language: Language,
    /// The caller's address: the socket's, or what a trusted proxy says. IPv4 in IPv6's clothes is IPv4.
    pub client_ip: IpAddr,
    /// Until when the answer must be there.
    pub deadline: Deadline,
}

impl RequestFacts {
    /// The facts of a request that passed the layer.
    ///
    /// Outside the layer (a handler called by hand) there are none: the answers are then the closed ones.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().copied().unwrap_or_else(|| Self {
            language: Language::default(),
            client_ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            deadline: Deadline::within(Duration::from_secs(10)),
        })
    }

    /// The deadline alone.
    #[must_use]
    pub fn deadline_of(extensions: &Extensions) -> Deadline {
        let facts = extensions.get::<Self>();
        facts.map_or_else(|| Deadline::within(Duration::from_secs(10)), |facts| facts.deadline)
    }
}

impl<S: Sync> FromRequestParts<S> for RequestFacts {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}

/// `X-Request-Id`: the caller's id for the request when it is one token of at most 64 characters, else a new one.
pub(super) fn request_id(headers: &HeaderMap, make: impl FnOnce() -> HeaderValue) -> HeaderValue {
    let sane = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        (1..=64).contains(&bytes.len())
            && bytes
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    let sent = headers.get(REQUEST_ID).filter(sane);
    sent.cloned().unwrap_or_else(make)
}

/// Whether a request says which host it is for, once and readably: two readers of one that says it twice could see two requests
/// (RFC 9112, section 3.2). HTTP/1.0 knew no hosts.
pub(super) fn names_one_host(head: &Parts) -> bool {
    let mut hosts = head.headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => head.version < Version::HTTP_11 || (head.version >= Version::HTTP_2 && head.uri.host().is_some()),
        (Some(host), None) => host.is_empty() || is_authority(host),
        (Some(_), Some(_)) => false,
    }
}

fn is_authority(host: &HeaderValue) -> bool {
    !host.as_bytes().contains(&b'@') && Authority::try_from(host.as_bytes()).is_ok()
}

/// The caller's address. `X-Forwarded-For` is believed only as far as the chain consists of configured proxies: read from the right,
/// the first address that is none of them is the caller's. What cannot be read ends the chain at the last believed hop.
pub(super) fn client_ip(peer: SocketAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut address = peer.ip().to_canonical();
    let believed = |ip: IpAddr| trusted.iter().any(|net| net.contains(&ip));
    if trusted.is_empty() || !believed(address) {
        return address;
    }
    let hops = headers.get_all("x-forwarded-for").iter().rev();
    for hop in hops.flat_map(|value| value.to_str().unwrap_or("?").rsplit(',')) {
        let Some(ip) = address_of(hop.trim()) else {
            return address;
        };
        address = ip;
        if !believed(address) {
            return address;
        }
    }
    address
}

/// An address as proxies write it: bare, with a port, or in brackets.
fn address_of(text: &str) -> Option<IpAddr> {
    let bare = || {
        text.trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
            .ok()
    };
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare().or_else(with_port).map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(peer: &str, forwarded: &[&'static str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_static(value));
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().expect("a network")).collect();
        client_ip(peer.parse().expect("an address"), &headers, &trusted).to_string()
    }

    #[test]
    fn the_callers_address_cannot_be_spoofed() {
        assert_eq!(from("203.0.113.9:5", &["1.1.1.1"], &[]), "203.0.113.9");
        assert_eq!(from("203.0.113.9:5", &["1.1.1.1"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(
            from("10.0.0.1:5", &["1.1.1.1, 203.0.113.9"], &["10.0.0.0/8"]),
            "203.0.113.9"
        );
        assert_eq!(
            from("10.0.0.1:5", &["1.1.1.1", "203.0.113.9, 10.0.0.2"], &["10.0.0.0/8"]),
            "203.0.113.9"
        );
        assert_eq!(from("10.0.0.1:5", &["1.1.1.1, rubbish"], &["10.0.0.0/8"]), "10.0.0.1");
        assert_eq!(from("10.0.0.1:5", &[""], &["10.0.0.0/8"]), "10.0.0.1");
        assert_eq!(from("10.0.0.1:5", &[], &["10.0.0.0/8"]), "10.0.0.1");
        assert_eq!(
            from("[::ffff:10.0.0.1]:5", &["[2001:db8::1]:443"], &["10.0.0.0/8"]),
            "2001:db8::1"
        );
    }

    #[test]
    fn only_a_sane_request_id_is_taken() {
        let of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-request-id", HeaderValue::from_static(text));
            request_id(&headers, || HeaderValue::from_static("made"))
        };
        assert_eq!(of("abc-1.2_3"), "abc-1.2_3");
        for wrong in [
            "",
            "a b",
            "a\"b",
            "0123456789012345678901234567890123456789012345678901234567890123456789",
        ] {
            assert_eq!(of(wrong), "made", "{wrong}");
        }
    }
}
