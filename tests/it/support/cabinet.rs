//! A running cabinet, spoken to over HTTP as its users do.

use std::sync::Arc;

use guest_cabinet::app::{self, Running};
use guest_cabinet::clock::Clock;
use guest_cabinet::config::{Config, read_sources};
use guest_cabinet::entropy::Entropy;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::Receiver;

/// One answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{} {}", self.status, self.text))
    }

    /// The problem's code.
    pub fn code(&self) -> String {
        assert_eq!(
            self.headers["content-type"], "application/problem+json",
            "{}",
            self.text
        );
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// A cabinet with its receiver of codes.
pub struct TestCabinet {
    pub running: Running,
    pub receiver: Arc<Receiver>,
    pub http: reqwest::Client,
    pub clock: Clock,
}

impl TestCabinet {
    /// Starts one over the ProBonus at `probonus` (an address) and the store at `store`, with `more` TOML over the usual settings.
    pub async fn start(probonus: &str, token: &str, store: &str, clock: Clock, more: &str) -> Self {
        let receiver = Arc::new(Receiver::start().await);
        Self::start_telling(receiver, probonus, token, store, clock, more).await
    }

    /// Starts a replica of this one. Either may send a code that was asked of the other, so both tell the same receiver.
    pub async fn beside(&self, probonus: &str, token: &str, store: &str, more: &str) -> Self {
        let (receiver, clock) = (self.receiver.clone(), self.clock.clone());
        Self::start_telling(receiver, probonus, token, store, clock, more).await
    }

    /// The same by another clock.
    pub async fn beside_by(&self, clock: Clock, probonus: &str, token: &str, store: &str, more: &str) -> Self {
        Self::start_telling(self.receiver.clone(), probonus, token, store, clock, more).await
    }

    async fn start_telling(
        receiver: Arc<Receiver>,
        probonus: &str,
        token: &str,
        store: &str,
        clock: Clock,
        more: &str,
    ) -> Self {
        let usual = format!(
            r#"
            listen = "127.0.0.1:0"
            admin_listen = "127.0.0.1:0"
            secret = "a master secret for tests of enough bytes"
            [store]
            url = "{store}"
            [probonus]
            url = "{probonus}"
            token = "{token}"
            [delivery]
            gateways = ["webhook"]
            [delivery.webhook]
            url = "{}"
            secret = "{}"
            [auth.limits]
            sends_per_ip_hour = 0
            sends_per_range_hour = 0
            "#,
            receiver.url,
            super::receiver::SECRET,
        );
        let mut tree: toml::Table = usual.parse().expect("the usual settings are TOML");
        merge(&mut tree, more.parse().expect("more settings are TOML"));
        let mut sources = read_sources(None, std::iter::empty());
        sources.tree = tree;
        let config = Config::read(sources, false).expect("the settings are right");
        let running = app::start(config, None, clock.clone(), Entropy::system())
            .await
            .expect("the cabinet starts");
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        Self {
            running,
            receiver,
            http,
            clock,
        }
    }

    /// A request to `path`.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.running.url()))
    }

    /// GET `path` with a bearer token.
    pub async fn get(&self, path: &str, token: &str) -> Answer {
        send(self.request(Method::GET, path).bearer_auth(token)).await
    }

    /// POST `body` to `path` without credentials.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::POST, path).json(body)).await
    }

    /// Signs `phone` (`+7…`) in by its code and gives the verify answer's body.
    pub async fn sign_in(&self, phone: &str) -> Value {
        let before = self
            .receiver
            .messages()
            .iter()
            .filter(|message| message["data"]["phone"] == phone)
            .count();
        let asked = self.post("/api/v1/auth/challenges", &json!({ "phone": phone })).await;
        assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.text);
        let code = self.receiver.code(phone, before + 1).await;
        let id = asked.json()["challenge_id"].as_str().expect("an id").to_owned();
        let verified = self
            .post(
                &format!("/api/v1/auth/challenges/{id}/verify"),
                &json!({ "code": code, "session": "bearer" }),
            )
            .await;
        assert_eq!(verified.status, StatusCode::OK, "{}", verified.text);
        verified.json()
    }

    /// Signs `phone` in and gives the access token.
    pub async fn token(&self, phone: &str) -> String {
        self.sign_in(phone).await["access_token"]
            .as_str()
            .expect("a token")
            .to_owned()
    }
}

/// Sends `request` and reads the answer whole.
pub async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("the cabinet answers");
    Answer {
        status: response.status(),
        headers: response.headers().clone(),
        text: response.text().await.expect("the answer is whole"),
    }
}

/// Lays settings over settings.
pub fn merge(under: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(toml::Value::Table(under)), toml::Value::Table(over)) => merge(under, over),
            (_, value) => drop(under.insert(key, value)),
        }
    }
}
