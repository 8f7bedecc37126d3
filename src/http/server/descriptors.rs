//! File descriptors: each connection takes one, and some are left for our own calls.

/// Left for ProBonus, gateways, the store, health and metrics, files.
const OWN: u64 = 256;

/// How many guests' connections fit beside our own descriptors, `wanted` at most. The limit is raised as far as the system lets us.
#[must_use]
pub fn connections_that_fit(wanted: usize) -> usize {
    // Where the system does not say, it does not bound us either.
    rlimit::increase_nofile_limit(u64::MAX).map_or(wanted, |limit| fitting(wanted, limit))
}

fn fitting(wanted: usize, limit: u64) -> usize {
    // Where there are few at all, half of them are ours.
    let theirs = limit.saturating_sub(OWN).max(limit / 2).max(1);
    wanted.min(usize::try_from(theirs).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::fitting;

    #[test]
    fn our_own_calls_are_left_some() {
        assert_eq!(fitting(20_000, 1_048_576), 20_000);
        assert_eq!(fitting(20_000, 1024), 768);
        assert_eq!(fitting(20_000, 256), 128);
        assert_eq!(fitting(20_000, 20_000), 19_744);
        assert_eq!(fitting(100, 1024), 100);
        assert_eq!(fitting(20_000, 0), 1);
    }
}
