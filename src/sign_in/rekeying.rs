//! Guests keyed anew: their sessions and consents are found by the ledger key in use, while the secret they were made under is still known.
//!
//! Needed where a store of before there was a ledger key holds rows of two secrets, and where a ledger key that had been lost is known
//! again. Told in one line; a second run finds nothing left to do.

use super::open_phone;
use crate::keys::{Keys, Purpose};
use crate::model::GuestKey;
use crate::store::{KeyedSession, Store, StoreError};

/// Sessions looked at at once.
const BATCH: i64 = 500;

/// Keys anew what can be.
///
/// # Errors
/// When the store cannot be asked.
pub async fn rekey_guests(store: &Store, keys: &Keys) -> Result<(), StoreError> {
    if !keys.can_rekey() {
        return Ok(());
    }
    let (mut rekeyed, mut unreadable) = (0, 0_u64);
    let mut after = Vec::new();
    loop {
        let sessions = store.sessions_after(&after, BATCH).await?;
        let Some(last) = sessions.last() else { break };
        after.clone_from(&last.id);
        for session in &sessions {
            match guest_of(keys, session) {
                None => unreadable += 1,
                Some(guest) if guest.0[..] == session.guest => {}
                Some(guest) => rekeyed += store.rekey_guest(session, guest).await?,
            }
        }
    }
    let consents = store.count_consents_without_session().await?;
    tracing::info!(
        rekeyed,
        sessions_unreadable = unreadable,
        guests_without_session = consents,
        "rows of an earlier key are keyed anew; consents of guests without a session cannot be told apart by their key and stay as they are"
    );
    Ok(())
}

fn guest_of(keys: &Keys, session: &KeyedSession) -> Option<GuestKey> {
    let phone = open_phone(keys, &session.id, &session.phone_sealed)?;
    Some(GuestKey(
        keys.mac(Purpose::PhoneFingerprint, &[phone.e164().as_bytes()]),
    ))
}
