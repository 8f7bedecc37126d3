//! A stateful stand-in for ProBonus on its own port, spoken to over HTTP only: named guests, a till, faults, a movable clock.
//!
//! It knows the vocabulary of ids at most and nothing of our client: what it answers is written down from what is known of ProBonus.
//! Everything about it is controlled over HTTP, under `/sandbox`.

mod api;
mod book;
mod control;
mod describe;
mod dialect;
mod faults;
mod menu;
mod page;
mod people;
mod phones;
mod serve;
mod till;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

pub use dialect::Dialect;

use crate::clock::Clock;
use crate::entropy::Entropy;
use book::Book;
use faults::Faults;

/// How a sandbox starts.
pub struct SandboxConfig {
    /// Where it listens; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The permanent API token it accepts.
    pub token: String,
    /// The login it accepts.
    pub login: String,
    /// Its password.
    pub password: String,
    /// How it speaks at first.
    pub dialect: Dialect,
    /// Time; `/sandbox/clock` moves the sandbox' own reading of it.
    pub clock: Clock,
    /// Randomness, for faults by chance and tokens.
    pub entropy: Entropy,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            token: "sandbox-token".into(),
            login: "sandbox".into(),
            password: "sandbox".into(),
            dialect: Dialect::default(),
            clock: Clock::system(),
            entropy: Entropy::system(),
        }
    }
}

/// A running sandbox.
pub struct Sandbox {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
}

/// What all its handlers reach.
struct Shared {
    config: SandboxConfig,
    world: Mutex<World>,
    /// How far `/sandbox/clock` moved time, in microseconds.
    moved_us: AtomicI64,
    zone: TimeZone,
}

/// Everything that changes.
struct World {
    book: Book,
    detours: phones::Detours,
    /// What was ordered and takes effect later, with the moment (µs).
    late: Vec<(i64, &'static str, api::Arguments)>,
    dialect: Dialect,
    faults: Faults,
    journal: Journal,
    revoked: bool,
    /// Tokens given by login, with the moment (µs) they end.
    tokens: Vec<(String, i64)>,
    refresh_tokens: Vec<String>,
}

/// Calls that were made, newest last; the oldest fall out.
#[derive(Default)]
struct Journal {
    calls: VecDeque<Call>,
    total: u64,
}

/// One call, without anything personal.
#[derive(Clone, Serialize)]
struct Call {
    at: Timestamp,
    operation: &'static str,
    method: String,
    status: u16,
    /// Names of the arguments.
    arguments: Vec<String>,
    /// The fault that was met.
    fault: Option<String>,
}

/// Calls that are remembered.
const JOURNAL: usize = 10_000;

impl Journal {
    fn add(&mut self, call: Call) {
        self.total += 1;
        if self.calls.len() == JOURNAL {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }
}

impl World {
    fn new(dialect: Dialect, now: Timestamp, zone: &TimeZone) -> Self {
        Self {
            book: people::book(now, zone),
            detours: phones::Detours::default(),
            late: Vec::new(),
            dialect,
            faults: Faults::default(),
            journal: Journal::default(),
            revoked: false,
            tokens: Vec::new(),
            refresh_tokens: Vec::new(),
        }
    }
}

impl Shared {
    fn now(&self) -> Timestamp {
        let us = self
            .config
            .clock
            .now_us()
            .saturating_add(self.moved_us.load(Ordering::SeqCst));
        Timestamp::from_microsecond(us).unwrap_or(Timestamp::MAX)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sandbox {
    /// Starts one.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    ///
    /// # Panics
    /// Never: the zone is part of the program.
    pub async fn start(config: SandboxConfig) -> std::io::Result<Self> {
        let socket = tokio::net::TcpListener::bind(config.listen).await?;
        let address = socket.local_addr()?;
        let zone = TimeZone::get("Europe/Moscow").expect("the zone is part of the program");
        let world = World::new(config.dialect.clone(), config.clock.now(), &zone);
        let shared = Arc::new(Shared {
            config,
            world: Mutex::new(world),
            moved_us: AtomicI64::new(0),
            zone,
        });
        let stop = CancellationToken::new();
        tokio::spawn(serve::accept(socket, shared.clone(), stop.clone()));
        Ok(Self { address, shared, stop })
    }

    /// Where it is, as in `http://127.0.0.1:8090`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The API token it accepts.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.shared.config.token
    }

    /// The login and password it accepts.
    #[must_use]
    pub fn login(&self) -> (&str, &str) {
        (&self.shared.config.login, &self.shared.config.password)
    }

    /// The guests to try: name, phone, what is special about them.
    #[must_use]
    pub fn guests(&self) -> Vec<Guest> {
        people::GUESTS.iter().map(people::Person::guest).collect()
    }

    /// Stops listening; connections under way are cut.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A named guest.
#[derive(Clone, Debug, Serialize)]
pub struct Guest {
    /// The name.
    pub name: &'static str,
    /// The phone, `+7…`.
    pub phone: String,
    /// What is special, in Russian.
    pub note: &'static str,
    /// The same in English.
    pub note_en: &'static str,
}
