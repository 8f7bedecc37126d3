//! Partners' keys: compared in constant time, each call counted against its key.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::{Partner, PartnerError};
use crate::config::Scope;
use crate::keys::{Purpose, sha256};
use crate::store::{Count, Limit};

const MINUTE_US: i64 = 60_000_000;

/// A partner whose key was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its name in the configuration.
    pub name: String,
}

impl Partner {
    /// Who has this key, with the scope it needs.
    ///
    /// # Errors
    /// No such key, a missing scope, too many calls, or the store.
    pub async fn caller(&self, key: &str, scope: Scope) -> Result<Caller, PartnerError> {
        let hash = sha256(key.as_bytes());
        let mut found = None;
        // All are compared, so that the time says nothing about which one it was.
        for (name, partner) in &self.partners {
            if verify_slices_are_equal(&partner.key_sha256, &hash).is_ok() {
                found = Some((name, partner));
            }
        }
        let Some((name, partner)) = found else {
            tracing::info!(target: "audit", partner = "-", event = "key_refused");
            return Err(PartnerError::Unauthenticated);
        };
        if !partner.scopes.contains(&scope) {
            tracing::info!(target: "audit", partner = name.as_str(), event = "scope_missing");
            return Err(PartnerError::ScopeMissing);
        }
        if partner.calls_per_minute > 0 {
            let limit = Limit {
                key: &self.keys.mac(Purpose::Limit, &[b"partner_calls", name.as_bytes()]),
                most: partner.calls_per_minute.into(),
                window_us: MINUTE_US,
            };
            let now_us = self.clock.now_us();
            if let Count::Exhausted { ends_at_us, .. } = self.store.take(&[limit], now_us).await? {
                let wait_us = u64::try_from(ends_at_us - now_us).unwrap_or(0);
                return Err(PartnerError::TooMany {
                    retry_after: std::time::Duration::from_micros(wait_us),
                });
            }
        }
        Ok(Caller { name: name.clone() })
    }
}
