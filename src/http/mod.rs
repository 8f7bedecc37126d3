//! HTTP: the only room that knows axum, status codes, cookies and utoipa.

mod answer;
mod auth;
pub mod body;
mod callbacks;
mod cookies;
mod cors;
mod demo;
mod entity_tag;
mod events;
pub mod facts;
mod fields;
mod forwarding;
mod guest;
mod language;
mod layers;
mod openapi;
mod operations;
mod partner;
mod problem;
mod program;
mod questionnaire;
mod quick;
mod routes;
mod server;
mod sessions;
mod signed_in;
mod site;

use std::ops::Deref;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use demo::{Demo, DemoGuest};
pub use facts::RequestFacts;
pub use fields::{Fields, FromFields};
pub use language::Language;
pub use layers::Edge;
pub use problem::{ErrorCode, FieldCode, FieldProblem, Problem, ProblemDocument};
pub use routes::{document, document_text};
pub use server::{Inherited, Server, connections_that_fit, serve_admin};
pub use signed_in::SignedInGuest;

use crate::cabinet::Cabinet;
use crate::clock::Clock;
use crate::config::Config;
use crate::delivery::Delivery;
use crate::entropy::Entropy;
use crate::partner::Partner;
use crate::sign_in::SignIn;
use crate::store::{SharedStore, StoreError};

/// What handlers reach: the rooms behind them. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    rooms: Rooms,
    programs: program::Programs,
    streams: Arc<Semaphore>,
    leaving: CancellationToken,
}

/// The rooms.
pub struct Rooms {
    /// Settings.
    pub config: Config,
    /// The origins of our own pages, as browsers send them.
    pub own_origins: Vec<String>,
    /// What the demo tells its pages; `None` outside the demo.
    pub demo: Option<Demo>,
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
    /// State, for readiness only.
    pub store: SharedStore,
    /// Signing in.
    pub sign_in: Arc<SignIn>,
    /// Gateways, for their callbacks only.
    pub delivery: Arc<Delivery>,
    /// Guest views.
    pub cabinet: Arc<Cabinet>,
    /// Partner operations.
    pub partner: Arc<Partner>,
}

impl App {
    /// Gathers the rooms.
    #[must_use]
    pub fn new(rooms: Rooms) -> Self {
        Self(Arc::new(Inner {
            streams: events::room(rooms.config.web.max_connections),
            rooms,
            programs: program::Programs::default(),
            leaving: CancellationToken::new(),
        }))
    }

    /// Places for those who stay connected.
    fn streams(&self) -> Arc<Semaphore> {
        self.0.streams.clone()
    }

    /// Cancelled when the server begins to stop: whoever stays connected is let go.
    fn leaving(&self) -> &CancellationToken {
        &self.0.leaving
    }
}

impl From<StoreError> for Problem {
    /// The store is down: everything that needs it fails closed, and says when to come again.
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "the store failed");
        store_down()
    }
}

/// Nobody asked too often: the state cannot be read or written now.
fn store_down() -> Problem {
    Problem::new(ErrorCode::Overloaded)
        .worded(
            "Сейчас это не получится, попробуйте через несколько секунд",
            "This cannot be done right now, try again in a few seconds",
        )
        .retry_after(std::time::Duration::from_secs(2))
}

impl Deref for App {
    type Target = Rooms;
    fn deref(&self) -> &Rooms {
        &self.0.rooms
    }
}

/// Seconds as callers are told them: rounded up, so that nobody comes too early.
fn whole_seconds(duration: std::time::Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
