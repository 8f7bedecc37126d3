//! The trickle that looks whether an outage is over: so many calls a second, whichever groups of operations suffer.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Priority;

/// Between two probes. One a second leaves room for what groups try that have not failed yet.
const PAUSE: Duration = Duration::from_secs(1);

/// Nobody waits for background work: it probes only while nobody else does.
const BACKGROUND_PAUSE: Duration = Duration::from_secs(2);

/// Gives out probes, one for all groups.
#[derive(Default)]
pub(in crate::probonus) struct ProbePacer(Mutex<Option<Duration>>);

impl ProbePacer {
    /// A group suffers an outage from `now` on: nothing is tried at once.
    pub fn begin(&self, now: Duration) {
        *self.last() = Some(now);
    }

    /// Whether a call may be a probe now; takes the place of one.
    pub fn try_take(&self, priority: Priority, now: Duration) -> bool {
        let pause = match priority {
            Priority::Foreground => PAUSE,
            Priority::Background => BACKGROUND_PAUSE,
            Priority::Speculative => return false,
        };
        let mut last = self.last();
        let due = last.is_none_or(|last| now.saturating_sub(last) >= pause);
        if due {
            *last = Some(now);
        }
        due
    }

    /// How long until the next.
    pub fn wait(&self, now: Duration) -> Duration {
        self.last()
            .map_or(Duration::ZERO, |last| (last + PAUSE).saturating_sub(now))
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<Duration>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_probe_a_second_and_background_work_only_when_nobody_else_does() {
        let pacer = ProbePacer::default();
        let at = |millis| Duration::from_millis(millis);
        pacer.begin(at(0));
        let asked = [
            (500, Priority::Foreground, false),
            (1000, Priority::Speculative, false),
            (1000, Priority::Background, false),
            (1000, Priority::Foreground, true),
            (1999, Priority::Foreground, false),
            (2999, Priority::Background, false),
            (3000, Priority::Background, true),
            (3500, Priority::Foreground, false),
            (4000, Priority::Foreground, true),
        ];
        for (moment, priority, probes) in asked {
            assert_eq!(pacer.try_take(priority, at(moment)), probes, "{moment} {priority:?}");
        }
        assert_eq!(pacer.wait(at(4250)), at(750));
    }
}
