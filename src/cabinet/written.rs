//! What a guest has just written: ProBonus took it, and may take a moment to show it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::{Account, AccountId, ProfileEdit};

/// How long it may take (µs). What it does not show by then it has made something else of.
pub(super) const WINDOW_US: i64 = 10_000_000;

/// The last write of one guest; nothing most of the time.
#[derive(Default)]
pub(super) struct Written(Mutex<Option<Box<Write>>>);

struct Write {
    until_us: i64,
    /// Of another account nothing was written.
    account: AccountId,
    what: What,
}

#[expect(clippy::large_enum_variant, reason = "there is one, and it is in a box")]
enum What {
    SignedUp(Account),
    Edited(ProfileEdit),
}

impl Written {
    fn last(&self) -> MutexGuard<'_, Option<Box<Write>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// ProBonus made this account.
    pub fn signed_up(&self, account: Account, now_us: i64) {
        let write = Write {
            until_us: now_us + WINDOW_US,
            account: account.id.clone(),
            what: What::SignedUp(account),
        };
        *self.last() = Some(Box::new(write));
    }

    /// ProBonus took this edit of the account, on top of what it does not show yet.
    pub fn edited(&self, account: &AccountId, edit: &ProfileEdit, now_us: i64) {
        let mut last = self.last();
        let what = match last
            .take()
            .filter(|write| now_us < write.until_us && write.account == *account)
            .map(|write| write.what)
        {
            Some(What::SignedUp(account)) => What::SignedUp(edit.applied_to_account(account)),
            Some(What::Edited(earlier)) => What::Edited(earlier.followed_by(edit)),
            None => What::Edited(edit.clone()),
        };
        let write = Write {
            until_us: now_us + WINDOW_US,
            account: account.clone(),
            what,
        };
        *last = Some(Box::new(write));
    }

    /// What ProBonus tells, with the write in it. Once it is seen there, ProBonus' word is all that counts again.
    pub fn shown_in(&self, told: Option<Account>, now_us: i64) -> Option<Account> {
        let mut written = self.last();
        let shown = match (written.as_deref(), told) {
            (Some(write), told) if now_us >= write.until_us => told,
            (Some(write), Some(told)) if write.account != told.id => Some(told),
            (
                Some(Write {
                    what: What::SignedUp(account),
                    ..
                }),
                None,
            ) => return Some(account.clone()),
            (
                Some(Write {
                    what: What::Edited(edit),
                    ..
                }),
                Some(told),
            ) => {
                let shown = edit.applied_to_account(told.clone());
                if shown != told {
                    return Some(shown);
                }
                Some(told)
            }
            (_, told) => told,
        };
        *written = None;
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> AccountId {
        AccountId::parse("5012").expect("an id")
    }

    fn account(name: &str) -> Account {
        Account {
            id: id(),
            group: None,
            first_name: Some(name.into()),
            last_name: None,
            middle_name: None,
            birthday: None,
            gender: None,
            email: Some("anna@example.ru".into()),
            balance: None,
            blocked: false,
            turnover: None,
            level: None,
            coupons: Vec::new(),
            identifiers: Vec::new(),
        }
    }

    fn edit(name: &str) -> ProfileEdit {
        ProfileEdit {
            first_name: Some(Some(name.into())),
            email: Some(None),
            ..ProfileEdit::default()
        }
    }

    #[test]
    fn an_edit_is_shown_until_probonus_shows_it_and_not_longer_than_the_window() {
        let written = Written::default();
        written.edited(&id(), &edit("Аня"), 0);
        let shown = written.shown_in(Some(account("Анна")), 1).expect("an account");
        assert_eq!((shown.first_name.as_deref(), shown.email), (Some("Аня"), None));
        let there = Account {
            email: None,
            ..account("Аня")
        };
        assert_eq!(written.shown_in(Some(there.clone()), 2), Some(there));
        assert_eq!(
            written.shown_in(Some(account("Анна")), 3),
            Some(account("Анна")),
            "what it says later counts"
        );
        written.edited(&id(), &edit("Аня"), 0);
        assert_eq!(
            written.shown_in(Some(account("Анна")), WINDOW_US),
            Some(account("Анна"))
        );
    }

    #[test]
    fn what_was_written_of_one_account_is_not_shown_in_another() {
        let written = Written::default();
        written.edited(&id(), &edit("Аня"), 0);
        let other = Account {
            id: AccountId::parse("5013").expect("an id"),
            ..account("Борис")
        };
        assert_eq!(written.shown_in(Some(other.clone()), 1), Some(other.clone()));
        assert_eq!(written.shown_in(Some(account("Анна")), 2), Some(account("Анна")));
        written.edited(&id(), &edit("Аня"), 0);
        written.edited(&other.id, &ProfileEdit::default(), 1);
        assert_eq!(written.shown_in(Some(other.clone()), 2), Some(other));
    }

    #[test]
    fn edits_add_up() {
        let written = Written::default();
        let last_name = ProfileEdit {
            last_name: Some(Some("Орлова".into())),
            ..ProfileEdit::default()
        };
        written.edited(&id(), &edit("Аня"), 0);
        written.edited(&id(), &last_name, 1);
        let shown = written.shown_in(Some(account("Анна")), 2).expect("an account");
        assert_eq!(
            (shown.first_name.as_deref(), shown.last_name.as_deref(), shown.email),
            (Some("Аня"), Some("Орлова"), None)
        );
        written.signed_up(account("Анна"), 0);
        written.edited(&id(), &last_name, 1);
        assert_eq!(
            written.shown_in(None, 2).and_then(|shown| shown.last_name).as_deref(),
            Some("Орлова")
        );
    }

    #[test]
    fn a_new_account_is_there_until_probonus_shows_it_and_not_longer_than_the_window() {
        let written = Written::default();
        written.signed_up(account("Анна"), 0);
        assert_eq!(written.shown_in(None, 1), Some(account("Анна")));
        assert_eq!(written.shown_in(Some(account("Аня")), 2), Some(account("Аня")));
        assert_eq!(written.shown_in(None, 3), None);
        written.signed_up(account("Анна"), 0);
        assert_eq!(written.shown_in(None, WINDOW_US), None);
    }
}
