//! Ids go back to ProBonus as they came, as numbers or as texts: some servers take `"5012"` for no number and 5012 for no text.

use std::sync::atomic::{AtomicU8, Ordering};

use super::decode::Json;

const UNTOLD: u8 = 0;
const NUMBERS: u8 = 1;
const TEXTS: u8 = 2;

/// How this ProBonus writes ids that are digits alone; as numbers until it shows otherwise.
#[derive(Default)]
pub(super) struct IdForm(AtomicU8);

impl IdForm {
    /// Looks at the id of an account.
    pub fn learn(&self, account: Json) {
        let id = account.single().and_then(Json::object);
        if let Some(id) = id.ok().and_then(|account| account.told(&["id", "accountId"])) {
            self.take(id);
        }
    }

    /// Looks at whose a movement is; an account says it better.
    pub fn learn_from_movement(&self, movement: Json) {
        let owner = movement
            .object()
            .ok()
            .and_then(|movement| movement.told(&["accountId"]));
        if let Some(owner) = owner.filter(|_| self.is_untold()) {
            self.take(owner);
        }
    }

    /// Whether ProBonus has shown no id yet, and a number or a text would be a guess for this one.
    pub fn is_guess(&self, id: &str) -> bool {
        self.is_untold() && self.number(id).is_some()
    }

    fn is_untold(&self) -> bool {
        self.0.load(Ordering::Relaxed) == UNTOLD
    }

    fn take(&self, id: Json) {
        self.0
            .store(if id.is_text() { TEXTS } else { NUMBERS }, Ordering::Relaxed);
    }

    /// The number that `id` goes back as; `None`: as text.
    pub fn number(&self, id: &str) -> Option<i64> {
        let plain = id == "0" || (!id.starts_with('0') && id.bytes().all(|b| b.is_ascii_digit()));
        id.parse()
            .ok()
            .filter(|_| plain && self.0.load(Ordering::Relaxed) != TEXTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_goes_back_as_it_came() {
        let form = IdForm::default();
        let learn = |text: &str| form.learn(Json::parse(text.as_bytes()).expect("JSON"));
        assert_eq!(form.number("5012"), Some(5012));
        learn(r#"[{"accountId": "5012"}]"#);
        assert_eq!(form.number("5012"), None);
        learn(r#"{"name": "Анна"}"#);
        assert_eq!(form.number("5012"), None, "nothing was told of ids");
        learn(r#"{"id": 5012}"#);
        assert_eq!((form.number("5012"), form.number("0")), (Some(5012), Some(0)));
        let heard = IdForm::default();
        let overhear = |text: &str| heard.learn_from_movement(Json::parse(text.as_bytes()).expect("JSON"));
        overhear(r#"{"id": 1}"#);
        assert!(heard.is_guess("5012") && !heard.is_guess("a7"));
        overhear(r#"{"id": 1, "accountId": "5012"}"#);
        assert_eq!((heard.number("5012"), heard.is_guess("5012")), (None, false));
        overhear(r#"{"id": 1, "accountId": 5012}"#);
        assert_eq!(heard.number("5012"), None, "it was told");
        for text in ["007", "-5", "+5", "5.0", "99999999999999999999", "a7", ""] {
            assert_eq!(form.number(text), None, "{text}");
        }
    }
}
