//! ProBonus fails a share of its calls, or all of them, or those of one guest: what guests are shown, and how often it is called.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::response::IntoResponse;
use guest_cabinet::clock::Clock;
use reqwest::StatusCode;

use crate::support::upstream::{Upstream, failure};
use crate::support::{TestCabinet, TestStore, friday_noon, sqlite};

/// A cabinet over a ProBonus that knows everybody, with guests signed in.
struct Service {
    upstream: Upstream,
    cabinet: Arc<TestCabinet>,
    clock: Clock,
    tokens: Arc<Vec<String>>,
    _store: TestStore,
}

/// Views are worthless a second after they were read: every read is cold.
const COLD: &str = "profile_fresh_ms = 1000\nstale_for_ms = 1000";

/// They are soon not fresh any more, and of worth for a day.
const WARM: &str = "profile_fresh_ms = 1000";

/// Longer than a failed view is remembered.
const ROUND: Duration = Duration::from_secs(4);

impl Service {
    async fn start(guests: u32, cache: &str) -> Self {
        let clock = Clock::manual(friday_noon());
        let upstream = Upstream::start().await;
        let store = sqlite();
        let more = format!(
            "[cache]\n{cache}\n[auth]\naccess_ttl_ms = 3600000\n[auth.limits]\nsends_per_phone_hour = 0\nsends_system_hour = 0"
        );
        let cabinet = TestCabinet::start(&upstream.url, "token", &store.url, clock.clone(), &more).await;
        let mut tokens = Vec::new();
        for number in 1..=guests {
            tokens.push(cabinet.token(&phone(number)).await);
        }
        upstream.take_calls();
        Self {
            upstream,
            cabinet: Arc::new(cabinet),
            clock,
            tokens: Arc::new(tokens),
            _store: store,
        }
    }

    /// Eight readers read `view` once for every guest; gives how many were answered.
    async fn read_all(&self, view: &str) -> usize {
        let next = Arc::new(AtomicUsize::new(0));
        let mut readers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (cabinet, tokens, next) = (self.cabinet.clone(), self.tokens.clone(), next.clone());
            let path = format!("/api/v1/me/{view}");
            readers.spawn(async move {
                let mut answered = 0;
                while let Some(token) = tokens.get(next.fetch_add(1, Ordering::Relaxed)) {
                    answered += usize::from(cabinet.get(&path, token).await.status == StatusCode::OK);
                }
                answered
            });
        }
        readers.join_all().await.into_iter().sum()
    }

    /// The same again and again, each round some seconds later; gives the share answered in percent.
    async fn read_rounds(&self, rounds: usize) -> usize {
        let mut answered = 0;
        for _ in 0..rounds {
            self.clock.advance(ROUND);
            answered += self.read_all("profile").await;
        }
        answered * 100 / (rounds * self.tokens.len())
    }
}

fn phone(number: u32) -> String {
    format!("+791600000{number:02}")
}

/// One of the checks that the history of a guest names.
fn check(guest: u32, number: u32) -> String {
    format!("791600000{guest:02}{number:02}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_failures_cost_cold_readers_what_they_are_and_probonus_a_quarter_more_calls_at_most() {
    let service = Service::start(40, COLD).await;
    for (failing, least) in [(10, 95), (30, 80), (50, 50)] {
        service.upstream.fail(failing);
        let answered = service.read_rounds(15).await;
        let calls = service.upstream.take_calls();
        assert!(answered >= least, "{failing} % failing: {answered} % answered");
        assert!(
            calls <= 600 * 5 / 4,
            "{failing} % failing: {calls} calls where 600 would do"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_read_a_view_is_shown_it_however_many_calls_fail() {
    let service = Service::start(40, WARM).await;
    for failing in [30, 50, 100] {
        service.upstream.fail(failing);
        assert_eq!(service.read_rounds(5).await, 100, "{failing} % failing");
        let calls = service.upstream.take_calls();
        assert!(
            calls <= 200 * 5 / 4,
            "{failing} % failing: {calls} calls where 200 would do"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_full_outage_two_calls_a_second_reach_probonus_and_ten_seconds_later_all_is_well() {
    let service = Service::start(40, COLD).await;
    service.read_rounds(2).await;
    service.upstream.take_calls();
    service.upstream.fail(100);
    service.clock.advance(ROUND);
    for _ in 0..40 {
        assert_eq!(service.read_all("profile").await, 0);
        service.clock.advance(Duration::from_millis(250));
    }
    let calls = service.upstream.take_calls();
    assert!(calls <= 20, "{calls} calls in ten seconds, the first included");
    service.upstream.heal();
    for _ in 0..10 {
        service.read_all("profile").await;
        service.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(service.read_all("profile").await, 40);
}

#[tokio::test]
async fn ids_of_one_guest_that_probonus_answers_with_a_failure_touch_nobody_else() {
    let service = Service::start(2, WARM).await;
    // Whatever of the first guest's is asked for fails, be it named by the history or made up.
    service.upstream.behave(|asked| {
        let of_the_second = asked.query.starts_with("id=79160000002");
        (asked.operation == "get_by_id" && !of_the_second).then(failure)
    });
    let (stranger, guest) = (&service.tokens[0], &service.tokens[1]);
    for number in 1..=60 {
        for id in [check(1, number), format!("555{number}")] {
            let answer = service.cabinet.get(&format!("/api/v1/me/checks/{id}"), stranger).await;
            assert_ne!(answer.status, StatusCode::OK);
        }
    }
    let calls = service.upstream.take_calls();
    assert!(calls <= 20, "{calls} calls for one guest");
    for number in 1..=5 {
        let path = format!("/api/v1/me/checks/{}", check(2, number));
        let answer = service.cabinet.get(&path, guest).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }
}

#[tokio::test]
async fn one_guest_causes_few_calls_for_checks_however_many_they_open() {
    let service = Service::start(1, WARM).await;
    let open_all = async || {
        for number in 1..=99 {
            let path = format!("/api/v1/me/checks/{}", check(1, number));
            service.cabinet.get(&path, &service.tokens[0]).await;
        }
    };
    open_all().await;
    service.upstream.take_calls();
    for _ in 0..10 {
        open_all().await;
        service.clock.advance(Duration::from_secs(1));
    }
    let calls = service.upstream.take_calls();
    assert!(calls <= 30, "{calls} calls in ten seconds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_answer_that_asks_for_a_pause_holds_up_nobody_else() {
    let service = Service::start(40, COLD).await;
    let first = AtomicUsize::new(0);
    service.upstream.behave(move |_| {
        let busy = first.fetch_add(1, Ordering::Relaxed) == 0;
        busy.then(|| (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "30")]).into_response())
    });
    service.clock.advance(ROUND);
    let asked = service.cabinet.get("/api/v1/me/profile", &service.tokens[0]).await;
    assert_eq!(asked.code(), "upstream_unavailable");
    assert_eq!(asked.header("retry-after"), Some("5"), "bounded to seconds");
    assert_eq!(service.read_all("profile").await, 39, "all but the one who was told");
    service.clock.advance(Duration::from_secs(6));
    assert_eq!(service.read_all("profile").await, 40);
}
