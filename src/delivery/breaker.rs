//! A gateway that fails is left out for a while, longer each time it turns out not to have recovered.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::gateway::Reason::{AccountLimit, Auth, BadRequest, Balance, Content, Sender, Unavailable};
use super::gateway::SendError;
use crate::clock::Clock;

/// How long a failing gateway is left out at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// However long a gateway asks to be left alone, it is not left out for longer.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// Failures are counted over this time, in halves: an uncertain one counts one.
const WINDOW: Duration = Duration::from_mins(1);
const HALVES: u32 = 3 * 2;

/// So many tries without a message come before the first with one; an odd number.
const PROBES: u32 = 3;

/// One gateway's breaker.
pub(super) struct Breaker {
    clock: Clock,
    /// Whether the gateway can be tried without a guest's message: then none is risked on it at first.
    probed: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    since: Duration,
    halves: u32,
    open: Option<Open>,
    /// It is back by its balance's word after so long a pause, and no message bore that out yet.
    on_trial: Option<Duration>,
}

/// The gateway is left out.
struct Open {
    until: Duration,
    pause: Duration,
    /// One try is under way.
    trying: bool,
    /// It is made with a message.
    with_message: bool,
    tries: u32,
}

/// What an outcome changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Nothing,
    /// The gateway is left out from now on.
    Opened,
    /// The gateway is back.
    Closed,
}

impl Breaker {
    pub fn new(clock: Clock, probed: bool) -> Self {
        Self {
            clock,
            probed,
            state: Mutex::default(),
        }
    }

    /// Whether a message may be sent; after the pause one message tries the gateway, unless it is tried otherwise.
    pub fn allows(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut state.open {
            None => true,
            Some(open) => open.is_for_a_message(self.probed) && open.starts_try(true, self.clock.steady()),
        }
    }

    /// Whether the gateway should be tried now without a message; whoever is told so does it.
    pub fn is_due(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let open = state.open.as_mut().filter(|open| !open.is_for_a_message(self.probed));
        open.is_some_and(|open| open.starts_try(false, self.clock.steady()))
    }

    /// How long no message can be sent; `None` when one can.
    pub fn closed_for(&self) -> Option<Duration> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let open = state.open.as_ref()?;
        let left = open.until.saturating_sub(self.clock.steady());
        (!open.is_for_a_message(self.probed) || !left.is_zero()).then_some(left)
    }

    /// How a try went.
    pub fn tell(&self, outcome: Result<(), SendError>) -> Change {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.steady();
        let weight = weight(outcome);
        let pause = outcome.err().and_then(asked_pause).filter(|_| weight > 0);
        let Some(open) = &mut state.open else {
            return state.count(weight, pause, now);
        };
        // What was sent before the gateway was left out says nothing new.
        if !open.trying {
            return Change::Nothing;
        }
        if weight == 0 {
            *state = State {
                on_trial: (!open.with_message).then_some(open.pause),
                ..State::default()
            };
            return Change::Closed;
        }
        open.pause = pause.unwrap_or_else(|| longer(open.pause));
        open.until = now + open.pause;
        open.trying = false;
        Change::Nothing
    }
}

impl Open {
    /// Whether the next try is made with a message. Where the gateway can be tried without, that is only every other one, after a
    /// while: it may be that what fails is nothing but the telling of the balance.
    fn is_for_a_message(&self, probed: bool) -> bool {
        !probed || (self.tries >= PROBES && self.tries % 2 == 1)
    }

    /// Whether the pause is over; if so, it begins again, in case nothing is heard of this try.
    fn starts_try(&mut self, with_message: bool, now: Duration) -> bool {
        let over = now >= self.until;
        if over {
            self.until = now + self.pause;
            self.trying = true;
            self.with_message = with_message;
            self.tries = self.tries.wrapping_add(1);
        }
        over
    }
}

impl State {
    fn count(&mut self, weight: u32, pause: Option<Duration>, now: Duration) -> Change {
        if now.saturating_sub(self.since) > WINDOW {
            self.since = now;
            self.halves = 0;
        }
        self.halves += weight;
        // An account in order is no promise to send: the first message that fails says that nothing got better.
        let on_trial = self.on_trial.take().filter(|_| weight > 0);
        if self.halves < HALVES && pause.is_none() && on_trial.is_none() {
            return Change::Nothing;
        }
        let pause = pause.or(on_trial.map(longer)).unwrap_or(FIRST_PAUSE);
        self.open = Some(Open {
            until: now + pause,
            pause,
            trying: false,
            with_message: false,
            tries: 0,
        });
        Change::Opened
    }
}

/// The pause after one that was not enough.
fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

/// What an outcome says against the gateway, in halves of a failure.
fn weight(outcome: Result<(), SendError>) -> u32 {
    let Err(error) = outcome else {
        return 0;
    };
    match error.reason() {
        None => 1,
        Some(Auth | Sender | Balance) => HALVES,
        Some(BadRequest | Content | Unavailable | AccountLimit) => 2,
        // Refused because of the phone.
        Some(_) => 0,
    }
}

/// How long the gateway asks to be left alone.
fn asked_pause(error: SendError) -> Option<Duration> {
    match error {
        SendError::Later(_, wait) => Some(wait.clamp(FIRST_PAUSE, LONGEST_WAIT)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::gateway::Reason;
    use super::*;

    const OUTAGE: Result<(), SendError> = Err(SendError::Rejected(Reason::Unavailable));

    fn breaker(probed: bool) -> (Clock, Breaker) {
        let clock = Clock::manual(jiff::Timestamp::UNIX_EPOCH);
        (clock.clone(), Breaker::new(clock, probed))
    }

    #[test]
    fn three_outages_within_a_minute_leave_it_out_and_one_message_tries_it_later() {
        let (clock, breaker) = breaker(false);
        assert_eq!(breaker.tell(OUTAGE), Change::Nothing);
        clock.advance(WINDOW + Duration::from_secs(1));
        assert_eq!(breaker.tell(OUTAGE), Change::Nothing);
        assert_eq!(breaker.tell(OUTAGE), Change::Nothing);
        assert!(breaker.allows() && breaker.closed_for().is_none());
        assert_eq!(breaker.tell(OUTAGE), Change::Opened);
        assert!(!breaker.allows());
        assert_eq!(breaker.closed_for(), Some(FIRST_PAUSE));
        assert_eq!(breaker.tell(Ok(())), Change::Nothing, "a straggler");
        clock.advance(FIRST_PAUSE);
        assert!(breaker.allows(), "one message tries it");
        assert!(!breaker.allows(), "and only one");
        assert_eq!(breaker.tell(OUTAGE), Change::Nothing);
        clock.advance(FIRST_PAUSE);
        assert!(!breaker.allows(), "the second pause is longer");
        clock.advance(FIRST_PAUSE);
        assert!(breaker.allows());
        assert_eq!(breaker.tell(Ok(())), Change::Closed);
        assert!(breaker.allows() && breaker.allows());
    }

    #[test]
    fn a_try_that_nothing_is_heard_of_is_made_again() {
        let (clock, breaker) = breaker(false);
        breaker.tell(Err(SendError::Rejected(Reason::Auth)));
        clock.advance(FIRST_PAUSE);
        assert!(breaker.allows() && !breaker.allows());
        clock.advance(FIRST_PAUSE);
        assert!(breaker.allows());
    }

    #[test]
    fn wrong_credentials_leave_it_out_at_once_and_phones_never() {
        let (_, breaker) = breaker(false);
        for _ in 0..100 {
            let about_the_phone = Err(SendError::Rejected(Reason::BadPhone));
            assert_eq!(breaker.tell(about_the_phone), Change::Nothing);
        }
        for _ in 0..5 {
            assert_eq!(breaker.tell(Err(SendError::Uncertain)), Change::Nothing);
        }
        assert!(breaker.allows());
        assert_eq!(breaker.tell(Err(SendError::Uncertain)), Change::Opened);
        let (_, breaker) = self::breaker(false);
        assert_eq!(breaker.tell(Err(SendError::Rejected(Reason::Auth))), Change::Opened);
    }

    #[test]
    fn a_gateway_that_says_when_to_come_again_is_left_alone_until_then() {
        let (clock, breaker) = breaker(false);
        let busy = |wait| Err(SendError::Later(Reason::AccountLimit, Duration::from_secs(wait)));
        assert_eq!(breaker.tell(busy(17)), Change::Opened);
        assert_eq!(breaker.closed_for(), Some(Duration::from_secs(17)));
        clock.advance(Duration::from_secs(17));
        assert!(breaker.allows());
        assert_eq!(breaker.tell(busy(1_000_000)), Change::Nothing);
        assert_eq!(breaker.closed_for(), Some(LONGEST_WAIT));
        let (_, breaker) = self::breaker(false);
        let about_the_phone = Err(SendError::Later(Reason::RecipientLimit, LONGEST_WAIT));
        assert_eq!(breaker.tell(about_the_phone), Change::Nothing);
        assert!(breaker.allows());
    }

    #[test]
    fn a_gateway_that_tells_its_balance_is_not_tried_with_a_message() {
        let (clock, breaker) = breaker(true);
        assert!(!breaker.is_due());
        breaker.tell(Err(SendError::Rejected(Reason::Balance)));
        assert!(!breaker.is_due());
        clock.advance(FIRST_PAUSE);
        assert!(!breaker.allows() && breaker.closed_for().is_some());
        assert!(breaker.is_due() && !breaker.is_due());
        assert_eq!(breaker.tell(Ok(())), Change::Closed);
        assert!(breaker.allows());
    }

    #[test]
    fn a_balance_that_no_message_bears_out_makes_the_pause_longer() {
        let (clock, breaker) = breaker(true);
        breaker.tell(Err(SendError::Rejected(Reason::Sender)));
        for pause in [FIRST_PAUSE, FIRST_PAUSE * 2, FIRST_PAUSE * 4] {
            assert_eq!(breaker.closed_for(), Some(pause));
            clock.advance(pause);
            assert!(breaker.is_due());
            assert_eq!(breaker.tell(Ok(())), Change::Closed);
            assert!(breaker.allows() && breaker.closed_for().is_none());
            assert_eq!(breaker.tell(Err(SendError::Uncertain)), Change::Opened, "one is enough");
        }
        clock.advance(LONGEST_PAUSE);
        assert!(breaker.is_due());
        breaker.tell(Ok(()));
        assert_eq!(breaker.tell(Ok(())), Change::Nothing, "a message went through");
        assert_eq!(breaker.tell(Err(SendError::Uncertain)), Change::Nothing);
        assert!(breaker.allows());
    }

    #[test]
    fn where_the_balance_is_never_told_a_message_tries_it_at_last() {
        let (clock, breaker) = breaker(true);
        breaker.tell(Err(SendError::Rejected(Reason::Balance)));
        for _ in 0..PROBES {
            clock.advance(LONGEST_PAUSE);
            assert!(!breaker.allows() && breaker.is_due());
            breaker.tell(Err(SendError::Uncertain));
        }
        clock.advance(LONGEST_PAUSE);
        assert!(!breaker.is_due() && breaker.closed_for().is_none());
        assert!(breaker.allows() && !breaker.allows());
        breaker.tell(OUTAGE);
        clock.advance(LONGEST_PAUSE);
        assert!(!breaker.allows() && breaker.is_due());
    }
}
