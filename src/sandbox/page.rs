//! The sandbox' page: guests and controls.

use axum::body::Body;
use http::{HeaderValue, Response, header};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "static/sandbox/"]
struct Files;

/// The file of the page at `path`.
pub(super) fn file(path: &str) -> Option<Response<Body>> {
    let name = match path {
        "/" => "index.html",
        _ => path.strip_prefix("/page/")?,
    };
    let file = Files::get(name)?;
    let mut response = Response::new(Body::from(file.data.into_owned()));
    let kind = match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        _ => "application/octet-stream",
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Some(response)
}
