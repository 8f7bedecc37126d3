//! The message's text: one segment, with what lets browsers and phones fill the code in.

use crate::model::Platform;

/// UCS-2 units of one segment: Cyrillic texts are charged by these.
const SEGMENT: usize = 70;

/// Makes texts.
pub(super) struct Texts {
    brand: Option<String>,
    host: String,
    android_hash: Option<String>,
}

impl Texts {
    pub fn new(brand: Option<&str>, host: &str, android_hash: Option<&str>) -> Self {
        Self {
            brand: brand.map(str::to_owned),
            host: host.to_owned(),
            android_hash: android_hash.map(str::to_owned),
        }
    }

    /// The text for `code`. What does not fit into one segment is left out, least needed first: advice, brand, the line with the host.
    ///
    /// The last line is what browsers and iOS fill the code in by; on Android the app's hash ends it, where the SMS Retriever looks.
    pub fn text(&self, code: &str, platform: Platform, language: &str) -> String {
        let (word, first, advice) = if language == "en" {
            ("code", "Code", "Tell it to nobody.")
        } else {
            ("код", "Код", "Никому его не говорите.")
        };
        let plain = format!("{first} {code}");
        let branded = self.brand.as_ref().map(|brand| format!("{brand}: {word} {code}"));
        let hash = self.android_hash.as_ref().filter(|_| platform == Platform::Android);
        let line = format!("\n@{} #{code}", self.host);
        let endings = [
            hash.map_or_else(|| line.clone(), |hash| format!("{line} {hash}")),
            hash.map_or_else(String::new, |hash| format!("\n{hash}")),
        ];
        let heads = [
            branded.as_ref().map(|head| format!("{head}. {advice}")),
            branded,
            Some(format!("{plain}. {advice}")),
            Some(plain.clone()),
        ];
        let heads = || heads.iter().flatten();
        let mut whole = endings
            .iter()
            .flat_map(|ending| heads().map(move |head| format!("{head}{ending}")));
        whole.find(|text| units(text) <= SEGMENT).unwrap_or(plain)
    }
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_one_segment_and_ends_as_its_platform_needs() {
        let longest = "a-very-long-name-of-a-restaurant.with-a-long-domain.example.ru";
        for host in ["lk.example.ru", longest] {
            for brand in [
                None,
                Some("Трапеза"),
                Some("🍕🍕🍕🍕🍕🍕🍕🍕🍕🍕"),
                Some("Ресторан с очень длинным названием на Мясницкой улице"),
            ] {
                let texts = Texts::new(brand, host, Some("FA+9qCX9VSu"));
                for platform in [Platform::Web, Platform::Ios, Platform::Android] {
                    for language in ["ru", "en"] {
                        let text = texts.text("012345", platform, language);
                        assert!(units(&text) <= SEGMENT, "{text}");
                        assert!(text.contains("012345"));
                        let ending = match (platform, host == longest) {
                            (Platform::Android, true) => "\nFA+9qCX9VSu",
                            (Platform::Android, false) => "\n@lk.example.ru #012345 FA+9qCX9VSu",
                            (_, true) => "012345",
                            (_, false) => "\n@lk.example.ru #012345",
                        };
                        let advised = text.ends_with('.') && host == longest;
                        assert!(advised || text.ends_with(ending), "{text}");
                    }
                }
            }
        }
        let texts = Texts::new(Some("Трапеза"), "lk.example.ru", None);
        assert_eq!(
            texts.text("123456", Platform::Web, "ru"),
            "Трапеза: код 123456. Никому его не говорите.\n@lk.example.ru #123456"
        );
    }
    #[test]
    fn the_longest_host_still_leaves_room_for_the_line_and_emoji_count_twice() {
        // `Код 012345`, a line break, `@`, the host, ` #012345`: all of the segment.
        let host = format!("{}.ru", "a".repeat(SEGMENT - 10 - 2 - 8 - 3));
        let fits = Texts::new(None, &host, None).text("012345", Platform::Web, "ru");
        assert_eq!((units(&fits), fits.contains(&host)), (SEGMENT, true), "{fits}");
        let longer = Texts::new(None, &format!("a{host}"), None).text("012345", Platform::Web, "ru");
        assert!(!longer.contains(&host) && longer.starts_with("Код 012345"), "{longer}");
        assert_eq!(units("🍕"), 2);
    }
}
