//! ProBonus closes connections while they are idle or at the moment of a request: nobody is told, and nothing is done twice.

use std::time::Duration;

use guest_cabinet::clock::Clock;
use guest_cabinet::keys::{hex, sha256};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::cabinet::send;
use crate::support::closing::{Closing, Fate};
use crate::support::{ProBonus, TestCabinet, TestStore, friday_noon, sqlite};

const ANNA: &str = "+79160000001";
const NOBODY: &str = "+79160000008";
const KEY: &str = "the key of a partner";

/// A cabinet whose way to ProBonus closes connections.
struct Service {
    probonus: ProBonus,
    way: Closing,
    cabinet: TestCabinet,
    clock: Clock,
    _store: TestStore,
}

impl Service {
    async fn start() -> Self {
        let clock = Clock::manual(friday_noon());
        let probonus = ProBonus::start(&clock).await;
        let way = Closing::before(&probonus.sandbox.url()).await;
        let store = sqlite();
        let more = format!(
            "[cache]\nprofile_fresh_ms = 1000\nstale_for_ms = 1000\n[partners.till]\nkey_sha256 = \"{}\"\nscopes = [\"refills\"]\nmax_refill = 100000",
            hex(&sha256(KEY.as_bytes()))
        );
        let token = probonus.sandbox.token().to_owned();
        let cabinet = TestCabinet::start(&way.url, &token, &store.url, clock.clone(), &more).await;
        Self {
            probonus,
            way,
            cabinet,
            clock,
            _store: store,
        }
    }

    /// Reads the profile anew; it must be there, and ProBonus must have been asked once.
    async fn read_cold(&self, token: &str) {
        self.clock.advance(Duration::from_secs(5));
        self.probonus.forget().await;
        let answer = self.cabinet.get("/api/v1/me/profile", token).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!(self.probonus.calls("*").await, 1);
    }
}

#[tokio::test]
async fn a_kept_connection_that_is_closed_at_the_moment_of_a_read_is_nobodys_failure() {
    for fate in [Fate::ClosedUnread, Fate::ClosedRead] {
        let service = Service::start().await;
        let token = service.cabinet.token(ANNA).await;
        service.read_cold(&token).await;
        service
            .way
            .close(move |number| if number > 1 { fate } else { Fate::Passes });
        for _ in 0..20 {
            service.read_cold(&token).await;
        }
        let closed = service.way.closed();
        assert!(
            (1..=3).contains(&closed),
            "{fate:?}: kept connections are not relied on for a while: {closed}"
        );
    }
}

#[tokio::test]
async fn two_connections_closed_in_a_row_are_nobodys_failure_either() {
    for fate in [Fate::ClosedUnread, Fate::ClosedRead] {
        let service = Service::start().await;
        let token = service.cabinet.token(ANNA).await;
        service.read_cold(&token).await;
        for _ in 0..3 {
            let mut left = 2;
            service.way.close(move |_| {
                let closes = left > 0;
                left -= usize::from(closes);
                if closes { fate } else { Fate::Passes }
            });
            let before = service.way.closed();
            service.read_cold(&token).await;
            assert_eq!(service.way.closed() - before, 2, "{fate:?}");
            // Kept connections are relied on again.
            service.clock.advance(Duration::from_mins(1));
        }
    }
}

#[tokio::test]
async fn a_write_is_not_sent_into_a_connection_that_is_being_closed() {
    let service = Service::start().await;
    let token = service.cabinet.token(ANNA).await;
    let nobody = service.cabinet.token(NOBODY).await;
    service.read_cold(&token).await;
    service
        .way
        .close(|number| if number > 1 { Fate::ClosedRead } else { Fate::Passes });
    let cabinet = &service.cabinet;
    for number in 0..3 {
        service.clock.advance(Duration::from_mins(1));
        service.read_cold(&token).await;
        let edit = cabinet.request(Method::PATCH, "/api/v1/me/profile").bearer_auth(&token);
        let edited = send(edit.json(&json!({ "email": format!("anna{number}@example.ru") }))).await;
        assert_eq!(edited.status, StatusCode::OK, "{}", edited.text);
        let refill = cabinet.request(Method::POST, "/partner/v1/refills").bearer_auth(KEY);
        let refill = refill.header("idempotency-key", format!("refill-{number}"));
        let refilled = send(refill.json(&json!({ "phone": ANNA, "amount": 100 }))).await;
        assert_eq!(refilled.status, StatusCode::CREATED, "{}", refilled.text);
    }
    let sign_up = cabinet
        .request(Method::POST, "/api/v1/me/registration")
        .bearer_auth(&nobody);
    let body = json!({ "first_name": "Иван", "last_name": "Тестов", "birthday": "1999-01-02", "consents": [] });
    let signed_up = send(sign_up.json(&body)).await;
    assert_eq!(signed_up.status, StatusCode::CREATED, "{}", signed_up.text);
    assert!(service.way.closed() > 0);
}
