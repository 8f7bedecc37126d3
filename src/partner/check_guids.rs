//! Checks that were opened before: whose GUID a check has does not change, so none is read twice to tell orders apart.

use quick_cache::sync::Cache;
use uuid::Uuid;

use crate::model::{Check, CheckId};

/// Checks remembered.
const CAPACITY: usize = 20_000;

/// The GUIDs of checks.
pub(super) struct CheckGuids(Cache<CheckId, Uuid>);

impl CheckGuids {
    pub fn new() -> Self {
        Self(Cache::new(CAPACITY))
    }

    /// The GUID of a check that was opened before and had one.
    pub fn get(&self, id: &CheckId) -> Option<Uuid> {
        self.0.get(id)
    }

    /// Remembers a check that has a GUID.
    pub fn remember(&self, id: &CheckId, check: Option<&Check>) {
        if let Some(guid) = check.and_then(guid_of) {
            self.0.insert(id.clone(), guid);
        }
    }
}

/// A check's GUID in whatever spelling; nothing, zeros and what is no GUID stand for none.
pub(super) fn guid_of(check: &Check) -> Option<Uuid> {
    let text = check.check_guid.as_deref()?.trim();
    Uuid::try_parse(text).ok().filter(|guid| !guid.is_nil())
}
