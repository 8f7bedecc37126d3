//! Money-like operations of partner systems: intent on disk, one call, settled outcome.

/// The room.
pub struct Partner;
