//! Checks that were opened before: whose GUID a check has does not change, so none is read twice to tell orders apart.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

use crate::model::{Check, CheckId};

/// Checks remembered; when there are more, all are forgotten and read again.
const MOST: usize = 20_000;

/// The GUIDs of checks.
#[derive(Default)]
pub(super) struct Seen(Mutex<HashMap<CheckId, Uuid>>);

impl Seen {
    /// The GUID of a check that was opened before and had one.
    pub fn guid(&self, id: &CheckId) -> Option<Uuid> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied()
    }

    /// Remembers a check that has a GUID.
    pub fn remember(&self, id: &CheckId, check: Option<&Check>) {
        if let Some(guid) = check.and_then(guid_of) {
            let mut guids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if guids.len() >= MOST {
                guids.clear();
            }
            guids.insert(id.clone(), guid);
        }
    }
}

/// A check's GUID in whatever spelling; nothing, zeros and what is no GUID stand for none.
pub(super) fn guid_of(check: &Check) -> Option<Uuid> {
    let text = check.check_guid.as_deref()?.trim();
    Uuid::try_parse(text).ok().filter(|guid| !guid.is_nil())
}
