//! Client-side throttling of one group of operations: what ProBonus would refuse is refused here, in the share in which it refuses.
//!
//! The rule is that of the SRE book ("Handling overload": adaptive throttling): of the requests of a sliding window the share
//! (requests − multiplier × accepts) / (requests + 1) is turned away. Random failures therefore cost what they are and no more. A run of
//! failures too long for chance is an outage: until a call succeeds, only the probes of [`ProbePacer`] pass.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, counter, gauge};

use super::window::Window;
use super::{Priority, ProbePacer};
use crate::clock::Clock;
use crate::entropy::Entropy;

/// How throttling judges. The defaults are measured: see `docs/performance.md`.
#[derive(Clone, Copy, Debug)]
pub struct Throttling {
    /// So many requests are let through for each that is accepted: with 4, calls are turned away once more than three in four fail.
    pub multiplier: f64,
    /// How far back is looked.
    pub window: Duration,
}

impl Default for Throttling {
    fn default() -> Self {
        Self {
            multiplier: 4.0,
            window: Duration::from_secs(10),
        }
    }
}

/// Background work is turned away at so much a smaller multiplier.
const BACKGROUND: f64 = 0.5;

/// Told to those who are turned away by chance: the next may pass.
const SOON: Duration = Duration::from_secs(1);

/// The throttle of one group.
pub(in crate::probonus) struct Throttle {
    group: &'static str,
    throttling: Throttling,
    pacer: Arc<ProbePacer>,
    clock: Clock,
    entropy: Entropy,
    state: Mutex<State>,
    throttled: Counter,
    share: Gauge,
}

struct State {
    window: Window,
    /// Counts successes: a call begun before the last one says nothing about the run after it.
    era: u64,
    /// Failures one after another of calls begun in this era.
    run: u32,
    /// Calls under way that began in this era.
    under_way: u32,
    /// Whether the run is an outage.
    outage: bool,
    /// Whether the last failure was an answer without sense.
    nonsense: bool,
    /// Until when ProBonus asked to be left alone.
    asked_until: Duration,
}

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::probonus) enum Outcome {
    /// ProBonus did its work, whatever it said.
    Accepted,
    /// It failed; whether by an answer without sense.
    Failed { nonsense: bool },
}

/// A call that was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::probonus) struct Throttled {
    pub retry_after: Duration,
    /// Whether ProBonus fails by answers without sense.
    pub nonsense: bool,
}

/// Leave to make one call. Dropped without an outcome (the caller went away, or it says nothing about the group), it counts as nothing.
pub(in crate::probonus) struct Permit<'a> {
    throttle: &'a Throttle,
    era: u64,
}

impl Throttle {
    pub fn new(
        group: &'static str,
        throttling: Throttling,
        pacer: Arc<ProbePacer>,
        clock: Clock,
        entropy: Entropy,
    ) -> Self {
        let share = gauge!("cabinet_upstream_rejection_share", "group" => group);
        share.set(0.0);
        Self {
            group,
            throttling,
            pacer,
            clock,
            entropy,
            state: Mutex::new(State {
                window: Window::new(throttling.window),
                era: 0,
                run: 0,
                under_way: 0,
                outage: false,
                nonsense: false,
                asked_until: Duration::ZERO,
            }),
            throttled: counter!("cabinet_upstream_throttled_total", "group" => group),
            share,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leave for one call, or why there is none.
    pub fn admit(&self, priority: Priority) -> Result<Permit<'_>, Throttled> {
        let mut state = self.state();
        let now = self.clock.steady();
        state.window.slide(now);
        if let Err(retry_after) = self.judge(&mut state, priority, now) {
            self.throttled.increment(1);
            return Err(Throttled {
                retry_after,
                nonsense: state.nonsense,
            });
        }
        state.under_way += 1;
        Ok(Permit {
            throttle: self,
            era: state.era,
        })
    }

    fn judge(&self, state: &mut State, priority: Priority, now: Duration) -> Result<(), Duration> {
        if state.is_outage() {
            self.share.set(1.0);
            let probes = self.pacer.try_take(priority, now);
            return probes.then_some(()).ok_or_else(|| self.pacer.wait(now));
        }
        let share = state.window.rejection_share(self.throttling.multiplier);
        self.share.set(share);
        if priority == Priority::Foreground {
            if self.draw(share) {
                state.window.rejected();
                return Err(SOON);
            }
            return Ok(());
        }
        if now < state.asked_until {
            return Err(state.asked_until.saturating_sub(now));
        }
        // What is shed of these says nothing about those for whom somebody waits, so it is not counted among the requests.
        let share = state.window.rejection_share(self.throttling.multiplier * BACKGROUND);
        if self.draw(share) { Err(SOON) } else { Ok(()) }
    }

    /// True in the given share of cases.
    fn draw(&self, share: f64) -> bool {
        if share <= 0.0 {
            return false;
        }
        let drawn = u32::try_from(self.entropy.below(1 << 32)).unwrap_or(u32::MAX);
        f64::from(drawn) < share * f64::from(u32::MAX)
    }

    /// ProBonus asked to be left alone for `pause`: nothing is tried again and nothing done in the background meanwhile. Those for whom
    /// somebody waits find out whether it was meant for all: when it was, they fail, and that is an outage.
    pub fn pause(&self, pause: Duration) {
        let mut state = self.state();
        state.asked_until = state.asked_until.max(self.clock.steady() + pause);
    }

    /// Whether a failed call may be tried again now.
    pub fn may_retry(&self) -> bool {
        let state = self.state();
        !state.is_outage() && self.clock.steady() >= state.asked_until
    }

    fn record(&self, permit: &Permit, outcome: Outcome) {
        let mut state = self.state();
        let now = self.clock.steady();
        state.window.slide(now);
        match outcome {
            Outcome::Accepted => self.accepted(&mut state),
            Outcome::Failed { nonsense } => {
                state.window.failed();
                state.nonsense = nonsense;
                if permit.era == state.era {
                    state.run += 1;
                    self.look_for_outage(&mut state, now);
                }
            }
        }
    }

    fn accepted(&self, state: &mut State) {
        if state.outage {
            state.outage = false;
            state.window.clear();
            self.share.set(0.0);
            tracing::info!(group = self.group, "ProBonus answers again");
        }
        state.window.accepted();
        state.era += 1;
        state.run = 0;
        state.under_way = 0;
    }

    fn look_for_outage(&self, state: &mut State, now: Duration) {
        if !state.outage && state.run >= state.window.run_of_an_outage(state.run) {
            state.outage = true;
            self.share.set(1.0);
            self.pacer.begin(now);
            tracing::warn!(
                group = self.group,
                failures = state.run,
                "ProBonus fails: one call a second tries it"
            );
        }
    }
}

impl State {
    /// Whether the run is an outage, or will be one when those under way fail as those before them did.
    fn is_outage(&self) -> bool {
        if self.outage || self.run == 0 {
            return self.outage;
        }
        let enough = self.window.run_of_an_outage(self.run);
        self.run * 2 >= enough && self.run + self.under_way >= enough
    }
}

impl Permit<'_> {
    /// How the call went.
    pub fn record(self, outcome: Outcome) {
        self.throttle.record(&self, outcome);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.throttle.state();
        if self.era == state.era {
            state.under_way = state.under_way.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests;
