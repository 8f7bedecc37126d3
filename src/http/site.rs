//! The site: the built-in web cabinet, or the operator's folder, at paths that nothing else answers.
//!
//! Owns the files, their tags and compressed forms and the policy browsers hold them to. Everything is read at the start and served from
//! memory: a request can only ever name what was read, so no path leads out of the folder. Knows no guest.

mod files;
mod generated;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};

use self::files::Coding;
pub(super) use self::files::File;
use super::{App, ErrorCode, Problem};
use crate::config::Config;

/// Paths at which the built-in page shows a screen; `static/screens.js` has the same list and a browser test compares them.
const SCREENS: &[&str] = &[
    "/sign-in", "/code", "/sign-up", "/history", "/burning", "/card", "/profile", "/devices",
];

/// Screens of one thing: the prefix before its id.
const SCREENS_OF: &[&str] = &["/checks/"];

/// What is never a file of the site, whatever the folder holds.
const RESERVED: &[&str] = &["api", "partner", "docs", "openapi.json", "demo", "demo.json", "sandbox"];

/// The files of the site.
pub(super) struct Site {
    files: BTreeMap<String, File>,
    policy: HeaderValue,
    /// The operator's own page: it has screens of its own, at paths we cannot know.
    foreign: bool,
}

impl Site {
    /// Reads the site; `None` when it is switched off.
    pub(super) fn of(config: &Config) -> Option<Arc<Self>> {
        if !config.web.cabinet {
            return None;
        }
        let mut files = match &config.web.static_dir {
            Some(folder) => files::folder(folder),
            None => files::built_in(config.demo),
        };
        files.retain(|path, _| !RESERVED.contains(&path.split('/').next().unwrap_or_default()));
        generated::add(&mut files, config);
        Some(Arc::new(Self {
            files,
            policy: generated::policy(config),
            foreign: config.web.static_dir.is_some(),
        }))
    }

    /// The file at `path`, or the page itself where it shows a screen.
    fn find(&self, path: &str, headers: &HeaderMap) -> Option<&File> {
        let name = path.trim_start_matches('/');
        let page = || self.files.get("index.html");
        if name.is_empty() {
            return page();
        }
        if let Some(file) = self.files.get(name) {
            return Some(file);
        }
        let screen = if self.foreign {
            let first = name.split('/').next().unwrap_or_default();
            !RESERVED.contains(&first) && !name.contains('.') && wants_page(headers)
        } else {
            let path = path.strip_suffix('/').unwrap_or(path);
            let of_one = |prefix: &str| {
                path.strip_prefix(prefix)
                    .is_some_and(|id| !id.is_empty() && !id.contains('/'))
            };
            SCREENS.contains(&path) || SCREENS_OF.iter().any(|prefix| of_one(prefix))
        };
        if screen { page() } else { None }
    }

    /// What a browser shows for an address that is none: the page, which says so.
    fn absent(&self, path: &str, headers: &HeaderMap) -> Option<Response> {
        let name = path.trim_start_matches('/');
        let first = name.split('/').next().unwrap_or_default();
        if self.foreign || name.contains('.') || RESERVED.contains(&first) || !wants_page(headers) {
            return None;
        }
        let page = self.files.get("index.html")?;
        // Without its conditions: nothing is unchanged about what is not there.
        let accepted = headers.get(header::ACCEPT_ENCODING).cloned();
        let headers = accepted.into_iter().map(|value| (header::ACCEPT_ENCODING, value));
        let mut response = self.answer(page, &headers.collect());
        *response.status_mut() = StatusCode::NOT_FOUND;
        response.headers_mut().remove(header::ETAG);
        Some(response)
    }

    fn answer(&self, file: &File, headers: &HeaderMap) -> Response {
        let mut response = conditional(file, headers);
        let all = response.headers_mut();
        all.insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        for (name, value) in ISOLATION {
            all.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        response
    }
}

/// The file in the best coding that is taken, or 304 when the caller has it. The bytes are shared by all who are sent them.
pub(super) fn conditional(file: &File, headers: &HeaderMap) -> Response {
    let coding = file.coding_for(headers);
    let mut response = StatusCode::OK.into_response();
    let tag = file.tag(coding);
    if is_known(headers, &tag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        response = (StatusCode::OK, file.bytes(coding)).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(file.kind));
        if let Some(name) = coding.name() {
            response
                .headers_mut()
                .insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
        }
    }
    let all = response.headers_mut();
    all.insert(header::ETAG, tag);
    all.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    // Names carry no version, so a caller asks each time and is usually told that nothing changed.
    all.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

const ISOLATION: [(&str, &str); 3] = [
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "permissions-policy",
        "camera=(), geolocation=(), microphone=(), payment=()",
    ),
];

/// What answers when no route does.
#[expect(clippy::unused_async, reason = "a handler is asynchronous")]
pub(super) async fn fallback(
    site: Option<Arc<Site>>,
    State(app): State<App>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    // Whoever works on a page of their own sees each change at once.
    let site = if app.config.demo && app.config.web.static_dir.is_some() {
        Site::of(&app.config)
    } else {
        site
    };
    let Some(site) = site else {
        return Problem::new(ErrorCode::NotFound).into_response();
    };
    match site.find(uri.path(), &headers) {
        Some(file) if method == Method::GET || method == Method::HEAD => site.answer(file, &headers),
        Some(_) => Problem::new(ErrorCode::MethodNotAllowed)
            .header(header::ALLOW, HeaderValue::from_static("GET, HEAD"))
            .into_response(),
        None => {
            let read = method == Method::GET || method == Method::HEAD;
            let page = read.then(|| site.absent(uri.path(), &headers)).flatten();
            page.unwrap_or_else(|| Problem::new(ErrorCode::NotFound).into_response())
        }
    }
}

fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|kinds| kinds.contains("text/html"))
}

/// Whether `If-None-Match` names the tag.
fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let Some(known) = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    known
        .split(',')
        .map(|part| part.trim().trim_start_matches("W/"))
        .any(|part| part == "*" || part.as_bytes() == tag.as_bytes())
}

impl Coding {
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Gzip => Some("gzip"),
            Self::Brotli => Some("br"),
        }
    }
}
