//! `Accept-Language`: Russian by default, English when asked for.

use http::{HeaderMap, header};

/// The languages people are spoken to in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// Russian.
    #[default]
    Ru,
    /// English.
    En,
}

impl Language {
    /// The one of the two that the caller likes better.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let Some(text) = headers
            .get(header::ACCEPT_LANGUAGE)
            .and_then(|value| value.to_str().ok())
        else {
            return Self::Ru;
        };
        let mut best = (0, Self::Ru);
        for range in text.split(',').take(20) {
            let mut parts = range.split(';').map(str::trim);
            let tag = parts.next().unwrap_or_default().to_ascii_lowercase();
            let language = match tag.split('-').next() {
                Some("ru") => Self::Ru,
                Some("en") => Self::En,
                _ => continue,
            };
            let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1000, thousandths);
            if quality > best.0 {
                best = (quality, language);
            }
        }
        best.1
    }

    /// The tag.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::Ru => "ru",
            Self::En => "en",
        }
    }
}

/// `0.8` as 800; what cannot be read counts as nothing.
fn thousandths(text: &str) -> u32 {
    match text.split_once('.') {
        None => text.parse::<u32>().map_or(0, |whole| whole.min(1) * 1000),
        Some(("1", _)) => 1000,
        Some((_, fraction)) => format!("{fraction:0<3}")
            .get(..3)
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_liked_language_wins_and_russian_is_the_default() {
        let of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, text.parse().expect("a header value"));
            Language::of(&headers)
        };
        assert_eq!(Language::of(&HeaderMap::new()), Language::Ru);
        assert_eq!(of("en-GB,en;q=0.9,ru;q=0.8"), Language::En);
        assert_eq!(of("ru-RU,ru;q=0.9,en;q=0.8"), Language::Ru);
        assert_eq!(of("de;q=1, en;q=0.5"), Language::En);
        assert_eq!(of("fr, en;q=0"), Language::Ru);
        assert_eq!(of(";;;=,,"), Language::Ru);
    }
}
