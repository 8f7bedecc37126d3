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

    /// The text for `code`. What does not fit into one segment is left out, least needed first: advice, brand, the filling line.
    pub fn text(&self, code: &str, platform: Platform, language: &str) -> String {
        let (word, first, advice) = if language == "en" {
            ("code", "Code", "Tell it to nobody.")
        } else {
            ("код", "Код", "Никому его не говорите.")
        };
        let plain = format!("{first} {code}");
        let branded = self.brand.as_ref().map(|brand| format!("{brand}: {word} {code}"));
        let ending = match platform {
            Platform::Web => Some(format!("\n@{} #{code}", self.host)),
            Platform::Android => self.android_hash.as_ref().map(|hash| format!("\n{hash}")),
            Platform::Ios => None,
        };
        let ending = ending.unwrap_or_default();
        let heads = [
            branded.as_ref().map(|head| format!("{head}. {advice}")),
            branded,
            Some(format!("{plain}. {advice}")),
            Some(plain.clone()),
        ];
        let mut whole = heads.into_iter().flatten().map(|head| format!("{head}{ending}"));
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
        for host in [
            "lk.example.ru",
            "a-very-long-name-of-a-restaurant.with-a-long-domain.example.ru",
        ] {
            for brand in [
                None,
                Some("Трапеза"),
                Some("Ресторан с очень длинным названием на Мясницкой улице"),
            ] {
                let texts = Texts::new(brand, host, Some("FA+9qCX9VSu"));
                for platform in [Platform::Web, Platform::Ios, Platform::Android] {
                    for language in ["ru", "en"] {
                        let text = texts.text("012345", platform, language);
                        assert!(units(&text) <= SEGMENT, "{text}");
                        assert!(text.contains("012345"));
                        match platform {
                            Platform::Web if host.len() < 20 => {
                                assert!(text.ends_with("\n@lk.example.ru #012345"), "{text}");
                            }
                            Platform::Android => assert!(text.ends_with("\nFA+9qCX9VSu"), "{text}"),
                            _ => {}
                        }
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
}
