//! What can be an e-mail address.

use super::text::{is_combining, is_shown};

/// The longest local part, domain and label that mail servers take, in bytes as they go over the wire (RFC 5321, RFC 1035).
const MAX_LOCAL: usize = 64;
const MAX_DOMAIN: usize = 253;
const MAX_LABEL: usize = 63;

/// Whether `text` can be an address: a name, one `@`, a domain with a dot, nothing that nobody sees and nothing too long for the wire.
#[must_use]
pub fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let dotted = local.split('.').all(|atom| !atom.is_empty());
    dotted && local.len() <= MAX_LOCAL && local.chars().all(stands_in_a_local_part) && is_domain(domain)
}

fn stands_in_a_local_part(c: char) -> bool {
    (is_shown(c) || is_combining(c)) && !"@,;:<>()[]\"\\".contains(c)
}

/// A name out of letters, digits and hyphens whose last label is no number; beyond ASCII it is measured as it goes over the wire.
fn is_domain(text: &str) -> bool {
    let stands = |c: char| c == '-' || c == '.' || is_combining(c) || (c.is_alphanumeric() && is_shown(c));
    if !text.contains('.') || !text.chars().all(stands) {
        return false;
    }
    let Ok(url::Host::Domain(wire)) = url::Host::parse(text) else {
        return false;
    };
    let is_label =
        |label: &str| (1..=MAX_LABEL).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-');
    wire.len() <= MAX_DOMAIN && wire.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::is_email;

    #[test]
    fn addresses_are_told_from_what_is_none() {
        let label = "x".repeat(63);
        let longest = format!("{}@{label}.{label}.{label}.ru", "a".repeat(57));
        for good in [
            "anna@example.ru",
            "a.b+c@mail.example.com",
            "анна@почта.рф",
            "anna@xn--80a1acny.xn--p1ai",
            &format!("{}@example.ru", "a".repeat(64)),
            &format!("anna@{label}.ru"),
            &longest,
        ] {
            assert!(is_email(good), "{good}");
        }
        for long in [
            format!("{}@example.ru", "a".repeat(65)),
            // 33 letters of two bytes each.
            format!("{}@example.ru", "я".repeat(33)),
            format!("anna@{label}x.ru"),
            // As it goes over the wire, a label of 40 Cyrillic letters is longer than 63.
            format!("anna@{}.рф", "абвгдежзиклмнопрстуф".repeat(3)),
            format!("anna@{label}.{label}.{label}.{label}.ru"),
        ] {
            assert!(!is_email(&long), "{long}");
        }
        for wrong in [
            "",
            "a",
            "@b.c",
            "a@b",
            "a@@b.c",
            "a b@c.d",
            "a@b..c",
            "a@-b.c",
            "a@b.c,d@e.f",
            "<a@b.c>",
            "an\u{200b}na@example.ru",
            "anna@exa\u{200b}mple.ru",
            "anna@example.ru\u{200e}",
            "\u{feff}anna@example.ru",
            "an\u{ad}na@example.ru",
            "an\u{3164}na@example.ru",
            ".anna@example.ru",
            "anna.@example.ru",
            "an..na@example.ru",
            "anna@example.123",
            "anna@192.168.0.1",
            "anna@exam_ple.ru",
        ] {
            assert!(!is_email(wrong), "{wrong}");
        }
    }
}
