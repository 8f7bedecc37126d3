//! One cabinet with a ProBonus of its own: what most tests of guest views need.

use std::sync::Arc;

use guest_cabinet::clock::Clock;
use reqwest::StatusCode;
use serde_json::Value;

use super::{ProBonus, TestCabinet, TestStore, friday_noon, sqlite};

/// The cabinet, its ProBonus and their clock.
pub struct House {
    pub probonus: ProBonus,
    pub cabinet: Arc<TestCabinet>,
    pub clock: Clock,
    _store: TestStore,
}

/// A house over SQLite, with `more` in its configuration.
pub async fn house(more: &str) -> House {
    let clock = Clock::manual(friday_noon());
    let probonus = ProBonus::start(&clock).await;
    let store = sqlite();
    let cabinet = cabinet(&probonus, &store, &clock, more).await;
    House {
        probonus,
        cabinet,
        clock,
        _store: store,
    }
}

/// A cabinet over the store, of which there may be others.
pub async fn cabinet(probonus: &ProBonus, store: &TestStore, clock: &Clock, more: &str) -> Arc<TestCabinet> {
    let (url, token) = (probonus.sandbox.url(), probonus.sandbox.token().to_owned());
    Arc::new(TestCabinet::start(&url, &token, &store.url, clock.clone(), more).await)
}

impl House {
    /// The view, which must be there.
    pub async fn read(&self, token: &str, view: &str) -> Value {
        let answer = self.cabinet.get(&format!("/api/v1/me/{view}"), token).await;
        assert_eq!(answer.status, StatusCode::OK, "{view} {}", answer.text);
        answer.json()
    }
}
