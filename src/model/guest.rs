//! Who is asking: the guest of a session.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::Phone;
use crate::keys::{Tag, hex};

/// A guest's key in caches and tables: the keyed fingerprint of the phone. Says nothing about the phone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GuestKey(pub [u8; 32]);

impl std::fmt::Debug for GuestKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GuestKey({}…)", hex(&self.0[..4]))
    }
}

/// The account behind a guest's phone: the one that a session was opened under, or the one that ProBonus tells.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum AccountBinding {
    /// Nobody has said yet.
    Unknown,
    /// The phone has no account.
    Absent,
    /// The account with this keyed hash of its id.
    Account(Tag),
}

impl std::fmt::Debug for AccountBinding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown => f.write_str("Unknown"),
            Self::Absent => f.write_str("Absent"),
            Self::Account(tag) => write!(f, "Account({}…)", hex(&tag[..4])),
        }
    }
}

/// The session that a guest is recognised by. All requests of it share what is known of its account.
#[derive(Clone, Debug)]
pub struct OpenSession {
    /// Its id.
    pub id: SessionId,
    opened_under: Arc<Mutex<AccountBinding>>,
}

impl OpenSession {
    /// A session that was opened under `account`.
    #[must_use]
    pub fn new(id: SessionId, account: AccountBinding) -> Self {
        let opened_under = Arc::new(Mutex::new(account));
        Self { id, opened_under }
    }

    /// The account that it was opened under, as far as this process knows.
    #[must_use]
    pub fn account(&self) -> AccountBinding {
        *self.opened_under.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store has said under which account it was opened.
    pub fn learn(&self, account: AccountBinding) {
        if account != AccountBinding::Unknown {
            *self.opened_under.lock().unwrap_or_else(PoisonError::into_inner) = account;
        }
    }
}

/// A guest whose phone is proven. Everything that goes upstream for them is derived from this.
#[derive(Clone, Debug)]
pub struct Guest {
    /// The keyed fingerprint of the phone.
    pub key: GuestKey,
    /// The proven phone.
    pub phone: Phone,
    /// The account that their session was opened under, as it was known when this was made: nothing of another one is read or written.
    pub account: AccountBinding,
    /// The session; none while it is being opened.
    pub session: Option<OpenSession>,
}

impl Guest {
    /// A guest who is signing in.
    #[must_use]
    pub fn new(key: GuestKey, phone: Phone) -> Self {
        Self {
            key,
            phone,
            account: AccountBinding::Unknown,
            session: None,
        }
    }

    /// The same guest, recognised by `session`.
    #[must_use]
    pub fn with_session(self, session: OpenSession) -> Self {
        Self {
            account: session.account(),
            session: Some(session),
            ..self
        }
    }

    /// The same guest with what is known of the session's account by now.
    #[must_use]
    pub fn up_to_date(&self) -> Self {
        let account = self.session.as_ref().map_or(self.account, OpenSession::account);
        Self {
            account,
            ..self.clone()
        }
    }
}

/// A session's public id: names it in the list of sessions, opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SessionId(pub uuid::Uuid);
