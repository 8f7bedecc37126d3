//! A town of guests signs in over a day while a stranger does what strangers do: what each can cost, with the usual bounds.
//!
//! Only the system's hour is a tenth of the usual, as the town is: shares and bounds are otherwise those of `docs/operations.md`, which
//! shows the figures.

use std::time::Duration;

use guest_cabinet::clock::Clock;
use reqwest::StatusCode;

use crate::support::callers::{behind_proxy, id_of};
use crate::support::replicas::{replicas, sandbox};
use crate::support::{Caller, TestCabinet, TestStore, friday_noon, sqlite};

/// The day goes on by so much at a time.
const STEP: Duration = Duration::from_mins(10);
const STEPS: usize = 144;

/// Who is refused comes again for an hour.
const PATIENCE: usize = 6;

/// Guests of the day, two a step from morning on; every third was here before.
const GUESTS: usize = 160;
const MORNING: usize = STEPS - GUESTS / 2;

/// Requests of the stranger in a step: a hundred and twenty an hour.
const REQUESTS: usize = 20;

const RESTAURANT: &str = "[[auth.limits.networks]]\ncidr = \"203.0.113.7\"\nsends_per_ip_hour = 200\n";

/// A guest's phone; ten share a range.
fn phone_of_guest(number: usize) -> String {
    format!("+7916{:04}{:03}", number / 10, number % 10)
}

/// Where guests are: most in the networks of one mobile operator, the others at home, some in the restaurant itself.
fn address_of_guest(number: usize) -> String {
    match number % 10 {
        0..6 => format!("85.26.{}.{}", number % 4, number % 250),
        6 | 7 => format!("77.88.{number}.1"),
        8 => format!("2a00:1370:{number:x}::1"),
        _ => "203.0.113.7".into(),
    }
}

/// What a day with a stranger came to.
#[derive(Debug, Default)]
struct Day {
    /// Messages that the stranger's requests cost.
    for_stranger: usize,
    /// Guests who came in.
    served: usize,
    /// The longest that one of them was kept out before.
    longest_out: Duration,
}

struct Town {
    cabinet: std::sync::Arc<TestCabinet>,
    clock: Clock,
    /// Those who were here before come with their devices.
    regulars: Vec<Caller>,
    _store: TestStore,
}

impl Town {
    /// A town the day after its regulars signed in.
    async fn open() -> Self {
        let store = sqlite();
        let clock = Clock::manual(friday_noon());
        let sandbox = sandbox(&clock).await;
        let settings = behind_proxy(&format!("sends_system_hour = 100\n{RESTAURANT}"));
        let cabinet = replicas(&store, &sandbox, &clock, &settings).await.remove(0);
        let mut regulars = Vec::new();
        for number in (0..GUESTS).step_by(3) {
            let mut guest = Caller::at(address_of_guest(number));
            let signed = guest.sign_in(&cabinet, &phone_of_guest(number)).await;
            assert_eq!(signed.status, StatusCode::OK, "{}", signed.text);
            regulars.push(guest);
            clock.advance(Duration::from_mins(2));
        }
        clock.advance(Duration::from_hours(24));
        Self {
            cabinet,
            clock,
            regulars,
            _store: store,
        }
    }

    fn guest(&self, number: usize) -> Caller {
        if number.is_multiple_of(3) {
            self.regulars[number / 3].clone()
        } else {
            Caller::at(address_of_guest(number))
        }
    }

    /// A day on which the stranger asks from the address and for the phone that `attack` makes of a request's number, and types wrong codes
    /// into whatever is asked for.
    async fn live(&self, attack: impl Fn(usize) -> (String, String)) -> Day {
        let mut day = Day::default();
        let mut waiting: Vec<(usize, usize)> = Vec::new();
        for step in 0..STEPS + PATIENCE {
            if step < STEPS {
                day.for_stranger += self.attack(step, &attack).await;
            }
            if (MORNING..STEPS).contains(&step) {
                let first = (step - MORNING) * 2;
                waiting.extend([(first, step), (first + 1, step)]);
            }
            let mut still_waiting = Vec::new();
            for (number, since) in waiting {
                let signed = self.guest(number).sign_in(&self.cabinet, &phone_of_guest(number)).await;
                let waited = step - since;
                if signed.status == StatusCode::OK {
                    day.served += 1;
                    day.longest_out = day.longest_out.max(STEP * u32::try_from(waited).expect("a few steps"));
                } else if waited < PATIENCE {
                    still_waiting.push((number, since));
                }
            }
            waiting = still_waiting;
            self.clock.advance(STEP);
        }
        day
    }

    async fn attack(&self, step: usize, attack: impl Fn(usize) -> (String, String)) -> usize {
        let mut messages = 0;
        for request in 0..REQUESTS {
            let (address, phone) = attack(step * REQUESTS + request);
            let stranger = Caller::at(address);
            let asked = stranger.ask(&self.cabinet, &phone).await;
            if asked.status == StatusCode::ACCEPTED {
                messages += 1;
                stranger.give(&self.cabinet, &id_of(&asked), "000000").await;
            }
        }
        messages
    }
}

/// A phone that no guest of the town has, each in a range of its own.
fn somebodys(number: usize) -> String {
    format!("+7926{:04}001", number % 10_000)
}

#[tokio::test]
async fn without_a_stranger_everybody_comes_in_at_once() {
    let town = Town::open().await;
    let day = town.live(|_| ("192.0.2.1".into(), "+70000000000".into())).await;
    assert_eq!(
        (day.for_stranger, day.served, day.longest_out),
        (0, GUESTS, Duration::ZERO)
    );
}

#[tokio::test]
async fn a_stranger_with_a_56_costs_twenty_messages_an_hour_and_keeps_nobody_out() {
    let town = Town::open().await;
    let day = town
        .live(|n| (format!("2001:db8:1:{:x}::1", 0x100 + n % 256), somebodys(n)))
        .await;
    assert_eq!(
        (day.for_stranger, day.served, day.longest_out),
        (20 * 24, GUESTS, Duration::ZERO)
    );
}

#[tokio::test]
async fn a_stranger_with_a_24_costs_forty_messages_an_hour_and_keeps_nobody_out() {
    let town = Town::open().await;
    let day = town.live(|n| (format!("192.0.2.{}", n % 256), somebodys(n))).await;
    assert_eq!(
        (day.for_stranger, day.served, day.longest_out),
        (40 * 24, GUESTS, Duration::ZERO)
    );
}

#[tokio::test]
async fn a_stranger_with_many_24s_uses_up_what_everybody_shares_and_keeps_nobody_out() {
    let town = Town::open().await;
    let day = town
        .live(|n| (format!("192.{}.2.{}", n % 30, n / 30 % 256), somebodys(n)))
        .await;
    assert_eq!((day.served, day.longest_out), (GUESTS, Duration::ZERO), "{day:?}");
    assert!(day.for_stranger <= 100 * 24, "{day:?}");
}

#[tokio::test]
async fn a_stranger_with_a_thousand_phones_of_the_guests_own_ranges_keeps_nobody_out() {
    let town = Town::open().await;
    // A thousand numbers of two ranges in which guests' own are, from ten addresses of one network.
    let near = |n: usize| format!("+7916{:04}{:03}", n % 2, 100 + n / 2 % 500);
    let day = town.live(|n| (format!("192.0.2.{}", n % 10), near(n))).await;
    assert_eq!((day.served, day.longest_out), (GUESTS, Duration::ZERO), "{day:?}");
    assert!(day.for_stranger <= 40 * 24, "{day:?}");
}

#[tokio::test]
async fn a_stranger_in_the_guests_own_mobile_network_keeps_out_those_who_share_the_address() {
    let town = Town::open().await;
    let day = town.live(|n| (address_of_guest(25), somebodys(n))).await;
    assert_eq!(day.for_stranger, 10 * 24);
    // One guest of the day has the same address, and was never here before.
    assert_eq!(day.served, GUESTS - 1, "{day:?}");
    assert_eq!(day.longest_out, Duration::ZERO);
}

#[tokio::test]
async fn a_stranger_with_a_guests_own_number_sends_ten_messages_and_keeps_the_guest_out_for_a_pause() {
    for (address, has_device) in [("77.88.7.1", false), ("77.88.6.1", true)] {
        let town = Town::open().await;
        let (number, mut guest) = if has_device {
            (6, town.guest(6))
        } else {
            (7, town.guest(7))
        };
        assert_eq!(guest.address, address);
        let phone = phone_of_guest(number);
        let before = town.cabinet.receiver.count(&phone);
        let (mut by_stranger, mut signed_in_after) = (0, None);
        for minute in 0..24 * 60 {
            let stranger = Caller::at("192.0.2.1");
            let asked = stranger.ask(&town.cabinet, &phone).await;
            if asked.status == StatusCode::ACCEPTED {
                by_stranger += 1;
                while stranger.give(&town.cabinet, &id_of(&asked), "000000").await.status != StatusCode::GONE {}
            }
            // The guest comes in the evening, when the stranger has had the day's messages.
            if minute >= 20 * 60 && signed_in_after.is_none() {
                let signed = guest.sign_in(&town.cabinet, &phone).await;
                signed_in_after = (signed.status == StatusCode::OK).then_some(minute - 20 * 60);
            }
            town.clock.advance(Duration::from_mins(1));
        }
        assert_eq!(by_stranger, 10);
        assert_eq!(signed_in_after, Some(0), "with a device: {has_device}");
        assert_eq!(town.cabinet.receiver.count(&phone) - before, 11);
    }
}
