//! A Friday night: how often ProBonus is asked when 50,000 guests come within three hours, each looking at five screens.
//! Arrivals are a Poisson process; time is a clock that is moved, so that the night takes a minute.
//! `cargo bench --bench friday -- 50000`

#![expect(clippy::cast_precision_loss, reason = "what is counted here fits into 52 bits")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use guest_cabinet::cabinet::{Cabinet, Query, Source};
use guest_cabinet::clock::Clock;
use mimalloc::MiMalloc;
use support::{Everybody, config, guest, room, store, wish};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// From the first guest to the last.
const NIGHT: Duration = Duration::from_hours(3);

/// How long a guest looks at a screen, on average.
const LOOK: Duration = Duration::from_secs(20);

/// The screens, in the order in which they are looked at, with the calls each would need if nothing were remembered.
const SCREENS: [(Screen, u64); 5] = [
    (Screen::Home, 3),
    (Screen::Balance, 2),
    (Screen::Transactions, 2),
    (Screen::Coupons, 1),
    (Screen::Balance, 2),
];

#[derive(Clone, Copy)]
enum Screen {
    Home,
    Balance,
    Transactions,
    Coupons,
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Between 0 and 1, neither included.
    fn share(&mut self) -> f64 {
        ((self.roll() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }
}

/// A guest looks at a screen.
struct Event {
    at: Duration,
    guest: u64,
    screen: Screen,
}

/// All events of the night in their order, and how long guests were there in all.
fn night(guests: u64) -> (Vec<Event>, Duration) {
    let mut dice = Dice(20_261_120);
    let mut events = Vec::new();
    let mut present = Duration::ZERO;
    for guest in 0..guests {
        // Arrivals of a Poisson process, given how many there are, are spread evenly.
        let arrival = NIGHT.mul_f64(dice.share());
        let mut at = arrival;
        for (screen, _) in SCREENS {
            events.push(Event { at, guest, screen });
            at += LOOK.mul_f64(-dice.share().ln());
        }
        present += at.saturating_sub(arrival);
    }
    events.sort_by_key(|event| event.at);
    (events, present)
}

async fn look(cabinet: &Arc<Cabinet>, event: &Event) -> Source {
    let guest = guest(event.guest);
    let shown = match event.screen {
        Screen::Home => cabinet.home(&guest, wish()).await,
        Screen::Balance => cabinet.balance(&guest, wish()).await,
        Screen::Transactions => cabinet.transactions(&guest, &Query::default(), wish()).await,
        Screen::Coupons => cabinet.coupons(&guest, wish()).await,
    };
    shown.expect("ProBonus is up all night").source
}

#[tokio::main]
async fn main() {
    let Some(guests) = support::number() else {
        println!("say how many guests: cargo bench --bench friday -- 50000");
        return;
    };
    let (events, present) = night(guests);
    let minutes = present.as_secs_f64() / 60.0;
    let without: u64 = SCREENS.iter().map(|(_, calls)| calls).sum::<u64>() * guests;
    println!(
        "{guests} guests, {} screens, {minutes:.0} guest-minutes; with nothing remembered: {without} calls, {:.2} a guest-minute",
        events.len(),
        without as f64 / minutes
    );
    for (replicas, affinity) in [(1, true), (4, true), (4, false)] {
        let everybody = Everybody::start().await;
        let folder = tempfile::tempdir().expect("a folder");
        let store = store(&folder).await;
        let clock = Clock::manual("2026-11-20T18:00:00+03:00".parse().expect("a moment"));
        let config = config(&everybody, "");
        let rooms: Vec<_> = (0..replicas).map(|_| room(&config, store.clone(), &clock)).collect();
        let mut dice = Dice(7);
        let (mut now, mut hits) = (Duration::ZERO, 0_u64);
        for event in &events {
            clock.advance(event.at.saturating_sub(now));
            now = event.at;
            let place = if affinity { event.guest } else { dice.roll() };
            let room = &rooms[usize::try_from(place).unwrap_or(0) % rooms.len()];
            hits += u64::from(look(room, event).await == Source::Hit);
        }
        for room in &rooms {
            room.stop().await;
        }
        let calls = everybody.calls();
        println!(
            "{replicas} replica(s), {}: {calls} calls, {:.2} a guest-minute, {:.1} a second on average; {:.0} % of screens out of memory",
            if affinity { "each guest always the same" } else { "any" },
            calls as f64 / minutes,
            calls as f64 / NIGHT.as_secs_f64(),
            100.0 * hits as f64 / events.len() as f64
        );
    }
}
