//! Views of the account that a guest's session was opened under, and of no other: whatever is read, the account is looked up again within
//! the profile's freshness.

use std::sync::Arc;
use std::time::Duration;

use super::reading::{Found, View};
use super::slot::Filled;
use super::views::AccountSeen;
use super::{Cabinet, Source, ViewError, Wish};
use crate::clock::Deadline;
use crate::model::{AccountBinding, AccountId, Guest};

/// So often it is tried to show a view while accounts change behind the phone.
const ROUNDS: u32 = 3;

/// A look-up under way is waited for so long before ProBonus is asked about the account.
const LOOK_UP: Duration = Duration::from_secs(1);

/// A guest whose view is being read, with the account that it is read of.
pub(super) struct Reader {
    pub guest: Guest,
    rounds: u32,
}

impl Cabinet {
    /// Begins to read for a guest: from here on it is known under which account.
    ///
    /// # Errors
    /// [`ViewError`]: when it cannot be known now.
    pub(super) async fn begin_reading(self: &Arc<Self>, guest: &Guest, wish: Wish) -> Result<Reader, ViewError> {
        let mut guest = guest.clone();
        if guest.account == AccountBinding::Unknown {
            // In a box of its own: most sessions are bound already.
            guest = Box::pin(self.bound(guest, wish)).await?;
        }
        Ok(Reader { guest, rounds: 0 })
    }

    async fn bound(self: &Arc<Self>, guest: Guest, wish: Wish) -> Result<Guest, ViewError> {
        let found = self.account_behind_phone(&guest, wish).await;
        let account = match found {
            Ok(found) => AccountBinding::Account(found.filled.value.tag),
            Err(ViewError::AccountAbsent) => AccountBinding::Absent,
            Err(error) => return Err(error),
        };
        let guest = guest.up_to_date();
        if guest.account == AccountBinding::Unknown {
            self.accounts.bind(&guest, account).await?;
        }
        Ok(match guest.session {
            Some(_) => guest.up_to_date(),
            None => Guest { account, ..guest },
        })
    }

    /// What is found of the account, if it is the reader's; nothing when all is to be read once more.
    ///
    /// # Errors
    /// [`ViewError`]; [`ViewError::SessionExpired`] when another account is behind the phone.
    pub(super) async fn own(
        &self,
        reader: &mut Reader,
        account: Result<Found<AccountSeen>, ViewError>,
    ) -> Result<Option<Found<AccountSeen>>, ViewError> {
        match account {
            Ok(found) if reader.guest.account == AccountBinding::Account(found.filled.value.tag) => {
                return Ok(Some(found));
            }
            Err(ViewError::AccountAbsent) if reader.guest.account == AccountBinding::Absent => {
                return Err(ViewError::AccountAbsent);
            }
            Ok(_) | Err(ViewError::AccountAbsent | ViewError::AccountChanged) => {}
            Err(error) => return Err(error),
        }
        // In a box of its own: it hardly ever happens.
        let absent = account.is_err_and(|error| error == ViewError::AccountAbsent);
        Box::pin(self.read_anew(reader, absent)).await
    }

    /// Either this session was opened under another account than is behind the phone now, or what is in memory is of before.
    pub(super) async fn read_anew(
        &self,
        reader: &mut Reader,
        absent: bool,
    ) -> Result<Option<Found<AccountSeen>>, ViewError> {
        let before = reader.guest.account;
        let now = self.accounts.recheck(&reader.guest).await?;
        reader.guest = reader.guest.up_to_date();
        if absent && now == before {
            return Err(ViewError::AccountAbsent);
        }
        reader.rounds += 1;
        if reader.rounds >= ROUNDS {
            return Err(ViewError::Unavailable { retry_after_s: 1 });
        }
        if now == before {
            self.guests.slots(reader.guest.key).account().outdate(None);
        }
        Ok(None)
    }

    /// What a view becomes beside what is known of its account; nothing when all is to be read once more.
    ///
    /// # Errors
    /// [`ViewError`].
    pub(super) async fn beside_account<T>(
        &self,
        reader: &mut Reader,
        account: Result<Found<AccountSeen>, ViewError>,
        view: Result<T, ViewError>,
    ) -> Result<Option<(T, Source)>, ViewError> {
        match self.own(reader, account).await {
            Ok(None) => Ok(None),
            Ok(Some(found)) => match view {
                Err(ViewError::AccountChanged) => self.read_anew(reader, false).await.map(|_| None),
                view => Ok(Some((view?, found.source))),
            },
            // ProBonus cannot say now whose account it is: what it said last is this session's own.
            Err(error) if error.may_show_last() => Ok(Some((view.map_err(|_| error)?, Source::Stale))),
            Err(error) => Err(error),
        }
    }

    /// The account behind the guest's phone, whosever session reads it.
    pub(super) async fn account_behind_phone(
        self: &Arc<Self>,
        guest: &Guest,
        wish: Wish,
    ) -> Result<Found<AccountSeen>, ViewError> {
        let slot = self.guests.slots(guest.key).account();
        self.find_uncounted(guest, &slot, &(), wish).await
    }

    /// The same for whoever reads another view: that alone is renewed by a pull, unless there is no account yet.
    pub(super) async fn account_beside(
        self: &Arc<Self>,
        guest: &Guest,
        wish: Wish,
    ) -> Result<Found<AccountSeen>, ViewError> {
        let slot = self.guests.slots(guest.key).account();
        let renew = wish.renew && slot.last(self.ages::<AccountSeen>(), self.clock.steady_us()).is_none();
        self.find_uncounted(guest, &slot, &(), Wish { renew, ..wish }).await
    }

    /// The id of the account that the guest's session was opened under.
    pub(super) async fn account_id(self: &Arc<Self>, guest: &Guest, wish: Wish) -> Result<AccountId, ViewError> {
        let mut found = self.account_beside(guest, wish).await?;
        if found.source == Source::Hit {
            // It may be shown while it is looked up again; what is asked about it waits for that.
            let slot = self.guests.slots(guest.key).account();
            slot.settled(wish.deadline.at_most(LOOK_UP).instant()).await;
            found = self.account_beside(guest, wish).await?;
        }
        let seen = &found.filled.value;
        if guest.account != AccountBinding::Account(seen.tag) {
            return Err(ViewError::AccountChanged);
        }
        Ok(seen.id.clone())
    }

    /// The account of the guest's session as ProBonus tells it to this very request; whoever reads next finds it, too.
    pub(super) async fn account_before_write(
        self: &Arc<Self>,
        guest: &Guest,
        deadline: Deadline,
    ) -> Result<Arc<Filled<AccountSeen>>, ViewError> {
        self.guests.slots(guest.key).account().ask_anew();
        let found = self.account_seen(guest, Wish { renew: true, deadline }).await?;
        if found.source != Source::Stale {
            return Ok(found.filled);
        }
        // What is stale is no ground to write on.
        let account = self.accounts.look_up(guest, deadline).await?;
        let read = self.read_now();
        let seen = AccountSeen::make(self, guest, &account, read.as_of_us);
        Ok(Arc::new(Filled::new(seen, read.as_of_us, read.steady_us)))
    }

    /// Which account a guest who is signing in has. ProBonus must say so now; what it said before it fell silent does not count.
    pub async fn account_behind(self: &Arc<Self>, guest: &Guest, deadline: Deadline) -> AccountBinding {
        // Through the slot, so that the first screen finds the account there.
        let found = self.account_behind_phone(guest, Wish { renew: true, deadline }).await;
        let asked = match found {
            Ok(found) if matches!(found.source, Source::Miss | Source::Coalesced) => {
                return AccountBinding::Account(found.filled.value.tag);
            }
            // That asks again only so often.
            Ok(found) if found.source == Source::Hit => self.accounts.look_up(guest, deadline).await,
            Ok(_) => return AccountBinding::Unknown,
            Err(error) => Err(error),
        };
        match asked {
            Ok(account) => AccountBinding::Account(self.accounts.tag_of(&account.id)),
            Err(ViewError::AccountAbsent) => AccountBinding::Absent,
            Err(_) => AccountBinding::Unknown,
        }
    }
}
