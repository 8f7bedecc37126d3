//! The throttle by itself, over a clock that is moved and chance that repeats.

use super::*;

struct Group {
    clock: Clock,
    pacer: Arc<ProbePacer>,
    entropy: Entropy,
}

impl Group {
    fn new() -> Self {
        Self {
            clock: Clock::manual(jiff::Timestamp::UNIX_EPOCH),
            pacer: Arc::default(),
            entropy: Entropy::seeded(7),
        }
    }

    fn throttle(&self) -> Throttle {
        let (pacer, clock, entropy) = (self.pacer.clone(), self.clock.clone(), self.entropy.clone());
        Throttle::new("test", Throttling::default(), pacer, clock, entropy)
    }

    /// Of `calls`, one a hundredth of a second and failing in so many of a hundred cases, the share in percent that was accepted.
    fn accepted_of(&self, throttle: &Throttle, calls: u32, failing: u64) -> u32 {
        let mut accepted = 0;
        for _ in 0..calls {
            self.clock.advance(Duration::from_millis(10));
            let fails = self.entropy.below(100) < failing;
            accepted += u32::from(call(throttle, fails) && !fails);
        }
        accepted * 100 / calls
    }
}

const FAILED: Outcome = Outcome::Failed { nonsense: false };

/// Makes a call; whether it passed.
fn call(throttle: &Throttle, fails: bool) -> bool {
    let outcome = if fails { FAILED } else { Outcome::Accepted };
    let admitted = throttle.admit(Priority::Foreground);
    admitted.map(|permit| permit.record(outcome)).is_ok()
}

#[test]
fn what_fails_by_chance_costs_what_it_is_and_no_more() {
    for (failing, least) in [(10, 88), (30, 68), (50, 47), (70, 25)] {
        let group = Group::new();
        let accepted = group.accepted_of(&group.throttle(), 20_000, failing);
        assert!(accepted >= least, "{failing} % failing: {accepted} %");
    }
}

#[test]
fn what_nearly_always_fails_is_called_less() {
    let group = Group::new();
    let throttle = group.throttle();
    let mut passed = 0;
    for index in 0..5000 {
        group.clock.advance(Duration::from_millis(10));
        passed += u32::from(call(&throttle, index % 20 != 0));
    }
    assert!(
        passed < 2500,
        "{passed} of 5000 calls passed of which one in twenty is accepted"
    );
}

#[test]
fn in_an_outage_one_call_a_second_passes_and_the_first_success_ends_it() {
    let group = Group::new();
    let throttle = group.throttle();
    group.accepted_of(&throttle, 1000, 0);
    let mut passed = 0;
    for _ in 0..1000 {
        group.clock.advance(Duration::from_millis(10));
        passed += u32::from(call(&throttle, true));
    }
    assert!((8..=18).contains(&passed), "{passed} calls in ten seconds");
    assert!(!throttle.may_retry());
    let refused = throttle.admit(Priority::Foreground).map(drop);
    assert!(refused.is_err_and(|throttled| throttled.retry_after <= Duration::from_secs(1)));
    group.clock.advance(Duration::from_secs(1));
    assert!(call(&throttle, false), "the probe");
    assert!(
        (0..100).all(|_| call(&throttle, false)),
        "nothing of the outage is held against it"
    );
}

#[test]
fn groups_share_the_probes_of_an_outage() {
    let group = Group::new();
    let throttles = [group.throttle(), group.throttle(), group.throttle()];
    for throttle in &throttles {
        while call(throttle, true) {}
    }
    let mut passed = 0;
    for _ in 0..100 {
        group.clock.advance(Duration::from_millis(100));
        passed += throttles.iter().filter(|throttle| call(throttle, true)).count();
    }
    assert_eq!(passed, 10);
}

#[test]
fn calls_under_way_count_as_failed_while_those_before_them_fail() {
    let group = Group::new();
    let throttle = group.throttle();
    (0..5).for_each(|_| assert!(call(&throttle, true)));
    group.pacer.begin(group.clock.steady());
    let under_way: Vec<_> = (0..10)
        .map_while(|_| throttle.admit(Priority::Foreground).ok())
        .collect();
    assert_eq!(under_way.len(), 3, "eight in all");
    drop(under_way);
    assert!(
        throttle.admit(Priority::Foreground).is_ok(),
        "who went away leaves room"
    );
}

#[test]
fn a_call_begun_before_the_last_success_says_nothing_about_now() {
    let group = Group::new();
    let throttle = group.throttle();
    let old: Vec<_> = (0..15)
        .filter_map(|_| throttle.admit(Priority::Foreground).ok())
        .collect();
    assert!(call(&throttle, false));
    for permit in old {
        permit.record(FAILED);
    }
    assert!(call(&throttle, false));
}

#[test]
fn background_work_is_shed_first_and_never_tried_on_an_argument_of_a_guests_making() {
    let group = Group::new();
    let throttle = group.throttle();
    for _ in 0..200 {
        for fails in [true, true, false] {
            assert!(call(&throttle, fails));
        }
    }
    let passed = |priority| (0..300).filter(|_| throttle.admit(priority).is_ok()).count();
    assert_eq!(passed(Priority::Foreground), 300);
    for priority in [Priority::Background, Priority::Speculative] {
        let passed = passed(priority);
        assert!((150..250).contains(&passed), "a third is shed: {passed}");
    }
    while call(&throttle, true) {}
    group.clock.advance(Duration::from_secs(5));
    assert!(throttle.admit(Priority::Speculative).is_err());
    assert!(throttle.admit(Priority::Background).is_ok());
}

#[test]
fn a_pause_asked_for_holds_background_work_and_second_tries_but_nobody_who_waits() {
    let group = Group::new();
    let throttle = group.throttle();
    throttle.pause(Duration::from_secs(3));
    throttle.pause(Duration::from_secs(1));
    assert!(!throttle.may_retry());
    assert!((0..100).all(|_| call(&throttle, false)));
    let held = throttle.admit(Priority::Background).map(drop);
    assert!(held.is_err_and(|throttled| throttled.retry_after == Duration::from_secs(3)));
    group.clock.advance(Duration::from_secs(3));
    assert!(throttle.may_retry() && throttle.admit(Priority::Background).is_ok());
}

#[test]
fn who_is_turned_away_hears_how_probonus_fails() {
    let group = Group::new();
    let throttle = group.throttle();
    while let Ok(permit) = throttle.admit(Priority::Foreground) {
        permit.record(Outcome::Failed { nonsense: true });
    }
    let refused = throttle.admit(Priority::Foreground).map(drop);
    assert!(refused.is_err_and(|throttled| throttled.nonsense));
}
