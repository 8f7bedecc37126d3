//! HTTP: the only room that knows axum, status codes, cookies and utoipa.

pub mod body;
pub mod facts;
mod fields;
mod language;
mod layers;
mod listener;
mod openapi;
mod operations;
mod problem;
mod routes;
mod signed_in;

use std::ops::Deref;
use std::sync::Arc;

pub use facts::RequestFacts;
pub use fields::{Fields, FromFields};
pub use language::Language;
pub use layers::Edge;
pub use listener::{Listener, serve_admin};
pub use problem::{ErrorCode, FieldCode, FieldProblem, Problem, ProblemDocument};
pub use routes::{document, document_text};
pub use signed_in::SignedInGuest;

use crate::cabinet::Cabinet;
use crate::clock::Clock;
use crate::config::Config;
use crate::delivery::Delivery;
use crate::entropy::Entropy;
use crate::partner::Partner;
use crate::sign_in::SignIn;
use crate::store::SharedStore;

/// What handlers reach: the rooms behind them. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Rooms>);

/// The rooms.
pub struct Rooms {
    /// Settings.
    pub config: Config,
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
        Self(Arc::new(rooms))
    }
}

impl Deref for App {
    type Target = Rooms;
    fn deref(&self) -> &Rooms {
        &self.0
    }
}
