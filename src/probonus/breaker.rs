//! When ProBonus fails, it is left alone for a while: one breaker per group of operations.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{Gauge, gauge};

use crate::clock::Clock;

/// Outcomes that are remembered.
const WINDOW: usize = 20;

/// Failures among them that open a breaker of calls that may be repeated.
pub(super) const HALF: usize = WINDOW / 2;

/// Failures among them that open a breaker of calls that may not: each failure of such a one is settled by itself, while an open breaker
/// turns away whoever could have been served.
pub(super) const NEARLY_ALL: usize = WINDOW - 2;

/// The first pause; it doubles with each failed probe.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// A breaker. Closed: calls pass and are counted. Open: none passes until the pause is over. Then one probe decides.
pub(super) struct Breaker {
    clock: Clock,
    /// Failures among the last outcomes that open it.
    failures: usize,
    state: Mutex<State>,
    gauge: Gauge,
}

struct State {
    /// The last outcomes, failures as ones, newest lowest.
    outcomes: u32,
    counted: usize,
    /// Until when nothing passes, on the steady clock.
    closed_until: Option<Duration>,
    pause: Duration,
    /// Until when ProBonus asked to be left alone, on the steady clock.
    asked_until: Duration,
    probing: bool,
    /// Counts openings and closings: an answer to a call of an earlier time says nothing about now.
    era: u64,
}

/// Leave to make one call. Dropped without a word (the caller went away), it frees the probe's place and counts as nothing.
pub(super) struct Permit<'a> {
    breaker: &'a Breaker,
    era: u64,
    probe: bool,
    told: bool,
}

impl Breaker {
    pub fn new(group: &'static str, failures: usize, clock: Clock) -> Self {
        let gauge = gauge!("cabinet_breaker_state", "group" => group);
        gauge.set(0.0);
        Self {
            clock,
            failures,
            gauge,
            state: Mutex::new(State {
                outcomes: 0,
                counted: 0,
                closed_until: None,
                pause: FIRST_PAUSE,
                asked_until: Duration::ZERO,
                probing: false,
                era: 0,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leave for a call, or how long to wait.
    pub fn permit(&self) -> Result<Permit<'_>, Duration> {
        let mut state = self.state();
        let now = self.clock.steady();
        if now < state.asked_until {
            return Err(state.asked_until.saturating_sub(now));
        }
        let probe = match state.closed_until {
            None => false,
            Some(until) => {
                if now < until {
                    return Err(until.saturating_sub(now));
                }
                if state.probing {
                    return Err(Duration::from_secs(1));
                }
                state.probing = true;
                self.gauge.set(0.5);
                true
            }
        };
        Ok(Permit {
            breaker: self,
            era: state.era,
            probe,
            told: false,
        })
    }

    /// ProBonus asked to be left alone for `pause`.
    pub fn pause(&self, pause: Duration) {
        let mut state = self.state();
        state.asked_until = state.asked_until.max(self.clock.steady() + pause);
    }

    fn tell(&self, permit: &Permit, failed: bool) {
        let mut state = self.state();
        if state.era != permit.era {
            return;
        }
        if permit.probe {
            state.probing = false;
            state.era += 1;
            if failed {
                state.pause = (state.pause * 2).min(LONGEST_PAUSE);
                self.open(&mut state);
            } else {
                state.closed_until = None;
                state.pause = FIRST_PAUSE;
                state.outcomes = 0;
                state.counted = 0;
                self.gauge.set(0.0);
            }
            return;
        }
        state.outcomes = (state.outcomes << 1 | u32::from(failed)) & ((1 << WINDOW) - 1);
        state.counted = (state.counted + 1).min(WINDOW);
        if state.counted == WINDOW && state.outcomes.count_ones() as usize >= self.failures {
            state.era += 1;
            self.open(&mut state);
        }
    }

    fn open(&self, state: &mut State) {
        state.closed_until = Some(self.clock.steady() + state.pause);
        self.gauge.set(1.0);
        tracing::warn!(pause_s = state.pause.as_secs(), "calls to ProBonus are paused");
    }
}

impl Permit<'_> {
    /// How the call went.
    pub fn tell(mut self, failed: bool) {
        self.told = true;
        self.breaker.tell(&self, failed);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.probe && !self.told {
            let mut state = self.breaker.state();
            if state.era == self.era {
                state.probing = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> (Breaker, Clock) {
        let clock = Clock::manual(jiff::Timestamp::UNIX_EPOCH);
        (Breaker::new("test", HALF, clock.clone()), clock)
    }

    fn call(breaker: &Breaker, failed: bool) -> bool {
        breaker.permit().map(|permit| permit.tell(failed)).is_ok()
    }

    #[test]
    fn half_of_twenty_failures_open_it_and_one_good_probe_closes_it() {
        let (breaker, clock) = breaker();
        for index in 0..20 {
            assert!(call(&breaker, index % 2 == 0));
        }
        assert!(!call(&breaker, false));
        clock.advance(FIRST_PAUSE);
        let probe = breaker.permit().unwrap_or_else(|_| panic!("the probe passes"));
        assert!(breaker.permit().is_err(), "only one probe");
        probe.tell(false);
        assert!(call(&breaker, false));
    }

    #[test]
    fn nobody_calls_while_probonus_asks_to_be_left_alone() {
        let (breaker, clock) = breaker();
        breaker.pause(Duration::from_secs(3));
        breaker.pause(Duration::from_secs(1));
        assert_eq!(breaker.permit().err(), Some(Duration::from_secs(3)));
        clock.advance(Duration::from_secs(3));
        assert!(call(&breaker, false));
    }

    #[test]
    fn failed_probes_double_the_pause_up_to_a_minute() {
        let (breaker, clock) = breaker();
        for _ in 0..20 {
            call(&breaker, true);
        }
        for pause in [5, 10, 20, 40, 60, 60] {
            clock.advance(
                Duration::from_secs(pause)
                    .checked_sub(Duration::from_millis(1))
                    .unwrap(),
            );
            assert!(breaker.permit().is_err());
            clock.advance(Duration::from_millis(1));
            assert!(call(&breaker, true));
        }
    }

    #[test]
    fn a_dropped_probe_frees_its_place_and_late_answers_are_ignored() {
        let (breaker, clock) = breaker();
        let late = breaker.permit().unwrap_or_else(|_| panic!("closed"));
        for _ in 0..20 {
            call(&breaker, true);
        }
        clock.advance(FIRST_PAUSE);
        drop(breaker.permit().unwrap_or_else(|_| panic!("a probe")));
        let probe = breaker.permit().unwrap_or_else(|_| panic!("another probe"));
        late.tell(false);
        assert!(breaker.permit().is_err(), "a late answer closes nothing");
        probe.tell(false);
        assert!(call(&breaker, false));
    }
}
