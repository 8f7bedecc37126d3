//! The sandbox as tests order it about: over HTTP, as everybody.

use guest_cabinet::clock::Clock;
use guest_cabinet::sandbox::{Sandbox, SandboxConfig};
use reqwest::Method;
use serde_json::{Value, json};

/// A sandbox with its controls.
pub struct ProBonus {
    pub sandbox: Sandbox,
    http: reqwest::Client,
}

impl ProBonus {
    /// Starts one that shares `clock`.
    pub async fn start(clock: &Clock) -> Self {
        let config = SandboxConfig {
            clock: clock.clone(),
            ..SandboxConfig::default()
        };
        Self {
            sandbox: Sandbox::start(config).await.expect("a sandbox"),
            http: reqwest::Client::builder().no_proxy().build().expect("a client"),
        }
    }

    /// One control call; it must succeed.
    pub async fn control(&self, method: Method, path: &str, body: Value) -> Value {
        let url = format!("{}/sandbox{path}", self.sandbox.url());
        let response = self
            .http
            .request(method, url)
            .json(&body)
            .send()
            .await
            .expect("the sandbox answers");
        let status = response.status();
        let value: Value = response.json().await.expect("JSON");
        assert!(status.is_success(), "{path} {value}");
        value
    }

    /// Orders a fault.
    pub async fn fault(&self, fault: Value) {
        self.control(Method::POST, "/faults", fault).await;
    }

    /// No more faults, and the credential is accepted.
    pub async fn heal(&self) {
        self.control(Method::DELETE, "/faults", json!({})).await;
    }

    /// Speaks otherwise.
    pub async fn speak(&self, dialect: Value) {
        self.control(Method::PUT, "/dialect", dialect).await;
    }

    /// How often an operation was called; all of them for `*`.
    pub async fn calls(&self, operation: &str) -> u64 {
        let journal = self.control(Method::GET, "/journal", json!({})).await;
        let count = if operation == "*" {
            &journal["total"]
        } else {
            &journal["counts"][operation]
        };
        count.as_u64().unwrap_or(0)
    }

    /// Changes a guest's first name, as somebody at ProBonus may.
    pub async fn rename(&self, phone: &str, name: &str) {
        let guests = self.control(Method::GET, "/guests", json!({})).await;
        let guests = guests["guests"].as_array().expect("guests");
        let guest = guests.iter().find(|guest| guest["phone"] == phone).expect("the guest");
        let url = format!("{}/api/v0/accounts/update", self.sandbox.url());
        let asked = self.http.post(url).bearer_auth(self.sandbox.token());
        let body = json!({ "id": guest["account_id"], "firstName": name });
        let answer = asked.json(&body).send().await.expect("the sandbox answers");
        assert!(answer.status().is_success());
    }

    /// Forgets the calls so far.
    pub async fn forget(&self) {
        self.control(Method::DELETE, "/journal", json!({})).await;
    }
}
