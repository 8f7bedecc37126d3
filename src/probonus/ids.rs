//! Ids go back to ProBonus as they came, as numbers or as texts: some servers take `"5012"` for no number and 5012 for no text.

use std::sync::atomic::{AtomicBool, Ordering};

use super::json::Json;

/// How this ProBonus writes ids that are digits alone; as numbers until it shows otherwise.
#[derive(Default)]
pub(super) struct IdForm {
    texts: AtomicBool,
}

impl IdForm {
    /// Looks at the id of an account.
    pub fn learn(&self, account: Json) {
        let id = account.single().and_then(Json::object);
        if let Some(id) = id.ok().and_then(|account| account.told(&["id", "accountId"])) {
            self.texts.store(id.is_text(), Ordering::Relaxed);
        }
    }

    /// The number that `id` goes back as; `None`: as text.
    pub fn number(&self, id: &str) -> Option<i64> {
        let plain = id == "0" || (!id.starts_with('0') && id.bytes().all(|b| b.is_ascii_digit()));
        id.parse().ok().filter(|_| plain && !self.texts.load(Ordering::Relaxed))
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
        for text in ["007", "-5", "+5", "5.0", "99999999999999999999", "a7", ""] {
            assert_eq!(form.number(text), None, "{text}");
        }
    }
}
