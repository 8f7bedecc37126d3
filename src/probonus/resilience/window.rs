//! What became of the calls of the last seconds: a sliding window of counts.

use std::time::Duration;

/// Parts of the window: it slides by one of them at a time.
const PARTS: u32 = 10;

/// Of fewer requests no share is worked out: three failures in a row are chance.
const FEWEST: u32 = 20;

/// A run of failures is an outage when chance brings one in this many.
const ONCE_IN: f64 = 10_000.0;

/// However good the calls before it were, a run of fewer failures is no outage; however bad, one of more is.
const SHORTEST_RUN: u32 = 8;
const LONGEST_RUN: u32 = 64;

/// Counts of one part of the window, or of all of it.
#[derive(Clone, Copy, Default)]
struct Counts {
    accepted: u32,
    failed: u32,
    /// Turned away here.
    rejected: u32,
}

/// The window. Time is given to it.
pub(super) struct Window {
    part: Duration,
    parts: [Counts; PARTS as usize],
    /// The number of the newest part since time began.
    newest: u64,
    sum: Counts,
}

impl Window {
    pub fn new(length: Duration) -> Self {
        Self {
            part: (length / PARTS).max(Duration::from_millis(1)),
            parts: Default::default(),
            newest: 0,
            sum: Counts::default(),
        }
    }

    /// Lets go of what is older than the window.
    pub fn slide(&mut self, now: Duration) {
        let number = u64::try_from(now.as_nanos() / self.part.as_nanos()).unwrap_or(u64::MAX);
        let passed = number.saturating_sub(self.newest).min(PARTS.into());
        for back in 0..passed {
            let old = std::mem::take(self.counts(number - back));
            self.sum.accepted -= old.accepted;
            self.sum.failed -= old.failed;
            self.sum.rejected -= old.rejected;
        }
        self.newest = self.newest.max(number);
    }

    fn counts(&mut self, number: u64) -> &mut Counts {
        let index = usize::try_from(number % u64::from(PARTS)).unwrap_or_default();
        &mut self.parts[index]
    }

    pub fn accepted(&mut self) {
        self.counts(self.newest).accepted += 1;
        self.sum.accepted += 1;
    }

    pub fn failed(&mut self) {
        self.counts(self.newest).failed += 1;
        self.sum.failed += 1;
    }

    pub fn rejected(&mut self) {
        self.counts(self.newest).rejected += 1;
        self.sum.rejected += 1;
    }

    /// Forgets everything: what was turned away in an outage says nothing about what comes after it.
    pub fn clear(&mut self) {
        self.parts = Default::default();
        self.sum = Counts::default();
    }

    /// The share of requests to turn away: (requests − multiplier × accepts) / (requests + 1), as the SRE book has it.
    pub fn rejection_share(&self, multiplier: f64) -> f64 {
        let Counts {
            accepted,
            failed,
            rejected,
        } = self.sum;
        let requests = accepted + failed + rejected;
        if requests < FEWEST {
            return 0.0;
        }
        let share = (f64::from(requests) - multiplier * f64::from(accepted)) / f64::from(requests + 1);
        share.max(0.0)
    }

    /// How many failures one after another are an outage, given how often calls failed before this `run` of them: chance brings so many
    /// once in [`ONCE_IN`] calls.
    pub fn run_of_an_outage(&self, run: u32) -> u32 {
        let Counts { accepted, failed, .. } = self.sum;
        // Before anything is known, one call in four is taken to fail.
        let failed_before = failed.saturating_sub(run);
        let failing = f64::from(failed_before + 1) / f64::from(failed_before + accepted + 4);
        let length = ONCE_IN.ln() / -failing.ln();
        let lengths = SHORTEST_RUN..LONGEST_RUN;
        lengths
            .into_iter()
            .find(|run| f64::from(*run) >= length)
            .unwrap_or(LONGEST_RUN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(10);

    #[test]
    fn what_is_older_than_the_window_counts_no_more() {
        let mut window = Window::new(LENGTH);
        for _ in 0..40 {
            window.failed();
        }
        assert!(window.rejection_share(4.0) > 0.9);
        window.slide(Duration::from_secs(9));
        for _ in 0..10 {
            window.accepted();
        }
        assert!((window.rejection_share(4.0) - 10.0 / 51.0).abs() < 1e-9);
        window.slide(Duration::from_secs(10));
        assert!(window.rejection_share(4.0) < f64::EPSILON, "only the ten are left");
        window.slide(Duration::from_secs(1000));
        assert_eq!((window.sum.accepted, window.sum.failed, window.sum.rejected), (0, 0, 0));
    }

    #[test]
    fn the_worse_the_calls_before_the_longer_a_run_may_be_by_chance() {
        let run_after = |accepted: u32, failed: u32| {
            let mut window = Window::new(LENGTH);
            (0..accepted).for_each(|_| window.accepted());
            (0..failed).for_each(|_| window.failed());
            window.run_of_an_outage(0)
        };
        assert_eq!(run_after(0, 0), 8);
        assert_eq!(run_after(1000, 0), 8);
        assert_eq!(run_after(700, 300), 8);
        assert_eq!(run_after(500, 500), 14);
        assert_eq!(run_after(300, 700), 26);
        assert_eq!(run_after(10, 990), 64);
    }

    #[test]
    fn a_run_does_not_excuse_itself() {
        let mut window = Window::new(LENGTH);
        (0..100).for_each(|_| window.accepted());
        (0..8).for_each(|_| window.failed());
        assert_eq!(window.run_of_an_outage(8), 8);
    }
}
