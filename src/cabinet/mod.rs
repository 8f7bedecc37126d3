//! What a guest sees: views, freshness, coalescing, stale on outage. The only room that knows moka.

/// The room.
pub struct Cabinet;
