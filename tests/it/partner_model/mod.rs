//! The promise of "once", tried on generated bad days: states × faults × crashes × restores × upgrades, in seconds, without a network.
//!
//! Whatever happened: in the end every order is booked once, or was told to be refused, and none is booked twice on the way.

mod ledger;
mod life;

use std::time::Duration;

use guest_cabinet::clock::{Clock, Deadline};
use guest_cabinet::model::{OperationState, Phone};
use guest_cabinet::partner::{PartnerError, Whose};
use proptest::prelude::*;

use crate::support::friday_noon;
use ledger::{Fate, Manner, Memory};
use life::{Life, ORDERS, SECRETS, State, Told, caller, check_order, is_of_order, order, start};

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A partner pushes one of the orders.
    Push(usize),
    /// The guest buys something at the till.
    Purchase,
    /// The process dies and another begins.
    Crash,
    /// Time passes, and settling looks.
    Settle(u64),
    /// A copy of the state is made.
    BackUp,
    /// The copy takes the state's place.
    BringBack,
    /// The secret is rotated.
    Rotate,
    /// The rows are those of the version before.
    BecomeOlder,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (0..ORDERS).prop_map(Step::Push),
        4 => Just(Step::Purchase),
        2 => Just(Step::Crash),
        8 => prop_oneof![1_u64..20, 60_u64..120, 200_u64..600].prop_map(Step::Settle),
        2 => Just(Step::BackUp),
        2 => Just(Step::BringBack),
        1 => Just(Step::Rotate),
        1 => Just(Step::BecomeOlder),
    ]
}

fn fate() -> impl Strategy<Value = Fate> {
    let late = || prop_oneof![Just(6), Just(14), Just(30), Just(80)];
    prop_oneof![
        3 => Just(Fate::Done),
        2 => Just(Fate::DoneUnheard),
        2 => Just(Fate::LostUnheard),
        4 => late().prop_map(Fate::LateUnheard),
        1 => Just(Fate::NotSent),
        1 => Just(Fate::Later),
        2 => Just(Fate::DoneTurnedAway),
        4 => late().prop_map(Fate::LateTurnedAway),
        1 => Just(Fate::Refused),
        1 => Just(Fate::DoneRefused),
        2 => Just(Fate::DoneThenDeath),
        2 => late().prop_map(Fate::DeathThenDone),
        1 => Just(Fate::DeathBefore),
    ]
}

fn manner(shy: bool) -> impl Strategy<Value = Manner> {
    let lag_s = prop_oneof![2 => Just(0), 1 => Just(40), 2 => Just(240)];
    let ahead_h = prop_oneof![3 => Just(0), 1 => Just(-3), 1 => Just(3)];
    (lag_s, ahead_h).prop_map(move |(lag_s, ahead_h)| Manner { shy, lag_s, ahead_h })
}

fn days(shy: bool) -> impl Strategy<Value = (Manner, Vec<Step>, Vec<Fate>)> {
    let steps = prop::collection::vec(step(), 1..18);
    (manner(shy), steps, prop::collection::vec(fate(), 0..7))
}

impl Life {
    /// One step; what partners were told goes to `told`.
    fn step(mut self, ledger: &Memory, step: Step, told: &mut [Told; ORDERS]) -> Self {
        match step {
            Step::Push(number) => match self.push(number) {
                Some(answer) => told[number] = consistent(told[number], answer),
                None => return self.again(|_, _| ()),
            },
            Step::Purchase => ledger.purchase(),
            Step::Crash => return self.again(|_, _| ()),
            Step::Settle(seconds) => return self.settle(seconds),
            Step::BackUp => self.back_up(),
            Step::BringBack => return self.bring_back(),
            Step::Rotate => return self.again(|state, _| state.rotated = true),
            Step::BecomeOlder => return self.become_older(),
        }
        self
    }
}

/// What a partner knows after one more answer: what was told to be booked stays booked.
fn consistent(before: Told, now: Told) -> Told {
    assert!(
        !(before == Told::Registered && now == Told::Rejected),
        "registered, then rejected"
    );
    if now == Told::Nothing { before } else { now }
}

/// The bad days are over: the guest goes on buying, and partners push until they hear what became of it.
fn until_all_is_told(mut life: Life, ledger: &Memory, told: &mut [Told; ORDERS]) -> Life {
    ledger.book().fates.clear();
    for (number, told) in told.iter_mut().enumerate() {
        for turn in 0.. {
            assert!(turn < 60, "order {number} is never told");
            match life.push(number) {
                Some(answer @ (Told::Registered | Told::Rejected)) => {
                    *told = consistent(*told, answer);
                    break;
                }
                Some(Told::Nothing) => {}
                None => life = life.again(|_, _| ()),
            }
            ledger.purchase();
            life = life.settle(600);
        }
    }
    life
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_every_order_is_booked_once((manner, steps, fates) in days(false)) {
        let ledger = Memory::new(Clock::manual(friday_noon()), manner, fates);
        let mut life = Life::begin(State::new(), &ledger);
        let mut told = [Told::Nothing; ORDERS];
        for step in steps {
            life = life.step(&ledger, step, &mut told);
        }
        life = until_all_is_told(life, &ledger, &mut told);
        let booked = ledger.booked_once();
        for number in (0..ORDERS).filter(|number| told[*number] == Told::Registered) {
            let found = booked.iter().any(|booked| is_of_order(number, booked));
            prop_assert!(found, "order {number} is told, {booked:?} are booked");
        }
        life.end();
    }

    #[test]
    fn of_a_probonus_that_shows_nothing_no_order_is_booked_twice((manner, steps, fates) in days(true)) {
        let ledger = Memory::new(Clock::manual(friday_noon()), manner, fates);
        let mut life = Life::begin(State::new(), &ledger);
        let mut told = [Told::Nothing; ORDERS];
        for step in steps {
            life = life.step(&ledger, step, &mut told);
        }
        for number in 0..ORDERS {
            let _ = life.push(number);
            ledger.purchase();
            life = life.settle(600);
        }
        ledger.booked_once();
        life.end();
    }
}

fn far() -> Deadline {
    Deadline::within(Duration::from_secs(20))
}

fn memory(fates: Vec<Fate>) -> std::sync::Arc<Memory> {
    Memory::new(Clock::manual(friday_noon()), Manner::default(), fates)
}

#[tokio::test]
async fn who_stood_still_while_another_took_over_sends_nothing_more() {
    let state = State::new();
    let ledger = memory(vec![Fate::Later]);
    let (second, _) = start(&state.url(), &ledger, state.secrets()).await;
    let (first, _) = start(&state.url(), &ledger, state.secrets()).await;
    let slow = tokio::spawn(async move { first.submit(&caller(), order(0), far()).await });
    while !ledger.book().fates.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Longer than its lease, while it waits to send it again.
    ledger.clock.advance(Duration::from_secs(7));
    while ledger.booked_once().is_empty() {
        second.run_once().await;
    }
    let answer = slow.await.expect("the task ends");
    assert!(matches!(answer, Err(PartnerError::InProgress)), "{answer:?}");
    assert_eq!(ledger.booked_once().len(), 1);
}

#[tokio::test]
async fn an_order_is_the_same_order_after_rotations_and_under_a_secret_that_opens_nothing() {
    let state = State::new();
    let ledger = memory(vec![Fate::Done, Fate::Done, Fate::DoneUnheard]);
    let [old, newer] = SECRETS;
    let newest = "the newest secret for tests of enough bytes";
    ledger.book().unreadable = true;
    let (partner, _) = start(&state.url(), &ledger, (old, None)).await;
    for number in [0, 2, 3] {
        let done = partner.submit(&caller(), order(number), far()).await;
        let done = done.expect("an outcome");
        assert_eq!(done.state == OperationState::Registered, number != 3);
    }
    partner.stop().await;
    ledger.book().unreadable = false;
    let secrets = [
        (newer, Some(old)),
        (newest, Some(newer)),
        ("a secret that opens nothing, of enough bytes", None),
    ];
    for secrets in secrets {
        let (partner, _) = start(&state.url(), &ledger, secrets).await;
        ledger.clock.advance(Duration::from_secs(10));
        partner.run_once().await;
        for number in [0, 2, 3] {
            let again = partner.submit(&caller(), order(number), far()).await;
            let again = again.expect("an outcome");
            assert!(again.replayed && again.state == OperationState::Registered, "{again:?}");
        }
        partner.stop().await;
    }
    assert_eq!(ledger.booked_once().len(), 3);
}

#[tokio::test]
async fn what_was_left_untouched_is_carried_out_though_nobody_asks_again() {
    let state = State::new();
    let ledger = memory(Vec::new());
    let by_phone = check_order(0, Whose::Phone(Phone::from_e164("+79160000001").expect("a phone")));
    // Its owner dies while it asks whose phone that is.
    ledger.book().silent_search = true;
    let (first, _) = start(&state.url(), &ledger, state.secrets()).await;
    let caller = caller();
    let asked = first.submit(&caller, by_phone, far());
    assert!(tokio::time::timeout(Duration::from_millis(300), asked).await.is_err());
    assert!(ledger.booked_once().is_empty());
    let (second, _) = start(&state.url(), &ledger, state.secrets()).await;
    while ledger.booked_once().is_empty() {
        second.run_once().await;
    }
    second.stop().await;
    assert_eq!(ledger.booked_once().len(), 1);
}
