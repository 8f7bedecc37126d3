//! What is written down while guests sign in: events that tell what happened, and nothing that tells who or opens anything.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use guest_cabinet::clock::Clock;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::cabinet::send;
use crate::support::replicas::{PHONE, challenge, replicas, sandbox};
use crate::support::{friday_noon, sqlite};

/// Everything that this thread logs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panics here").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn logs_metrics_and_state_hold_events_and_no_secrets() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_env_filter(EnvFilter::new("info,guest_cabinet=trace"))
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let store = sqlite();
    let clock = Clock::manual(friday_noon());
    let sandbox = sandbox(&clock).await;
    let more = "[[auth.test_phones]]\nphone = \"+79160000077\"\ncode = \"246810\"\nvalid_until = \"2026-12-01\"\n\
                [telemetry]\naccess_log = true";
    let cabinet = &replicas(&store, &sandbox, &clock, more).await[0];

    let (id, code) = challenge(cabinet).await;
    let verify = async |id: &str, code: &str| {
        let body = json!({ "code": code, "session": "bearer", "device_name": "Телефон-Анны" });
        cabinet
            .post(&format!("/api/v1/auth/challenges/{id}/verify"), &body)
            .await
    };
    let wrong = if code == "000000" { "000001" } else { "000000" };
    assert_eq!(verify(&id, wrong).await.code(), "code_incorrect");
    clock.advance(Duration::from_mins(1));
    let resend = format!("/api/v1/auth/challenges/{id}/resend");
    assert_eq!(cabinet.post(&resend, &json!({})).await.status, StatusCode::ACCEPTED);
    assert_eq!(cabinet.post(&resend, &json!({})).await.code(), "too_many_requests");
    let verified = verify(&id, &code).await;
    let device = verified.header("x-device-token").expect("a device token").to_owned();
    let pair = verified.json();
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    let (access, first) = (text(&pair["access_token"]), text(&pair["refresh_token"]));
    for path in ["home", "profile", "balance", "transactions", "sessions"] {
        cabinet.get(&format!("/api/v1/me/{path}"), &access).await;
    }
    let refresh = async |token: &str| {
        cabinet
            .post("/api/v1/auth/refresh", &json!({ "refresh_token": token }))
            .await
    };
    let second = refresh(&first).await.json();
    clock.advance(Duration::from_secs(1));
    cabinet.get("/api/v1/me/balance", &text(&second["access_token"])).await;
    clock.advance(Duration::from_secs(11));
    assert_eq!(refresh(&first).await.code(), "token_reused");
    clock.advance(Duration::from_mins(1));
    let last = cabinet.token(PHONE).await;
    let out = cabinet.request(Method::POST, "/api/v1/auth/logout").bearer_auth(&last);
    assert_eq!(send(out).await.status, StatusCode::NO_CONTENT);
    cabinet
        .post("/api/v1/auth/challenges", &json!({ "phone": "+79160000077" }))
        .await;
    let metrics = send(cabinet.http.get(format!("{}/metrics", cabinet.running.admin_url()))).await;

    let logged = String::from_utf8(log.0.lock().expect("nobody panics here").clone()).expect("text");
    for event in [
        "challenge_created",
        "code_wrong",
        "code_resent",
        "limit_exhausted",
        "signed_in",
        "token_reused",
        "session_ended",
        "test_phone_used",
    ] {
        assert!(logged.contains(&format!("\"event\":\"{event}\"")), "{event}");
    }
    let secrets = [
        "9160000001".to_owned(),
        "9160000077".to_owned(),
        id,
        access,
        first,
        text(&second["refresh_token"]),
        device,
        "Смирнова".to_owned(),
        "Телефон-Анны".to_owned(),
        "a master secret".to_owned(),
        sandbox.token().to_owned(),
    ];
    let mut written = vec![logged.into_bytes(), metrics.text.into_bytes()];
    for entry in std::fs::read_dir(store.folder.as_ref().expect("a folder").path()).expect("the folder") {
        written.push(std::fs::read(entry.expect("an entry").path()).expect("a file"));
    }
    for (place, bytes) in written.iter().enumerate() {
        assert!(!bytes.is_empty() || place > 1);
        for secret in &secrets {
            let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!found, "a secret of {} bytes stands in place {place}", secret.len());
        }
    }
}

#[tokio::test]
async fn strangers_are_told_of_by_fingerprints_and_a_proxy_that_is_not_trusted_once() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_env_filter(EnvFilter::new("info,guest_cabinet=trace"))
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let store = sqlite();
    let clock = Clock::manual(friday_noon());
    let sandbox = sandbox(&clock).await;
    let cabinet = &replicas(&store, &sandbox, &clock, "").await[0];
    for _ in 0..3 {
        let request = cabinet.request(Method::POST, "/api/v1/auth/challenges");
        let request = request.header("x-forwarded-for", "192.0.2.77");
        send(request.json(&json!({ "phone": PHONE }))).await;
    }
    let logged = String::from_utf8(log.0.lock().expect("nobody panics here").clone()).expect("text");
    assert_eq!(logged.matches("web.trusted_proxies").count(), 1);
    let exhausted = logged.lines().find(|line| line.contains("\"limit_exhausted\""));
    let exhausted: serde_json::Value = serde_json::from_str(exhausted.expect("it is told")).expect("a line is JSON");
    let fields = &exhausted["fields"];
    assert_eq!(fields["limit"], "resend");
    assert_eq!(
        fields["network"].as_str().map(str::len),
        Some(8),
        "a fingerprint: {fields}"
    );
    assert!(
        fields["guest"].as_str().is_some_and(|guest| !guest.is_empty()),
        "{fields}"
    );
    for secret in ["192.0.2.77", "9160000001"] {
        assert!(!logged.contains(secret), "{secret}");
    }
}
