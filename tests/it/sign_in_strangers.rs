//! What strangers can cost: messages to a phone, messages in all, a guest's way in. Limits hurt only who earns it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use guest_cabinet::clock::Clock;
use reqwest::StatusCode;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::support::callers::{self, id_of, refused_by};
use crate::support::replicas::{PHONE, replicas, sandbox};
use crate::support::{Answer, Caller, TestCabinet, TestStore, each_engine, friday_noon, sqlite};

const MINUTE: Duration = Duration::from_mins(1);

/// Cabinets behind a proxy, with `more` bounds.
async fn behind_proxy(store: &TestStore, more: &str) -> (Clock, Vec<Arc<TestCabinet>>) {
    let clock = Clock::manual(friday_noon());
    let sandbox = sandbox(&clock).await;
    let replicas = replicas(store, &sandbox, &clock, &callers::behind_proxy(more)).await;
    (clock, replicas)
}

/// A phone of a range of its own.
fn phone(number: usize) -> String {
    format!("+7916{:03}1001", number % 1000)
}

/// A wrong code, but for once in a million.
const WRONG: &str = "000000";

#[tokio::test]
async fn however_often_a_guest_signs_in_a_phone_has_thirteen_messages_a_day_and_its_pause() {
    for store in each_engine().await {
        let (clock, cabinets) = behind_proxy(&store, "").await;
        let cabinet = &cabinets[0];
        let mut devices: Vec<Caller> = Vec::new();
        for _ in 0..70 {
            let mut device = Caller::at("192.0.2.1");
            if device.sign_in(cabinet, PHONE).await.status == StatusCode::OK {
                devices.push(device);
            } else {
                for known in &mut devices {
                    known.sign_in(cabinet, PHONE).await;
                }
            }
            for known in &devices {
                let again = known.ask(cabinet, PHONE).await;
                assert_eq!(again.status, StatusCode::TOO_MANY_REQUESTS, "{}", store.engine);
            }
            clock.advance(MINUTE * 20);
        }
        assert_eq!(devices.len(), 10, "each sign-in without a device gives one");
        assert_eq!(cabinet.receiver.count(PHONE), 13, "{}", store.engine);
    }
}

#[tokio::test]
async fn a_phone_forgets_the_device_that_it_has_not_seen_for_longest() {
    for store in each_engine().await {
        let store = store.open().await;
        let guest = guest_cabinet::model::GuestKey([1; 32]);
        for device in 0..11_u8 {
            let seen_at_us = i64::from(device) + 1;
            let kept = store.remember_device(&[device; 12], guest, 10, seen_at_us).await;
            kept.expect("the store");
            // The first one comes again and again.
            store
                .remember_device(&[0; 12], guest, 10, seen_at_us)
                .await
                .expect("the store");
        }
        let mut known = BTreeSet::new();
        for device in 0..11_u8 {
            if store.is_device_known(&[device; 12], guest).await.expect("the store") {
                known.insert(device);
            }
        }
        assert_eq!(known, BTreeSet::from([0, 2, 3, 4, 5, 6, 7, 8, 9, 10]));
        assert_eq!(store.prune_devices(5, 100).await.expect("the store"), 3);
    }
}

#[tokio::test]
async fn a_thousand_requests_from_one_block_of_addresses_are_a_few_messages() {
    let store = sqlite();
    let (_clock, cabinets) = behind_proxy(&store, "").await;
    let cabinet = &cabinets[0];
    let mut accepted = [0, 0, 0];
    for number in 0..1000 {
        let blocks = [
            format!("2001:db8:1:{:x}::1", 0x100 + number % 256),
            format!("2001:db8:2:{number:x}::1"),
            format!("192.0.2.{}", number % 256),
        ];
        let block = number % 3;
        let asked = Caller::at(blocks[block].clone()).ask(cabinet, &phone(number)).await;
        match asked.status {
            StatusCode::ACCEPTED => accepted[block] += 1,
            _ => assert_eq!(refused_by(&asked), "sends_per_ip_hour"),
        }
    }
    assert_eq!(accepted, [20, 40, 40], "a /56, a /48 and a /24");
    let guest = Caller::at("198.51.100.1").ask(cabinet, PHONE).await;
    assert_eq!(guest.status, StatusCode::ACCEPTED, "{}", guest.text);
}

#[tokio::test]
async fn strangers_who_use_up_the_systems_hour_leave_a_share_to_networks_that_have_asked_for_little() {
    for store in each_engine().await {
        let (clock, cabinets) = behind_proxy(&store, "sends_system_hour = 100").await;
        let cabinet = &cabinets[0];
        let mut regular = Caller::at("203.0.113.1");
        assert_eq!(regular.sign_in(cabinet, "+79169990001").await.status, StatusCode::OK);
        let mut accepted = 0;
        for number in 0..120 {
            let stranger = Caller::at(format!("192.0.{}.{}", number % 4, number / 4));
            let asked = stranger.ask(cabinet, &phone(number)).await;
            match asked.status {
                StatusCode::ACCEPTED => accepted += 1,
                _ => assert_eq!(refused_by(&asked), "sends_system_hour"),
            }
        }
        assert_eq!(accepted, 69, "{}: of seventy one was the regular's", store.engine);
        // Of others who come at once as many get in as there is room for them.
        let barrier = Arc::new(Barrier::new(40));
        let mut racers = JoinSet::new();
        for number in 0..40 {
            let (barrier, replica) = (barrier.clone(), cabinets[number % cabinets.len()].clone());
            racers.spawn(async move {
                barrier.wait().await;
                let guest = Caller::at(format!("198.51.{number}.1"));
                guest.ask(&replica, &phone(500 + number)).await
            });
        }
        let answers: Vec<Answer> = racers.join_all().await;
        let served = answers
            .iter()
            .filter(|answer| answer.status == StatusCode::ACCEPTED)
            .count();
        assert_eq!(served, 20, "{}", store.engine);
        let late = answers.iter().find(|answer| answer.status != StatusCode::ACCEPTED);
        assert_eq!(refused_by(late.expect("one")), "sends_system_hour");
        // Whose neighbours have signed in lately is served even then.
        let neighbour = Caller::at("203.0.113.77").ask(cabinet, "+79169990002").await;
        assert_eq!(
            neighbour.status,
            StatusCode::ACCEPTED,
            "{} {}",
            store.engine,
            neighbour.text
        );
        clock.advance(Duration::from_hours(1));
        let next = Caller::at("192.0.2.9").ask(cabinet, "+79169990003").await;
        assert_eq!(next.status, StatusCode::ACCEPTED);
    }
}

#[tokio::test]
async fn a_range_of_numbers_that_strangers_used_up_is_open_to_networks_that_have_asked_for_little() {
    let store = sqlite();
    let (_clock, cabinets) = behind_proxy(&store, "sends_per_range_hour = 6").await;
    let cabinet = &cabinets[0];
    let near = |number: usize| format!("+79160000{number:03}");
    let stranger = Caller::at("192.0.2.1");
    for number in 0..6 {
        assert_eq!(stranger.ask(cabinet, &near(number)).await.status, StatusCode::ACCEPTED);
    }
    assert_eq!(
        refused_by(&stranger.ask(cabinet, &near(6)).await),
        "sends_per_range_hour"
    );
    let guest = Caller::at("198.51.100.1").ask(cabinet, &near(7)).await;
    assert_eq!(guest.status, StatusCode::ACCEPTED, "{}", guest.text);
}

#[tokio::test]
async fn a_guests_neighbours_who_sign_in_leave_the_network_as_open_as_it_was() {
    let store = sqlite();
    let (_clock, cabinets) = behind_proxy(&store, "sends_per_ip_hour = 5").await;
    let cabinet = &cabinets[0];
    // Twenty messages an hour are a /24's: twenty guests behind it sign in, and it is as if they had not asked.
    for number in 0..20 {
        let mut guest = Caller::at(format!("192.0.2.{number}"));
        assert_eq!(guest.sign_in(cabinet, &phone(number)).await.status, StatusCode::OK);
    }
    let next = Caller::at("192.0.2.200").ask(cabinet, &phone(20)).await;
    assert_eq!(next.status, StatusCode::ACCEPTED, "{}", next.text);
}

#[tokio::test]
async fn a_restaurants_own_network_has_bounds_of_its_own() {
    let more = "[[auth.limits.networks]]\ncidr = \"198.51.100.7\"\nsends_per_ip_hour = 50\n";
    let store = sqlite();
    let (_clock, cabinets) = behind_proxy(&store, more).await;
    let cabinet = &cabinets[0];
    let at_home = Caller::at("198.51.100.8");
    let in_restaurant = Caller::at("198.51.100.7");
    for number in 0..50 {
        let asked = in_restaurant.ask(cabinet, &phone(number)).await;
        assert_eq!(asked.status, StatusCode::ACCEPTED, "{number} {}", asked.text);
        let asked = at_home.ask(cabinet, &phone(100 + number)).await;
        assert_eq!(
            asked.status == StatusCode::ACCEPTED,
            number < 10,
            "{number} {}",
            asked.text
        );
    }
    let late = in_restaurant.ask(cabinet, &phone(60)).await;
    assert_eq!(refused_by(&late), "sends_per_ip_hour");
    assert!(
        late.header("ratelimit-policy")
            .is_some_and(|policy| policy.contains("q=50"))
    );
}

/// A stranger asks for codes to [`PHONE`] and types wrong ones until nothing is taken any more; how many were looked at.
async fn guess(clock: &Clock, cabinet: &TestCabinet, addresses: impl Iterator<Item = String>) -> usize {
    let mut looked_at = 0;
    for address in addresses {
        clock.advance(MINUTE);
        let stranger = Caller::at(address);
        let asked = stranger.ask(cabinet, PHONE).await;
        if asked.status != StatusCode::ACCEPTED {
            continue;
        }
        while stranger.give(cabinet, &id_of(&asked), WRONG).await.status != StatusCode::GONE {
            looked_at += 1;
        }
    }
    looked_at
}

#[tokio::test]
async fn a_guests_right_code_opens_whatever_strangers_typed_for_the_phone() {
    for stranger in ["192.0.2.1", "198.51.100.1"] {
        for store in each_engine().await {
            let (clock, cabinets) = behind_proxy(&store, "").await;
            let cabinet = &cabinets[0];
            assert_eq!(
                guess(&clock, cabinet, std::iter::repeat_n(stranger.into(), 4)).await,
                20
            );
            clock.advance(MINUTE);
            // From the stranger's own address, too: they may share a restaurant's network.
            let signed = Caller::at("198.51.100.1").sign_in(cabinet, PHONE).await;
            assert_eq!(
                signed.status,
                StatusCode::OK,
                "{} {stranger} {}",
                store.engine,
                signed.text
            );
        }
    }
}

#[tokio::test]
async fn all_that_strangers_can_guess_of_a_phone_in_a_day_is_little() {
    let store = sqlite();
    let (clock, cabinets) = behind_proxy(&store, "").await;
    let one_network = guess(&clock, &cabinets[0], std::iter::repeat_n("192.0.2.1".into(), 1200)).await;
    // Ten challenges: four with five tries, and from then on one try each.
    assert_eq!(one_network, 26);
    clock.advance(Duration::from_hours(48));
    let many = (0..1200).map(|number| format!("198.{}.{}.1", number % 200, number % 250));
    // Ten messages, and one more for a network that had not asked.
    assert_eq!(guess(&clock, &cabinets[0], many).await, 55);
    cabinets[0].receiver.code(PHONE, 10 + 11).await;
    assert_eq!(cabinets[0].receiver.count(PHONE), 10 + 11);
}

#[tokio::test]
async fn with_bounds_on_messages_switched_off_guessing_is_bounded_nevertheless() {
    let store = sqlite();
    let more = "sends_per_phone_hour = 0\nsends_per_phone_day = 0\n";
    let (clock, cabinets) = behind_proxy(&store, more).await;
    let many = (0..60).map(|number| format!("198.{number}.0.1"));
    assert_eq!(guess(&clock, &cabinets[0], many).await, 100);
    let refused = Caller::at("192.0.2.1").ask(&cabinets[0], PHONE).await;
    assert_eq!(refused_by(&refused), "wrong_codes_per_phone_day");
}

#[tokio::test]
async fn a_stranger_who_uses_up_a_phones_messages_leaves_one_to_a_guest_elsewhere() {
    let store = sqlite();
    let (clock, cabinets) = behind_proxy(&store, "").await;
    let cabinet = &cabinets[0];
    let stranger = Caller::at("192.0.2.1");
    let mut messages = 0;
    for _ in 0..600 {
        clock.advance(MINUTE);
        messages += usize::from(stranger.ask(cabinet, PHONE).await.status == StatusCode::ACCEPTED);
    }
    assert_eq!(messages, 10);
    let mut guest = Caller::at("198.51.100.1");
    let signed = guest.sign_in(cabinet, PHONE).await;
    assert_eq!(signed.status, StatusCode::OK, "{}", signed.text);
    clock.advance(MINUTE);
    // From now on the device is known, and has the rest of the reserve.
    for _ in 0..2 {
        assert_eq!(guest.sign_in(cabinet, PHONE).await.status, StatusCode::OK);
        clock.advance(MINUTE);
    }
    assert_eq!(refused_by(&guest.ask(cabinet, PHONE).await), "sends_per_phone_day");
}
