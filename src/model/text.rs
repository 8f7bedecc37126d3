//! Text as people type and paste it: blanks of every kind, marks that no screen shows, letters put together out of parts.
//!
//! Owns what such text means to us; knows no field and no rule about one.

use unicode_normalization::{UnicodeNormalization, is_nfc};
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// Shown as nothing, although their categories are those of letters and symbols: the Hangul fillers and the empty Braille pattern.
const BLANK_SYMBOLS: [char; 5] = ['\u{115f}', '\u{1160}', '\u{2800}', '\u{3164}', '\u{ffa0}'];

/// Between two letters these two decide how they are joined, in Persian for example; everywhere else they are as useless as the others.
const JOINERS: [char; 2] = ['\u{200c}', '\u{200d}'];

/// Whether `c` is a mark that only steers how text is laid out (general category Cf): directions, zero widths, soft hyphens, byte order
/// marks. Address books and messengers leave them around what is copied.
#[must_use]
pub fn is_invisible_mark(c: char) -> bool {
    c.general_category() == GeneralCategory::Format
}

/// The text without any blank and any invisible mark.
#[must_use]
pub fn without_blanks(text: &str) -> String {
    let dropped = |c: &char| c.is_whitespace() || is_invisible_mark(*c);
    text.chars().filter(|c| !dropped(c)).collect()
}

/// The text with its letters in their composed form (NFC).
#[must_use]
pub fn nfc(text: &str) -> String {
    if is_nfc(text) {
        text.to_owned()
    } else {
        text.nfc().collect()
    }
}

/// A name as it is kept: letters in their composed form (NFC), no invisible marks in it, nothing but the name at its ends.
#[must_use]
pub fn composed(text: &str) -> String {
    let kept = text.chars().filter(|c| JOINERS.contains(c) || !is_invisible_mark(*c));
    let kept = nfc(&kept.collect::<String>());
    kept.trim_matches(|c: char| c.is_whitespace() || is_invisible_mark(c))
        .to_owned()
}

/// Whether a reader sees anything of the text. Combining marks alone are put over nothing.
#[must_use]
pub fn has_visible(text: &str) -> bool {
    text.chars().any(is_shown)
}

/// Whether `c` is shown by itself: a letter, a digit, a sign.
#[must_use]
pub fn is_shown(c: char) -> bool {
    let shown = matches!(
        c.general_category_group(),
        GeneralCategoryGroup::Letter
            | GeneralCategoryGroup::Number
            | GeneralCategoryGroup::Punctuation
            | GeneralCategoryGroup::Symbol
    );
    shown && !BLANK_SYMBOLS.contains(&c)
}

/// Whether `c` is shown together with what stands before it: an accent, a vowel sign. Variation selectors and the like are not shown.
#[must_use]
pub fn is_combining(c: char) -> bool {
    let unseen = matches!(
        c,
        '\u{34f}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}'
    );
    c.general_category_group() == GeneralCategoryGroup::Mark && !unseen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decomposed_name_becomes_the_composed_one() {
        assert_eq!(composed("Андреи\u{306}"), "Андрей");
        assert_eq!(composed("\u{feff} Зое\u{308}\u{200b}\u{202c}\n"), "Зоё");
        assert_eq!(composed("а\u{ad}б"), "аб");
        assert_eq!(composed("می\u{200c}خواهم\u{200d}"), "می\u{200c}خواهم");
        // Marks kept apart by an invisible one come together before they are composed.
        assert_eq!(composed("и\u{200b}\u{306}"), "й");
    }

    #[test]
    fn what_nobody_sees_is_not_visible() {
        for unseen in [
            "",
            " \t\u{a0}",
            "\u{200b}",
            "\u{3164}",
            "\u{2800}",
            "\u{301}\u{308}",
            "\u{ffa0}\u{115f}",
            "\u{e000}",
            "\u{fe0f}",
        ] {
            assert!(!has_visible(unseen), "{unseen:?}");
        }
        for seen in ["Я", "李", "5", "-", "е\u{301}", "🙂"] {
            assert!(has_visible(seen), "{seen:?}");
        }
    }
}
