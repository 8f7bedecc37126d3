//! Bringing a code to a phone: one file per gateway behind one trait, and failover between them.

/// The room.
pub struct Delivery;
