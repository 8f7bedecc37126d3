//! Edits that ProBonus took and may not show yet, as all replicas know them: kept sealed in the store for as long as they are to be shown.

use std::sync::Arc;
use std::time::Duration;

use super::written::WINDOW_US;
use crate::clock::Clock;
use crate::keys::{Keys, Purpose, Tag};
use crate::model::{Account, ProfileEdit};
use crate::store::{SharedStore, ShownEdit, account_subject};

/// A store that does not answer within this is done without: ProBonus' word is shown as it is.
const PATIENCE: Duration = Duration::from_millis(250);

/// A sealed edit opens for its account only.
fn bound_to(account: &Tag) -> Vec<u8> {
    [b"edit ", &account[..]].concat()
}

/// The edits to be shown.
pub(super) struct ShownEdits {
    store: SharedStore,
    keys: Arc<Keys>,
    clock: Clock,
}

impl ShownEdits {
    pub fn new(store: SharedStore, keys: Arc<Keys>, clock: Clock) -> Self {
        Self { store, keys, clock }
    }

    /// What is to be shown after ProBonus took `edit`, on top of what it does not show yet.
    pub async fn to_be_shown(&self, account: &Tag, edit: &ProfileEdit) -> Option<ShownEdit> {
        if !self.store.is_shared() {
            return None;
        }
        let earlier = self.shown_edit(account).await;
        let whole = earlier.map_or_else(|| edit.clone(), |(earlier, _)| earlier.followed_by(edit));
        let plain = serde_json::to_vec(&whole).ok()?;
        Some(ShownEdit {
            sealed: self.keys.seal(Purpose::View, &bound_to(account), &plain),
            until_us: self.clock.now_us().saturating_add(WINDOW_US),
        })
    }

    /// What ProBonus tells, with what any replica wrote lately in it.
    pub async fn with_shown_edit(&self, told: Account) -> Account {
        if !self.store.is_shared() {
            return told;
        }
        let account = account_subject(&self.keys, &told.id);
        let Some((edit, row)) = self.shown_edit(&account).await else {
            return told;
        };
        let shown = edit.applied_to_account(told.clone());
        if shown == told && self.store.edit_seen(&account, &row).await.is_err() {
            tracing::debug!("an edit that ProBonus shows stays noted until its time is over");
        }
        shown
    }

    async fn shown_edit(&self, account: &Tag) -> Option<(ProfileEdit, ShownEdit)> {
        let asked = self.store.shown_edit(account, self.clock.now_us());
        let row = tokio::time::timeout(PATIENCE, asked).await.ok()?.ok()??;
        let plain = self.keys.open(Purpose::View, &bound_to(account), &row.sealed)?;
        Some((serde_json::from_slice(&plain).ok()?, row))
    }
}
