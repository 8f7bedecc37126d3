//! Whose an account is, by its keyed hash: partners' operations name accounts, and a family may share one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use crate::keys::Tag;
use crate::model::GuestKey;

/// A guest's place in memory: the same guest may have left and come back.
pub(super) type Place = usize;

type Accounts = HashMap<Tag, Vec<(GuestKey, Place)>, RandomState>;

/// The guests in memory by their accounts. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(super) struct Owners(Arc<Mutex<Accounts>>);

impl Owners {
    fn accounts(&self) -> MutexGuard<'_, Accounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account is this guest's, too.
    pub fn add(&self, account: Tag, guest: GuestKey, place: Place) {
        let mut accounts = self.accounts();
        let owners = accounts.entry(account).or_insert_with(|| Vec::with_capacity(1));
        if !owners.contains(&(guest, place)) {
            owners.push((guest, place));
        }
    }

    /// The account is not this guest's any more, or the guest left that place.
    pub fn remove(&self, account: &Tag, guest: GuestKey, place: Place) {
        let mut accounts = self.accounts();
        if let Some(owners) = accounts.get_mut(account) {
            owners.retain(|owner| *owner != (guest, place));
            if owners.is_empty() {
                accounts.remove(account);
            }
        }
    }

    /// Everybody in memory whose account it is.
    pub fn of(&self, account: &Tag) -> Vec<GuestKey> {
        let accounts = self.accounts();
        let owners = accounts.get(account).into_iter().flatten();
        owners.map(|(guest, _)| *guest).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_shares_an_account_and_who_left_one_place_may_be_in_another() {
        let owners = Owners::default();
        let [anna, boris] = [GuestKey([1; 32]), GuestKey([2; 32])];
        let account = [7; 32];
        owners.add(account, anna, 1);
        owners.add(account, boris, 2);
        owners.add(account, anna, 1);
        assert_eq!(owners.of(&account), [anna, boris]);
        owners.add(account, anna, 3);
        owners.remove(&account, anna, 1);
        assert_eq!(owners.of(&account), [boris, anna], "she came back before she was gone");
        owners.remove(&account, boris, 2);
        owners.remove(&account, anna, 3);
        assert!(owners.of(&account).is_empty() && owners.accounts().is_empty());
    }
}
