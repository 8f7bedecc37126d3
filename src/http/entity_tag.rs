//! Entity tags as callers give them back. A proxy that compresses an answer on its way marks the tag (nginx: `W/"…"`, Apache: `"…-gzip"`);
//! ours are made over the content, so that marked or not they mean the same. Knows no view.

use http::HeaderValue;

/// How proxies write the coding behind a tag: Apache, Caddy, Jetty.
const CODINGS: [&[u8]; 4] = [b"-gzip", b"-br", b"-zstd", b"-deflate"];

/// The tag without its quotes and without what a proxy added.
fn opaque(tag: &[u8]) -> Option<&[u8]> {
    let tag = tag.strip_prefix(b"W/").unwrap_or(tag);
    let tag = tag.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let coding = CODINGS.iter().find_map(|coding| tag.strip_suffix(*coding));
    Some(coding.map_or(tag, |tag| tag.strip_suffix(b"-").unwrap_or(tag)))
}

/// Whether two tags mean the same content.
fn mean_the_same(a: &[u8], b: &[u8]) -> bool {
    opaque(a).is_some_and(|a| opaque(b) == Some(a))
}

/// The tag as we gave it out; `None` for what is no tag.
pub(super) fn unmarked(tag: &[u8]) -> Option<Vec<u8>> {
    Some([b"\"", opaque(tag)?, b"\""].concat())
}

/// The tags of `If-Match` or `If-None-Match`, `*` among them.
pub(super) fn listed<'a>(values: impl Iterator<Item = &'a HeaderValue>) -> impl Iterator<Item = &'a [u8]> {
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|tag| !tag.is_empty())
}

/// Whether `If-None-Match` names the tag.
pub(super) fn is_named<'a>(values: impl Iterator<Item = &'a HeaderValue>, etag: &[u8]) -> bool {
    listed(values).any(|tag| tag == b"*" || mean_the_same(tag, etag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_that_a_proxy_marked_is_still_the_tag() {
        for tag in [
            r#""0af1""#,
            r#"W/"0af1""#,
            r#""0af1-gzip""#,
            r#"W/"0af1-br""#,
            r#""0af1--gzip""#,
        ] {
            assert!(mean_the_same(tag.as_bytes(), br#""0af1""#), "{tag}");
        }
        for tag in [
            r#""0af""#,
            r#""0af1-""#,
            "0af1",
            "",
            "W/",
            r#"w/"0af1""#,
            r#"W/W/"0af1""#,
            "*",
        ] {
            assert!(!mean_the_same(tag.as_bytes(), br#""0af1""#), "{tag}");
        }
    }

    #[test]
    fn a_list_names_each_of_its_tags() {
        let values = [
            HeaderValue::from_static(r#" "one" , W/"two""#),
            HeaderValue::from_static(","),
        ];
        assert!(is_named(values.iter(), br#""two""#) && is_named(values.iter(), br#""one""#));
        assert!(!is_named(values.iter(), br#""three""#));
        assert!(is_named([HeaderValue::from_static("*")].iter(), br#""three""#));
    }
}
