//! A gateway that fails is left out for a while.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::gateway::{Reason, SendError};
use crate::clock::Clock;

/// How long a failing gateway is left out.
const PAUSE: Duration = Duration::from_mins(1);

/// Failures are counted over this time; an uncertain one counts half.
const WINDOW: Duration = Duration::from_mins(1);
const FAILURES: u32 = 3 * 2;

/// One gateway's breaker.
pub(super) struct Breaker {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    since: Duration,
    halves: u32,
    open_until: Option<Duration>,
}

impl Breaker {
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            state: Mutex::default(),
        }
    }

    /// Whether the gateway may be tried; after the pause one message tries it.
    pub fn allows(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.steady();
        match state.open_until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                state.open_until = Some(now + PAUSE);
                true
            }
        }
    }

    /// How a try went; says whether the gateway is left out from now on.
    pub fn tell(&self, outcome: Result<(), SendError>) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.steady();
        let weight = match outcome {
            Ok(()) => {
                *state = State::default();
                return false;
            }
            Err(SendError::Uncertain) => 1,
            Err(SendError::Rejected(Reason::Auth | Reason::Sender | Reason::Balance)) => FAILURES,
            Err(SendError::Rejected(
                Reason::BadRequest | Reason::Content | Reason::Unavailable | Reason::AccountLimit,
            )) => 2,
            // About the phone, not about the gateway.
            Err(SendError::Rejected(_)) => return false,
        };
        if now.saturating_sub(state.since) > WINDOW {
            state.since = now;
            state.halves = 0;
        }
        state.halves += weight;
        if state.halves >= FAILURES {
            state.open_until = Some(now + PAUSE);
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_credential_opens_at_once_and_outages_after_three() {
        let clock = Clock::manual(jiff::Timestamp::UNIX_EPOCH);
        let breaker = Breaker::new(clock.clone());
        let outage = Err(SendError::Rejected(Reason::Unavailable));
        assert!(!breaker.tell(outage) && !breaker.tell(outage) && breaker.allows());
        assert!(breaker.tell(outage) && !breaker.allows());
        clock.advance(PAUSE);
        assert!(breaker.allows(), "one message tries it");
        assert!(!breaker.allows(), "and only one");
        breaker.tell(Ok(()));
        assert!(breaker.allows());
        assert!(!breaker.tell(Err(SendError::Rejected(Reason::BadPhone))) && breaker.allows());
        assert!(breaker.tell(Err(SendError::Rejected(Reason::Auth))) && !breaker.allows());
    }
}
