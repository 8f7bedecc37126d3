//! The text of a body, whatever character set it is in.

use bytes::Bytes;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1251};

/// A body as UTF-8: read by its declared set, else by its mark, else as UTF-8, else as windows-1251 where that reads cleanly. A body that is
/// none of these stays as it is.
pub(in crate::probonus) fn to_utf8(body: Bytes, content_type: Option<&str>) -> Bytes {
    let marked = Encoding::for_bom(&body);
    let declared = content_type.and_then(charset_of).filter(|declared| *declared != UTF_8);
    if let Some(text) = declared.and_then(|declared| cleanly(&body, declared)) {
        return text.into();
    }
    if let Some((marked, length)) = marked {
        let text = cleanly(&body[length..], marked);
        return text.map_or(body, Bytes::from);
    }
    if std::str::from_utf8(&body).is_ok() && !body.contains(&0) {
        return body;
    }
    let guess = match body.as_ref() {
        // JSON begins with a character of ASCII.
        [0, first, ..] if *first != 0 => UTF_16BE,
        [first, 0, ..] if *first != 0 => UTF_16LE,
        _ => WINDOWS_1251,
    };
    cleanly(&body, guess).map_or(body, Bytes::from)
}

/// The set that a content type declares, by any of its names.
fn charset_of(content_type: &str) -> Option<&'static Encoding> {
    let parameters = content_type.split(';').skip(1);
    let mut named = parameters.filter_map(|parameter| parameter.split_once('='));
    let (_, label) = named.find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))?;
    Encoding::for_label(label.trim().trim_matches(['"', '\'']).as_bytes())
}

/// The text, when nothing in it is malformed or a control character that no text has.
fn cleanly(body: &[u8], encoding: &'static Encoding) -> Option<String> {
    let (text, _, malformed) = encoding.decode(body);
    let clean = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    (!malformed && text.chars().all(clean)).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "{\"name\": \"Анна\"}";

    fn utf16(mark: bool, big: bool) -> Vec<u8> {
        let units = mark.then_some(0xfeff).into_iter().chain(TEXT.encode_utf16());
        let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
        units.flat_map(bytes).collect()
    }

    fn read(body: &[u8], content_type: Option<&str>) -> Bytes {
        to_utf8(Bytes::copy_from_slice(body), content_type)
    }

    #[test]
    fn every_usual_set_is_read_declared_or_not() {
        let (cp1251, _, _) = WINDOWS_1251.encode(TEXT);
        for content_type in [
            None,
            Some("application/json"),
            Some("application/json; charset=utf-8"),
            Some("text/plain; charset=\"windows-1251\""),
            Some("text/html; Charset=CP1251"),
            Some("application/json; charset=nonsense"),
        ] {
            assert_eq!(read(&cp1251, content_type), TEXT, "{content_type:?}");
        }
        for content_type in [None, Some("application/json"), Some("application/json; charset=utf8")] {
            assert_eq!(read(TEXT.as_bytes(), content_type), TEXT, "{content_type:?}");
            assert_eq!(
                read(format!("\u{feff}{TEXT}").as_bytes(), content_type),
                TEXT,
                "{content_type:?}"
            );
            for (mark, big) in [(true, false), (true, true), (false, false), (false, true)] {
                assert_eq!(
                    read(&utf16(mark, big), content_type),
                    TEXT,
                    "{content_type:?} {mark} {big}"
                );
            }
        }
        assert_eq!(
            read(&utf16(false, false), Some("application/json; charset=utf-16")),
            TEXT
        );
        let (koi8, _, _) = Encoding::for_label(b"koi8-r").expect("known").encode(TEXT);
        assert_eq!(read(&koi8, Some("application/json; charset=koi8-r")), TEXT);
    }

    #[test]
    fn what_is_no_text_stays_as_it_is() {
        for body in [&b"\x98\xff\x00\x01"[..], b"\xff\xfe\x00", b"", b"\x1f\x8b\x08"] {
            assert_eq!(read(body, None), body);
        }
    }
}
