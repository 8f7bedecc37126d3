//! Time as a parameter. Everything that asks what time it is asks a [`Clock`]; tests move a manual one.
//!
//! Three readings exist. The wall (`now`) may jump, and is what people and other systems are told. The rows' time (`now_us`) is what
//! moments in the store are written and compared by: it never goes back, and replicas that share a store share it. The steady one
//! (`steady`) knows no date: freshness, pauses and breakers compare it.

mod pace;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use pace::Pace;

/// A handle to the time. Cheap to clone; all clones of a manual clock move together.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Readings>);

#[derive(Debug)]
struct Readings {
    source: Source,
    /// How far the wall was set forward or back for a test (µs).
    wall_set_us: AtomicI64,
    rows: Pace,
}

#[derive(Debug)]
enum Source {
    System { started: Instant },
    Manual { start_us: i64, moved_us: AtomicI64 },
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    pub fn system() -> Self {
        let source = Source::System {
            started: Instant::now(),
        };
        Self::new(source, Timestamp::now().as_microsecond())
    }

    /// A clock that stands at `start` until it is moved.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        let start_us = start.as_microsecond();
        let moved_us = AtomicI64::new(0);
        Self::new(Source::Manual { start_us, moved_us }, start_us)
    }

    fn new(source: Source, now_us: i64) -> Self {
        Self(Arc::new(Readings {
            source,
            wall_set_us: AtomicI64::new(0),
            rows: Pace::new(now_us),
        }))
    }

    /// The wall clock's reading.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.wall_and_steady_us().0).unwrap_or(Timestamp::MAX)
    }

    /// The wall clock and the steady one in microseconds, read at once.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    pub fn wall_and_steady_us(&self) -> (i64, i64) {
        let steady_us = self.steady_us();
        let wall_us = match &self.0.source {
            Source::System { .. } => Timestamp::now().as_microsecond(),
            Source::Manual { start_us, .. } => start_us.saturating_add(steady_us),
        };
        let set_us = self.0.wall_set_us.load(Ordering::SeqCst);
        (wall_us.saturating_add(set_us), steady_us)
    }

    /// The rows' time in microseconds since the epoch, as the store keeps it. It never goes back.
    #[must_use]
    pub fn now_us(&self) -> i64 {
        self.0.rows.at(self.steady_us())
    }

    /// Time since this clock was made; never goes back.
    #[must_use]
    pub fn steady(&self) -> Duration {
        match &self.0.source {
            Source::System { started } => started.elapsed(),
            Source::Manual { moved_us, .. } => {
                Duration::from_micros(u64::try_from(moved_us.load(Ordering::SeqCst)).unwrap_or(0))
            }
        }
    }

    /// The same in microseconds.
    #[must_use]
    pub fn steady_us(&self) -> i64 {
        micros(self.steady())
    }

    /// The rows' time and the steady one, read at once.
    #[must_use]
    pub fn now_and_steady_us(&self) -> (i64, i64) {
        let steady_us = self.steady_us();
        (self.0.rows.at(steady_us), steady_us)
    }

    /// As [`Clock::follow`], before anything was written: it may go back.
    pub fn begin(&self, steady_us: i64, true_us: i64) {
        self.0.rows.begin(steady_us, true_us);
    }

    /// Says that the true time, by which rows are written, was `true_us` when the steady clock read `steady_us`.
    pub fn follow(&self, steady_us: i64, true_us: i64) {
        let passed = self.steady_us().saturating_sub(steady_us);
        self.0
            .rows
            .follow(steady_us.saturating_add(passed), true_us.saturating_add(passed));
    }

    /// Whether nobody but a test moves it.
    #[must_use]
    pub fn is_manual(&self) -> bool {
        matches!(self.0.source, Source::Manual { .. })
    }

    /// Moves a manual clock forward.
    ///
    /// # Panics
    /// On the system clock: nobody can move that.
    pub fn advance(&self, by: Duration) {
        match &self.0.source {
            Source::System { .. } => panic!("the system clock cannot be moved"),
            Source::Manual { moved_us, .. } => {
                moved_us.fetch_add(micros(by), Ordering::SeqCst);
            }
        }
    }

    /// Sets the wall forward or back, as somebody with a wrong clock does.
    pub fn set_wall(&self, by: SignedDuration) {
        let by_us = i64::try_from(by.as_micros()).unwrap_or(0);
        self.0.wall_set_us.fetch_add(by_us, Ordering::SeqCst);
    }
}

/// A time in microseconds, as the store keeps it.
#[must_use]
pub fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// Until when an answer is awaited, and whether anybody waits for it. Carried from the request through every room; real time, as sockets
/// know no other.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: tokio::time::Instant,
    background: bool,
}

impl Deadline {
    /// `limit` from now.
    #[must_use]
    pub fn within(limit: Duration) -> Self {
        Self {
            at: tokio::time::Instant::now() + limit,
            background: false,
        }
    }

    /// The same for work that nobody waits for: it is shed before any other.
    #[must_use]
    pub fn in_background(self) -> Self {
        Self {
            background: true,
            ..self
        }
    }

    /// `limit` from now, however much was left: for work that goes on whoever leaves.
    #[must_use]
    pub fn lasting(self, limit: Duration) -> Self {
        Self {
            at: tokio::time::Instant::now() + limit,
            ..self
        }
    }

    /// Whether nobody waits for the answer.
    #[must_use]
    pub fn is_background(self) -> bool {
        self.background
    }

    /// What is left; zero when it has passed.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.at.saturating_duration_since(tokio::time::Instant::now())
    }

    /// What was spent of a `limit` that ends here; more than all of it when it has passed.
    #[must_use]
    pub fn spent(self, limit: Duration) -> Duration {
        (tokio::time::Instant::now() + limit).saturating_duration_since(self.at)
    }

    /// The earlier of this and `limit` from now.
    #[must_use]
    pub fn at_most(self, limit: Duration) -> Self {
        Self {
            at: self.at.min(tokio::time::Instant::now() + limit),
            ..self
        }
    }

    /// The same, earlier by `lead`.
    #[must_use]
    pub fn earlier_by(self, lead: Duration) -> Self {
        Self {
            at: self.at.checked_sub(lead).unwrap_or(self.at),
            ..self
        }
    }

    /// For `tokio::time::timeout_at`.
    #[must_use]
    pub fn instant(self) -> tokio::time::Instant {
        self.at
    }
}
