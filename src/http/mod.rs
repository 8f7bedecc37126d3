//! HTTP: the only room that knows axum, status codes, cookies and utoipa.

mod language;
mod problem;
mod signed_in;

use std::ops::Deref;
use std::sync::Arc;

pub use language::Language;
pub use problem::{ErrorCode, FieldCode, FieldProblem, Problem, ProblemDocument};
pub use signed_in::SignedInGuest;

use crate::cabinet::Cabinet;
use crate::clock::Clock;
use crate::config::Config;
use crate::delivery::Delivery;
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
