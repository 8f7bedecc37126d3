//! Origins besides our own that may call with the cookie: of pages, of apps made of pages, and of a domain's subdomains.

use url::Url;

/// Schemes of apps whose pages stand in the app itself.
const APP_SCHEMES: [&str; 2] = ["capacitor", "ionic"];

/// An origin of `web.allowed_origins`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigin {
    /// Exactly this one, as browsers send it.
    One(String),
    /// Any single label in place of the star of `https://*.example.ru`: what stands after it, the dot included.
    Label {
        /// `.example.ru`, with a port where one is named.
        after: String,
    },
}

impl AllowedOrigin {
    /// Reads an origin as the operator writes it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(domain) = text.strip_prefix("https://*.") {
            let origin = bare(&format!("https://{domain}"))?;
            let domain = origin.strip_prefix("https://")?;
            // A star right before a top-level domain would let everybody in.
            let is_domain =
                domain.split(':').next()?.contains('.') && !domain.starts_with('[') && !domain.contains('*');
            let is_address = Url::parse(&origin).ok()?.domain().is_none();
            return (is_domain && !is_address).then(|| Self::Label {
                after: format!(".{domain}"),
            });
        }
        bare(text).filter(|origin| !origin.contains('*')).map(Self::One)
    }

    /// Whether it is `origin`, as a browser sent it.
    #[must_use]
    pub fn matches(&self, origin: &str) -> bool {
        match self {
            Self::One(allowed) => allowed == origin,
            Self::Label { after } => {
                let label = origin
                    .strip_prefix("https://")
                    .and_then(|rest| rest.strip_suffix(after.as_str()));
                label.is_some_and(|label| {
                    !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                })
            }
        }
    }
}

/// Scheme, host and port, as browsers write them; `None` where something else stands beside them.
fn bare(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let nothing_else = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    if !nothing_else || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    match url.scheme() {
        "https" | "http" => Some(url.origin().ascii_serialization()),
        scheme if APP_SCHEMES.contains(&scheme) && url.port().is_none() => {
            let host = url.host_str().filter(|host| !host.is_empty())?;
            Some(format!("{scheme}://{}", host.to_ascii_lowercase()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lets(allowed: &str, origin: &str) -> bool {
        AllowedOrigin::parse(allowed)
            .unwrap_or_else(|| panic!("{allowed} is an origin"))
            .matches(origin)
    }

    #[test]
    fn pages_in_apps_have_origins() {
        for origin in [
            "capacitor://localhost",
            "ionic://localhost",
            "http://localhost",
            "https://localhost",
        ] {
            assert!(lets(origin, origin), "{origin}");
            assert!(lets(&format!("{origin}/"), origin), "{origin}");
        }
        assert!(lets("HTTPS://LK.Example.ru:443", "https://lk.example.ru"));
        assert!(lets("https://кафе.рф", "https://xn--80akn5b.xn--p1ai"));
        assert!(!lets("http://localhost", "http://localhost:3000"));
        assert!(!lets("capacitor://localhost", "ionic://localhost"));
    }

    #[test]
    fn a_star_stands_for_exactly_one_label() {
        let star = "https://*.example.ru";
        assert!(lets(star, "https://lk.example.ru") && lets(star, "https://xn--80akn5b.example.ru"));
        for other in [
            "https://example.ru",
            "https://.example.ru",
            "https://a.b.example.ru",
            "http://lk.example.ru",
            "https://lk.example.ru:8443",
            "https://lk.example.ru.evil.ru",
            "https://evil.ru/.example.ru",
            "https://evilexample.ru",
            "https://user@lk.example.ru",
            "null",
        ] {
            assert!(!lets(star, other), "{other}");
        }
        assert!(lets("https://*.example.ru:8443", "https://lk.example.ru:8443"));
    }

    #[test]
    fn whatever_is_no_origin_is_refused() {
        for wrong in [
            "",
            "*",
            "null",
            "lk.example.ru",
            "https://",
            "https://*",
            "https://*.ru",
            "https://*.*.example.ru",
            "https://a.*.example.ru",
            "https://a*.example.ru",
            "http://*.example.ru",
            "https://*.example.ru/path",
            "https://*.1.2.3.4",
            "https://x.ru/a",
            "https://x.ru?",
            "https://x.ru#a",
            "https://u:p@x.ru",
            "ftp://x.ru",
            "ws://x.ru",
            "file:///",
            "capacitor://",
            "capacitor://localhost:80",
            "capacitor://localhost/x",
            "app://localhost",
            "javascript:alert(1)",
            "*.example.ru",
        ] {
            assert_eq!(AllowedOrigin::parse(wrong), None, "{wrong}");
        }
    }
}
