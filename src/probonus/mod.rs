//! ProBonus: the only room that knows the upstream. Eleven operations, their wire, their dialects, the credential, and the care not to
//! make a bad day of ProBonus worse.
//!
//! A call passes: concurrency limit → throttle → credential → HTTP with a deadline and a bound → lenient reading into the vocabulary. What is known
//! and what is assumed about ProBonus is changeable here and nowhere else. This room knows nothing of guests' views, caches or HTTP
//! towards guests.

mod arguments;
mod call;
mod calls;
mod client;
mod complaint;
mod connections;
mod credential;
mod decode;
mod error;
mod examination;
mod exchange;
mod ids;
mod operation;
mod reads;
mod reply;
mod resilience;
mod sightings;
mod writes;

pub use client::ProBonus;
pub use error::{Effect, UpstreamError};
pub use examination::{Impression, Meaning, Question};
pub use operation::Operation;
pub use reads::History;
pub use resilience::Throttling;
pub use sightings::Redirect;
