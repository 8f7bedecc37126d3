//! The only room that knows the upstream: client, wire, dialects, credentials, breaker and budgets.

/// The room.
pub struct ProBonus;
