//! Phone numbers: one spelling inside (E.164), many outside, and only those a code can be brought to.

use std::sync::Arc;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, PhoneNumberType, Region};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use super::text::without_blanks;

/// A mobile number in E.164, `+79160000001`. `Debug` and [`Phone::masked`] hide it; only [`Phone::e164`] tells.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Phone(Arc<str>);

/// Which numbers may sign in.
#[derive(Clone, Debug)]
pub struct PhonePolicy {
    /// Regions by their two letters, the first being the one that a number without a country code belongs to.
    pub countries: Vec<String>,
}

impl Default for PhonePolicy {
    fn default() -> Self {
        Self {
            countries: vec!["RU".into()],
        }
    }
}

/// Why a text is not a phone that can sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhoneRefused {
    /// Not a telephone number at all.
    #[error("not a phone number")]
    Malformed,
    /// A number, but not a mobile one of the allowed countries.
    #[error("this kind of number is not supported")]
    NotSupported,
}

/// Longer than any spelling of a phone, in characters: as it is pasted, and of what of it is seen.
const MAX_PASTED: usize = 64;
const MAX_SEEN: usize = 32;

/// +7 954 is satellite telephony, which the numbering tables count among mobile numbers.
const SATELLITE: u64 = 954;

impl Phone {
    /// Reads any usual spelling of an allowed mobile number.
    ///
    /// # Errors
    /// [`PhoneRefused`], decided without any call.
    pub fn parse(text: &str, policy: &PhonePolicy) -> Result<Self, PhoneRefused> {
        let home = policy.countries.first().map_or("RU", String::as_str);
        let seen = seen_of(text).ok_or(PhoneRefused::Malformed)?;
        let spelled = spelled_for_home(&seen, home).ok_or(PhoneRefused::Malformed)?;
        let number = PHONE_NUMBER_UTIL
            .parse(&spelled, Region::try_from(home).ok())
            .map_err(|_| PhoneRefused::Malformed)?;
        if number.extension.is_some() {
            return Err(PhoneRefused::NotSupported);
        }
        if !PHONE_NUMBER_UTIL.is_valid_number(&number) {
            return Err(PhoneRefused::NotSupported);
        }
        let region = PHONE_NUMBER_UTIL.get_region_for_number(&number);
        let allowed = region.is_some_and(|region| {
            policy
                .countries
                .iter()
                .any(|country| Region::try_from(country.as_str()).is_ok_and(|allowed| allowed == region))
        });
        let mobile = matches!(
            PHONE_NUMBER_UTIL.get_number_type(&number),
            PhoneNumberType::Mobile | PhoneNumberType::FixedLineOrMobile
        );
        let satellite = number.country_code == 7 && number.national_number / 10_000_000 == SATELLITE;
        if !allowed || !mobile || satellite {
            return Err(PhoneRefused::NotSupported);
        }
        Ok(Self(
            PHONE_NUMBER_UTIL
                .format(&number, PhoneNumberFormat::E164)
                .as_ref()
                .into(),
        ))
    }

    /// Takes back what [`Phone::e164`] gave, from a sealed copy.
    #[must_use]
    pub fn from_e164(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('+')?;
        let sane = (8..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        sane.then(|| Self(text.into()))
    }

    /// `+79160000001`. For gateways, ProBonus and the guest's own profile only.
    #[must_use]
    pub fn e164(&self) -> &str {
        &self.0
    }

    /// `79160000001`.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.0[1..]
    }

    /// `+7 916 ***-**-01`: the country and operator code and the last two digits.
    #[must_use]
    pub fn masked(&self) -> String {
        let digits = self.digits();
        let end = &digits[digits.len() - 2..];
        match digits.strip_prefix('7').filter(|rest| rest.len() == 10) {
            Some(national) => format!("+7 {} ***-**-{end}", &national[..3]),
            None => format!("+{}***{end}", &digits[..2]),
        }
    }
}

impl std::fmt::Debug for Phone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Phone(…{})", &self.0[self.0.len() - 2..])
    }
}

/// What of a pasted text is seen: without the blanks, the invisible marks and the `tel:` that address books, messengers and links put
/// around a number. `None`: something else than digits and what usually stands between them.
fn seen_of(text: &str) -> Option<String> {
    // A number is refused by its length before anything is made of it.
    if text.len() > MAX_PASTED * 4 || text.chars().count() > MAX_PASTED {
        return None;
    }
    let seen = without_blanks(text);
    let number = match seen.get(..4) {
        Some(scheme) if scheme.eq_ignore_ascii_case("tel:") => seen[4..].trim_start_matches('/'),
        _ => &seen,
    };
    let number: String = number.chars().map(|c| if is_plus(c) { '+' } else { c }).collect();
    (number.chars().count() <= MAX_SEEN && number.chars().all(usual_in_a_phone)).then_some(number)
}

/// A plus, also as East Asian keyboards write it.
fn is_plus(c: char) -> bool {
    matches!(c, '+' | '\u{fe62}' | '\u{ff0b}')
}

/// Digits of other scripts are none of these: whoever reads such a number aloud may read another one.
fn usual_in_a_phone(c: char) -> bool {
    c.is_ascii_digit()
        || matches!(c, '+' | '(' | ')' | '.' | '\u{2212}' | '\u{ff08}' | '\u{ff09}')
        || c.general_category() == GeneralCategory::DashPunctuation
}

/// In Russia a number is also written `8 916 …`, `7 916 …` and bare `916 …`; the first two name the country without a plus. `None`: a plus
/// stands elsewhere than once before all digits.
fn spelled_for_home(text: &str, home: &str) -> Option<String> {
    let (before, national) = text.split_once('+').unwrap_or(("", text));
    if national.contains('+') || before.chars().any(|c| c.is_ascii_digit()) {
        return None;
    }
    let has_plus = national.len() < text.len();
    let digits: String = national.chars().filter(char::is_ascii_digit).collect();
    Some(match (home, digits.len(), digits.as_bytes().first(), has_plus) {
        ("RU", 11, Some(b'7' | b'8'), false) => format!("+7{}", &digits[1..]),
        (_, _, _, true) => format!("+{digits}"),
        _ => digits,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_spelling_becomes_one() {
        for text in [
            "+79160000001",
            "89160000001",
            "79160000001",
            "9160000001",
            "+7 (916) 000-00-01",
            "8 (916) 000 00 01",
            "+7-916-000-00-01",
            "(+7) 916 000 \u{2212} 00 \u{2212} 01",
            "8.916.000.00.01",
            "\u{a0}+7\u{a0}916\u{a0}000–00–01 ",
        ] {
            let phone = Phone::parse(text, &PhonePolicy::default());
            assert_eq!(phone.as_ref().map(Phone::e164), Ok("+79160000001"), "{text:?}");
        }
    }

    #[test]
    fn what_address_books_and_messengers_leave_around_a_number_is_passed_over() {
        for text in [
            "\u{202a}+7 916 000-00-01\u{202c}",
            "\u{2066}+7\u{200b}916\u{2060}000\u{ad}00\u{feff}01\u{2069}",
            "\u{200e}8 916 000-00-01\u{200f}",
            "\t+7 916\u{2007}000\u{3000}00\u{2003}01\r\n",
            "\u{ff0b}7 916 000-00-01",
            "\u{fe62}7\u{ff08}916\u{ff09}000\u{ff0d}00\u{ff0d}01",
            "tel:+7-916-000-00-01",
            "\u{200e}TEL: 8(916)000-00-01",
            "tel://+79160000001",
            "+\u{2066}7\u{2069} 916 000\u{fe63}00\u{fe58}01",
        ] {
            let phone = Phone::parse(text, &PhonePolicy::default());
            assert_eq!(phone.as_ref().map(Phone::e164), Ok("+79160000001"), "{text:?}");
        }
    }

    #[test]
    fn numbers_that_cannot_get_a_code_are_refused() {
        for text in [
            "",
            "+",
            "abc",
            "+7916000000",
            "+791600000011",
            "+7 916 000-00-01 доб. 5",
            "9160000001;ext=5",
            "+7916000000a",
            "++79160000001",
            "+7+9160000001",
            "79160000001+",
            "９１６００００００１",
            "+7 916 000-00-0\u{0661}",
            "+7 916 000-00-0\u{00b9}",
            "+7 916 000-00-01\u{301}",
            "+7 916 000-00-01\u{fe0f}\u{20e3}",
            "tel:",
            "tel:tel:+79160000001",
            "phone:+79160000001",
            "tel:+7-916-000-00-01;ext=5",
            "tel:+7-916-000-00-01;phone-context=ru",
            "+79160000001\n+79160000002",
            "\u{200b}",
            "+7 495 000-00-01",
            "8 800 555-35-35",
            "+7 701 000 00 01",
            "+7 771 000 00 01",
            "+7 954 000-00-01",
            "+375 29 000 00 01",
            "+1 212 555 0100",
            "8 809 000-00-01",
            "+881 6 000 00001",
            "112",
            "+79160000001\n\0",
        ] {
            assert!(Phone::parse(text, &PhonePolicy::default()).is_err(), "{text:?}");
        }
        assert!(Phone::parse(&"9".repeat(10_240), &PhonePolicy::default()).is_err());
    }

    #[test]
    fn other_countries_come_by_configuration() {
        let policy = PhonePolicy {
            countries: vec!["RU".into(), "KZ".into(), "BY".into()],
        };
        assert_eq!(
            Phone::parse("+7 701 000 00 01", &policy).as_ref().map(Phone::e164),
            Ok("+77010000001")
        );
        for text in ["+375 29 600-00-01", "(+375 29) 600-00-01"] {
            let phone = Phone::parse(text, &policy);
            assert_eq!(phone.as_ref().map(Phone::e164), Ok("+375296000001"), "{text}");
        }
    }

    #[test]
    fn nothing_but_its_ends_shows() {
        let phone = Phone::parse("+79160000001", &PhonePolicy::default()).expect("a mobile number");
        assert_eq!(phone.masked(), "+7 916 ***-**-01");
        assert_eq!(format!("{phone:?}"), "Phone(…01)");
    }
}
