//! The time that rows are written by: with one process the wall clock's, with several replicas that of the store they share. It is followed
//! here, and when this machine's clock differs from it, that is told.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, timeout};

use crate::clock::Clock;
use crate::store::SharedStore;

/// How often the wall is looked at.
const BEAT: Duration = Duration::from_secs(1);

/// How often a shared store is asked what time it is, and how long it may take: half of that may be wrong.
const ASK: Duration = Duration::from_mins(1);
const PATIENCE: Duration = Duration::from_secs(1);

/// A difference is told from here on.
const APART_US: i64 = 2_000_000;

/// What follows the time.
pub(super) struct Timekeeper {
    store: SharedStore,
    clock: Clock,
    /// The shared store's clock less the steady one.
    ahead_us: Option<i64>,
    asked: Option<Instant>,
    told: bool,
}

impl Timekeeper {
    /// Follows from now on.
    pub async fn start(store: SharedStore, clock: Clock) -> Self {
        let mut keeper = Self {
            store,
            clock,
            ahead_us: None,
            asked: None,
            told: false,
        };
        let (steady_us, true_us) = keeper.look().await;
        keeper.clock.begin(steady_us, true_us);
        keeper
    }

    /// Goes on until it is dropped.
    pub async fn run(mut self) {
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            let (steady_us, true_us) = self.look().await;
            self.clock.follow(steady_us, true_us);
        }
    }

    /// What the true time is, at which moment of the steady clock; tells when the wall clock differs from it.
    async fn look(&mut self) -> (i64, i64) {
        let shared = self.store.is_shared();
        // A clock that a test moves knows nothing of the time where the store is.
        if shared && !self.clock.is_manual() && self.asked.is_none_or(|asked| asked.elapsed() >= ASK) {
            self.ask().await;
        }
        let (wall_us, steady_us) = self.clock.wall_and_steady_us();
        let true_us = match self.ahead_us {
            Some(ahead_us) => steady_us.saturating_add(ahead_us),
            None => wall_us,
        };
        let expected_us = if shared { true_us } else { self.clock.now_us() };
        self.tell(wall_us.saturating_sub(expected_us));
        (steady_us, true_us)
    }

    async fn ask(&mut self) {
        let before_us = self.clock.steady_us();
        if let Ok(Ok(Some(store_us))) = timeout(PATIENCE, self.store.clock_us()).await {
            let middle_us = before_us.midpoint(self.clock.steady_us());
            self.ahead_us = Some(store_us.saturating_sub(middle_us));
            self.asked = Some(Instant::now());
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a difference of clocks in seconds")]
    fn tell(&mut self, apart_us: i64) {
        let seconds = apart_us as f64 / 1e6;
        metrics::gauge!("cabinet_clock_offset_seconds").set(seconds);
        let apart = apart_us.abs() > APART_US;
        if apart && !self.told {
            let of = if self.store.is_shared() {
                "the store's"
            } else {
                "what it was"
            };
            tracing::warn!(
                seconds,
                "this machine's clock differs from {of}; set the time (NTP). Sessions, codes and limits go by {of} meanwhile"
            );
        } else if !apart && self.told {
            tracing::info!("this machine's clock is right again");
        }
        self.told = apart;
    }
}
