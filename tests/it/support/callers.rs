//! Requests from addresses of one's choice: the cabinet stands behind a proxy that it trusts.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::cabinet::send;
use super::{Answer, TestCabinet};

/// Settings of a cabinet behind a proxy on this machine, with `limits`. The usual bounds on addresses are in force again.
pub fn behind_proxy(limits: &str) -> String {
    let usual = ["sends_per_ip_hour = 10", "sends_per_range_hour = 20"];
    let own = limits.split('[').next().unwrap_or_default();
    let set = |line: &&&str| {
        line.split(' ')
            .next()
            .is_some_and(|key| own.lines().any(|line| line.starts_with(key)))
    };
    let usual: Vec<&str> = usual.iter().filter(|line| !set(line)).copied().collect();
    let usual = usual.join("\n");
    format!("web.trusted_proxies = [\"127.0.0.1\"]\n[auth.limits]\n{usual}\n{limits}\n")
}

/// Somebody with an address and, once signed in, a device.
#[derive(Clone, Default)]
pub struct Caller {
    pub address: String,
    pub device: String,
}

impl Caller {
    /// Somebody who was never here before.
    pub fn at(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            device: String::new(),
        }
    }

    async fn post(&self, cabinet: &TestCabinet, path: &str, body: &serde_json::Value) -> Answer {
        let mut request = cabinet
            .request(Method::POST, path)
            .header("x-forwarded-for", &self.address);
        if !self.device.is_empty() {
            request = request.header("x-device-token", &self.device);
        }
        send(request.json(body)).await
    }

    /// Asks for a code.
    pub async fn ask(&self, cabinet: &TestCabinet, phone: &str) -> Answer {
        self.post(cabinet, "/api/v1/auth/challenges", &json!({ "phone": phone }))
            .await
    }

    /// Asks for a code by `channel`.
    pub async fn ask_by(&self, cabinet: &TestCabinet, phone: &str, channel: &str) -> Answer {
        let body = json!({ "phone": phone, "channel": channel });
        self.post(cabinet, "/api/v1/auth/challenges", &body).await
    }

    /// Gives a code back.
    pub async fn give(&self, cabinet: &TestCabinet, id: &str, code: &str) -> Answer {
        let path = format!("/api/v1/auth/challenges/{id}/verify");
        let body = json!({ "code": code, "session": "bearer" });
        self.post(cabinet, &path, &body).await
    }

    /// Asks, reads the code on the phone and gives it back; the answer that ended it. The device is remembered.
    pub async fn sign_in(&mut self, cabinet: &TestCabinet, phone: &str) -> Answer {
        let before = cabinet.receiver.count(phone);
        let asked = self.ask(cabinet, phone).await;
        if asked.status != StatusCode::ACCEPTED {
            return asked;
        }
        let code = cabinet.receiver.code(phone, before + 1).await;
        let signed = self.give(cabinet, &id_of(&asked), &code).await;
        if let Some(device) = signed.header("x-device-token") {
            device.clone_into(&mut self.device);
        }
        signed
    }
}

/// The id of a challenge that was asked for.
pub fn id_of(asked: &Answer) -> String {
    asked.json()["challenge_id"].as_str().expect("an id").to_owned()
}

/// The name of the limit that refused.
pub fn refused_by(answer: &Answer) -> String {
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (429, "too_many_requests")
    );
    let policy = answer.header("ratelimit-policy").expect("RateLimit-Policy");
    policy.split('"').nth(1).expect("a name").to_owned()
}
