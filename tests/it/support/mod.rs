//! What the proofs stand on: stores of both engines, a running cabinet with its sandbox, a receiver of codes.
#![allow(dead_code, unused_imports, reason = "each proof uses its own part")]

pub mod cabinet;
pub mod callers;
pub mod closing;
pub mod courier;
pub mod gate;
pub mod gateways;
pub mod house;
pub mod probonus;
pub mod receiver;
pub mod replicas;
pub mod smsru_cabinet;
pub mod stand_in;
pub mod stores;
pub mod upstream;

pub use cabinet::{Answer, TestCabinet};
pub use callers::Caller;
pub use courier::Courier;
pub use gate::Gate;
pub use gateways::{Emulator, Mood};
pub use probonus::ProBonus;
pub use receiver::Receiver;
pub use stand_in::StandIn;
pub use stores::{TestStore, each_engine, postgres, sqlite};

use jiff::Timestamp;

/// The moment at which manual clocks start: a Friday noon in Moscow.
pub fn friday_noon() -> Timestamp {
    "2026-11-20T12:00:00+03:00".parse().expect("a moment")
}
