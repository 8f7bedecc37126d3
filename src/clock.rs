//! Time as a parameter. Everything that asks what time it is asks a [`Clock`]; tests move a manual one.
//!
//! Two readings exist: the wall (`now`), which may jump and is what is written down and told to people, and the steady
//! one (`steady`), which never goes back and is what freshness, pauses and breakers compare.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;

/// A handle to the time. Cheap to clone; all clones of a manual clock move together.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { started: Instant },
    Manual { start_us: i64, moved_us: Arc<AtomicI64> },
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    pub fn system() -> Self {
        Self(Source::System {
            started: Instant::now(),
        })
    }

    /// A clock that stands at `start` until it is moved.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual {
            start_us: start.as_microsecond(),
            moved_us: Arc::default(),
        })
    }

    /// The wall clock's reading.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System { .. } => Timestamp::now(),
            Source::Manual { start_us, moved_us } => {
                Timestamp::from_microsecond(start_us.saturating_add(moved_us.load(Ordering::SeqCst)))
                    .unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// The wall clock's reading in microseconds since the epoch, as the store keeps it.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    pub fn now_us(&self) -> i64 {
        // Asked at every request: without the way through a calendar's type.
        match &self.0 {
            Source::System { .. } => {
                let since = SystemTime::now()
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .unwrap_or_default();
                micros(since)
            }
            Source::Manual { .. } => self.now().as_microsecond(),
        }
    }

    /// Time since this clock was made; never goes back.
    #[must_use]
    pub fn steady(&self) -> Duration {
        match &self.0 {
            Source::System { started } => started.elapsed(),
            Source::Manual { moved_us, .. } => {
                Duration::from_micros(u64::try_from(moved_us.load(Ordering::SeqCst)).unwrap_or(0))
            }
        }
    }

    /// Moves a manual clock forward.
    ///
    /// # Panics
    /// On the system clock: nobody can move that.
    pub fn advance(&self, by: Duration) {
        match &self.0 {
            Source::System { .. } => panic!("the system clock cannot be moved"),
            Source::Manual { moved_us, .. } => {
                moved_us.fetch_add(micros(by), Ordering::SeqCst);
            }
        }
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
