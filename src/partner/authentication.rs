//! Partners' keys: compared in constant time, each call counted against its key.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::{PartnerError, key_of};
use crate::clock::Clock;
use crate::config::{PartnerConfig, Scope};
use crate::keys::sha256;
use crate::store::{Count, Limit, SharedStore};

const MINUTE_US: i64 = 60_000_000;

/// A partner whose key was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its name in the configuration.
    pub name: String,
}

/// Knows partners by their keys.
pub(super) struct Authentication {
    partners: Arc<BTreeMap<String, PartnerConfig>>,
    store: SharedStore,
    clock: Clock,
}

impl Authentication {
    pub fn new(partners: Arc<BTreeMap<String, PartnerConfig>>, store: SharedStore, clock: Clock) -> Self {
        Self { partners, store, clock }
    }

    /// Who calls for `event` with this key, which needs the scope; no key is as wrong as a wrong one. A refusal is told in the audit log.
    ///
    /// # Errors
    /// No such key, a missing scope, too many calls, or the store.
    pub async fn caller(&self, key: Option<&str>, scope: Scope, event: &'static str) -> Result<Caller, PartnerError> {
        let key = key.filter(|key| !key.trim().is_empty());
        let hash = sha256(key.unwrap_or_default().as_bytes());
        let mut found = None;
        // All are compared, so that the time says nothing about which one it was.
        for (name, partner) in self.partners.iter() {
            for known in partner.key_hashes() {
                if verify_slices_are_equal(known, &hash).is_ok() {
                    found = Some((name, partner));
                }
            }
        }
        // An empty key is none, whatever hash is configured.
        let found = found.filter(|_| key.is_some());
        let admitted = match found {
            None => Err(PartnerError::Unauthenticated),
            Some((_, partner)) if !partner.scopes.contains(&scope) => Err(PartnerError::ScopeMissing),
            Some((name, partner)) => self.count_call(name, partner.calls_per_minute).await,
        };
        let name = found.map_or("-", |(name, _)| name.as_str());
        match admitted {
            Ok(()) => Ok(Caller { name: name.to_owned() }),
            Err(error) => {
                tracing::info!(target: "audit", partner = name, event, outcome = refusal(&error));
                Err(error)
            }
        }
    }

    async fn count_call(&self, name: &str, most: u32) -> Result<(), PartnerError> {
        if most == 0 {
            return Ok(());
        }
        let limit = Limit {
            key: &key_of(&[b"calls", name.as_bytes()]),
            most: most.into(),
            window_us: MINUTE_US,
        };
        let now_us = self.clock.now_us();
        match self.store.take(&[limit], now_us).await? {
            Count::Taken => Ok(()),
            Count::Exhausted { ends_at_us, .. } => Err(PartnerError::TooMany {
                retry_after: Duration::from_micros(u64::try_from(ends_at_us - now_us).unwrap_or(0)),
            }),
        }
    }
}

/// A refusal's word in audit records.
fn refusal(error: &PartnerError) -> &'static str {
    match error {
        PartnerError::Unauthenticated => "unauthenticated",
        PartnerError::ScopeMissing => "scope_missing",
        PartnerError::TooMany { .. } => "too_many_requests",
        _ => "not_done",
    }
}
