//! Signing in: challenges, codes, limits, sessions, tokens. Knows no HTTP.

/// The room.
pub struct SignIn;
