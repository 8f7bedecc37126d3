//! What ProBonus says when it refuses a request: for the operator's log, with nobody's data in it.

use serde_json::Value;

use super::arguments::Arguments;

/// Longest text that is logged, in characters.
const LONGEST: usize = 200;

/// The text of a refusal, in which only plain words are left. A word with a digit, a sign or a capital in it may be a phone, an address, a
/// token or a name, and so may whatever was sent: `…` stands for them.
pub(super) fn complaint(body: &[u8], sent: &Arguments) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let text = text_of(&body).or_else(|| text_of(body.get("error")?))?;
    let sent: Vec<String> = sent
        .texts()
        .flat_map(|(_, value)| value.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>())
        .collect();
    let plain = |word: &&str| {
        let bare = word.trim_matches(|c: char| c.is_ascii_punctuation() && c != '@');
        !bare.is_empty()
            && bare.chars().count() <= 24
            && bare.chars().all(|c| c.is_alphabetic() && !c.is_uppercase())
            && !sent.iter().any(|value| value == bare)
    };
    let words: Vec<&str> = text
        .split_whitespace()
        .map(|word| Some(word).filter(plain).unwrap_or("…"))
        .collect();
    Some(words.join(" ").chars().take(LONGEST).collect())
}

fn text_of(object: &Value) -> Option<&str> {
    let names = ["message", "error", "title", "detail"];
    names.iter().find_map(|name| object.get(name)?.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(body: &str) -> Option<String> {
        let sent = Arguments::default()
            .text("phone", "79160000001")
            .text("lastName", "смирнова");
        complaint(body.as_bytes(), &sent)
    }

    #[test]
    fn words_are_kept_and_whatever_may_be_somebodys_is_not() {
        for (body, text) in [
            (r#"{"message": "Номер занят"}"#, Some("… занят")),
            (r#"{"title": "bad request", "detail": "x"}"#, Some("bad request")),
            (
                r#"{"error": {"message": "phone 79160000001 is taken"}}"#,
                Some("phone … is taken"),
            ),
            (
                r#"{"detail": "гость Анна смирнова, anna@example.ru, +7 916: token abc-def9 Secret"}"#,
                Some("гость … … … … … token … …"),
            ),
            (r#"{"code": 5}"#, None),
            ("<html>", None),
            ("", None),
        ] {
            assert_eq!(said(body).as_deref(), text, "{body}");
        }
        let long = said(&format!(r#"{{"message": "{}"}}"#, "слово ".repeat(100))).expect("a text");
        assert_eq!(long.chars().count(), LONGEST);
    }
}
