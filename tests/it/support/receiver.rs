//! An operator's webhook receiver: keeps the codes it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use serde_json::Value;
use tokio::sync::Notify;

/// The receiver's secret, in the notation of Standard Webhooks.
pub const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

/// A running receiver.
pub struct Receiver {
    /// For `delivery.webhook.url`.
    pub url: String,
    messages: Arc<Messages>,
}

#[derive(Default)]
struct Messages {
    all: Mutex<Vec<Value>>,
    arrived: Notify,
}

impl Receiver {
    /// Starts one on loopback.
    pub async fn start() -> Self {
        let messages = Arc::new(Messages::default());
        let router = Router::new().route("/codes", post(take)).with_state(messages.clone());
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/codes", socket.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(socket, router).await });
        Self { url, messages }
    }

    /// Every message so far.
    pub fn messages(&self) -> Vec<Value> {
        self.messages.all.lock().expect("nobody panics here").clone()
    }

    /// How many messages came for `phone`.
    pub fn count(&self, phone: &str) -> usize {
        let messages = self.messages.all.lock().expect("nobody panics here");
        messages
            .iter()
            .filter(|message| message["data"]["phone"] == phone)
            .count()
    }

    /// The latest code for `phone` once at least `count` messages for it have come.
    pub async fn code(&self, phone: &str, count: usize) -> String {
        let wait = async {
            loop {
                let arrived = self.messages.arrived.notified();
                let codes: Vec<String> = self
                    .messages()
                    .iter()
                    .filter(|message| message["data"]["phone"] == phone)
                    .filter_map(|message| message["data"]["code"].as_str().map(str::to_owned))
                    .collect();
                if codes.len() >= count {
                    return codes.last().cloned().expect("at least one");
                }
                arrived.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait)
            .await
            .expect("the code arrives in time")
    }
}

async fn take(State(messages): State<Arc<Messages>>, body: String) -> &'static str {
    let message = serde_json::from_str(&body).expect("webhooks are JSON");
    messages.all.lock().expect("nobody panics here").push(message);
    messages.arrived.notify_waiters();
    "{}"
}
