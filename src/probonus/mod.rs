//! ProBonus: the only room that knows the upstream. Eleven operations, their wire, their dialects, the credential, and the care not to
//! make a bad day of ProBonus worse.
//!
//! A call passes: concurrency limit → throttle → credential → HTTP with a deadline and a bound → lenient reading into the vocabulary. What is known
//! and what is assumed about ProBonus is changeable here and nowhere else. This room knows nothing of guests' views, caches or HTTP
//! towards guests.

mod answers;
mod arguments;
mod call;
mod calls;
mod complaint;
mod connections;
mod credential;
mod decode;
#[cfg(test)]
mod dialects;
mod error;
mod exchange;
mod ids;
mod json;
mod operation;
mod operations;
mod reply;
mod resilience;
mod values;

pub use error::{Effect, UpstreamError};
pub use operation::Operation;
pub use operations::{History, NotInserted, ProBonus};
pub use resilience::Throttling;
