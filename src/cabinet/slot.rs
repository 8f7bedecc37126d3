//! One view of one guest in memory: how fresh it is, who fetches it, what is shown when that fails.
//!
//! Nothing here waits while it holds the lock. Time is our clock's; only waiting for an answer is in real time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::ViewError;

/// Between one and so many times its freshness a known value is shown at once while one refresh runs.
const REVALIDATE: i64 = 4;

/// A failure is remembered for this long (µs): a dead ProBonus is not asked once per waiting guest.
const PAUSE_US: i64 = 3_000_000;

/// A pull to refresh asks ProBonus at most this often (µs).
const FORCE_US: i64 = 3_000_000;

/// With a last good value at hand nobody waits longer than this for a newer one.
pub(super) const PATIENCE: Duration = Duration::from_millis(1200);

/// A value of a crowd that came at once is renewed up to this part of its freshness earlier: not all of them at the same moment.
const JITTER: i64 = 10;

/// A value with the moment ProBonus said it.
#[derive(Debug)]
pub(super) struct Filled<V> {
    pub value: V,
    /// When the answer came, in microseconds.
    pub as_of_us: i64,
    /// No other value of this process has it: what is made of a value is recognised by it.
    pub serial: u64,
}

impl<V> Filled<V> {
    pub fn new(value: V, as_of_us: i64) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            value,
            as_of_us,
            serial: NEXT.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// How long it is fresh: a little less than `fresh_us`, each value its own little.
    fn fresh_us(&self, fresh_us: i64) -> i64 {
        let spread = fresh_us / JITTER;
        if spread == 0 {
            return fresh_us;
        }
        // Spreads counted numbers evenly.
        let scattered = self.serial.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
        fresh_us - i64::try_from(scattered).unwrap_or(0) % spread
    }
}

pub(super) type Outcome<V> = Option<Result<Arc<Filled<V>>, ViewError>>;

/// The slot. Most slots rest most of the time, so what only a busy one needs is kept apart.
pub(super) struct Slot<V>(Mutex<State<V>>);

struct State<V> {
    last: Option<Arc<Filled<V>>>,
    /// Counts writes: the answer to a question from before one is not kept.
    epoch: u64,
    busy: Option<Box<Busy<V>>>,
}

/// What a slot has while it is asked for, and for a few seconds after.
struct Busy<V> {
    failure: Option<(ViewError, i64)>,
    forced_at_us: i64,
    running: Option<watch::Receiver<Outcome<V>>>,
}

impl<V> Default for Busy<V> {
    fn default() -> Self {
        Self {
            failure: None,
            forced_at_us: i64::MIN / 2,
            running: None,
        }
    }
}

/// How old a value may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ages {
    pub fresh_us: i64,
    pub stale_us: i64,
    /// Whether a write of another replica may have gone unheard: then a value is not shown while it is renewed.
    pub deaf: bool,
}

/// What to do about a request.
pub(super) enum Step<V> {
    /// Here it is.
    Show(Arc<Filled<V>>),
    /// Here it is; `Some`: start this fetch in the background.
    ShowAndFetch(Arc<Filled<V>>, Fetch<V>),
    /// ProBonus failed a moment ago: the last good value, or the failure.
    Failed(Option<Arc<Filled<V>>>, ViewError),
    /// Wait for the fetch under way; `Some`: start it first.
    Wait(watch::Receiver<Outcome<V>>, Option<Fetch<V>>),
}

/// The duty to fetch: dropped without a result (a panic), it frees the slot.
pub(super) struct Fetch<V> {
    sender: watch::Sender<Outcome<V>>,
    pub epoch: u64,
}

impl<V> Default for Slot<V> {
    fn default() -> Self {
        Self(Mutex::new(State {
            last: None,
            epoch: 0,
            busy: None,
        }))
    }
}

impl<V> Slot<V> {
    fn state(&self) -> MutexGuard<'_, State<V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no fetch is under way, or the time is over.
    pub async fn settled(&self, until: tokio::time::Instant) {
        let running = self.state().busy.as_ref().and_then(|busy| busy.running.clone());
        if let Some(receiver) = running {
            wait(receiver, until).await;
        }
    }

    /// The last good value that may still be shown.
    pub fn last(&self, ages: Ages, now_us: i64) -> Option<Arc<Filled<V>>> {
        self.state().usable(ages, now_us)
    }

    /// What is remembered, measured by `measure`.
    pub fn weight(&self, measure: impl Fn(&V) -> usize) -> usize {
        self.state().last.as_ref().map_or(0, |last| measure(&last.value))
    }

    /// Decides.
    pub fn step(&self, ages: Ages, force: bool, now_us: i64) -> Step<V> {
        let mut state = self.state();
        let force = force && now_us - state.forced_at_us() >= FORCE_US;
        if !force && let Some(last) = &state.last {
            let age = now_us - last.as_of_us;
            if age < last.fresh_us(ages.fresh_us) {
                return Step::Show(last.clone());
            }
            let paused = state.failure().is_some_and(|(_, until)| now_us < until);
            if age < ages.fresh_us.saturating_mul(REVALIDATE) && !ages.deaf && !paused {
                let last = last.clone();
                return match state.begin() {
                    Some(fetch) => Step::ShowAndFetch(last, fetch),
                    None => Step::Show(last),
                };
            }
        }
        if let Some((error, until)) = state.failure()
            && now_us < until
        {
            return Step::Failed(state.usable(ages, now_us), error);
        }
        if force {
            state.busy().forced_at_us = now_us;
        }
        let fetch = state.begin();
        let receiver = state.busy().running.clone().expect("a fetch is under way");
        Step::Wait(receiver, fetch)
    }

    /// The fetch ended; whether its answer was kept.
    #[expect(clippy::needless_pass_by_value, reason = "the duty to fetch ends here")]
    pub fn fill(&self, fetch: Fetch<V>, result: Result<Filled<V>, ViewError>, now_us: i64) -> Option<Arc<Filled<V>>> {
        let mut state = self.state();
        let current = state.epoch == fetch.epoch;
        let result = result.map(Arc::new);
        let kept = match &result {
            Ok(filled) if current => {
                let newer = state.last.as_ref().is_none_or(|last| last.as_of_us <= filled.as_of_us);
                if newer {
                    state.last = Some(filled.clone());
                }
                state.busy().failure = None;
                Some(filled.clone())
            }
            Err(error) if current => {
                state.busy().failure = error.pause_us(PAUSE_US).map(|pause| (*error, now_us + pause));
                if *error == ViewError::AccountAbsent {
                    state.last = None;
                }
                None
            }
            _ => None,
        };
        if current {
            state.busy().running = None;
            state.rest(now_us);
        }
        drop(state);
        let _ = fetch.sender.send(Some(result));
        kept
    }

    /// A value from the store for an empty slot.
    pub fn seed(&self, epoch: u64, filled: Filled<V>) -> Option<Arc<Filled<V>>> {
        let mut state = self.state();
        if state.epoch != epoch || state.last.as_ref().is_some_and(|last| last.as_of_us >= filled.as_of_us) {
            return None;
        }
        let filled = Arc::new(filled);
        state.last = Some(filled.clone());
        Some(filled)
    }

    /// A write happened: what is known, and what is being asked, is of before.
    pub fn outdate(&self) {
        let mut state = self.state();
        state.epoch += 1;
        state.last = None;
        if let Some(busy) = &mut state.busy {
            busy.failure = None;
            busy.running = None;
        }
    }
}

impl<V> State<V> {
    fn busy(&mut self) -> &mut Busy<V> {
        self.busy.get_or_insert_default()
    }

    fn failure(&self) -> Option<(ViewError, i64)> {
        self.busy.as_ref()?.failure
    }

    fn forced_at_us(&self) -> i64 {
        self.busy.as_ref().map_or(i64::MIN / 2, |busy| busy.forced_at_us)
    }

    /// Lets go of what only a busy slot needs, when nothing in it matters any more.
    fn rest(&mut self, now_us: i64) {
        let idle =
            |busy: &Busy<V>| busy.running.is_none() && busy.failure.is_none() && now_us - busy.forced_at_us >= FORCE_US;
        if self.busy.as_deref().is_some_and(idle) {
            self.busy = None;
        }
    }

    fn usable(&self, ages: Ages, now_us: i64) -> Option<Arc<Filled<V>>> {
        self.last
            .as_ref()
            .filter(|last| now_us - last.as_of_us < ages.stale_us)
            .cloned()
    }

    /// Takes on the duty to fetch, unless somebody has it. A fetch that died without a word counts as none.
    fn begin(&mut self) -> Option<Fetch<V>> {
        let epoch = self.epoch;
        let busy = self.busy();
        let running = busy.running.as_ref();
        if running.is_some_and(|running| running.has_changed().is_ok()) {
            return None;
        }
        let (sender, receiver) = watch::channel(None);
        busy.running = Some(receiver);
        Some(Fetch { sender, epoch })
    }
}

/// Waits for a fetch; `None` when the time is over.
pub(super) async fn wait<V>(
    mut receiver: watch::Receiver<Outcome<V>>,
    until: tokio::time::Instant,
) -> Option<Result<Arc<Filled<V>>, ViewError>> {
    let ended = tokio::time::timeout_at(until, receiver.wait_for(Option::is_some)).await;
    match ended {
        Ok(Ok(outcome)) => outcome.clone(),
        // The fetch died without a word.
        Ok(Err(_)) => Some(Err(ViewError::Internal)),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGES: Ages = Ages {
        fresh_us: 1_000_000,
        stale_us: 100_000_000,
        deaf: false,
    };

    #[expect(clippy::unnecessary_wraps, reason = "as a fetch gives it")]
    fn filled(value: u32, as_of_us: i64) -> Result<Filled<u32>, ViewError> {
        Ok(Filled::new(value, as_of_us))
    }

    fn fetch(step: Step<u32>) -> Fetch<u32> {
        match step {
            Step::Wait(_, Some(fetch)) | Step::ShowAndFetch(_, fetch) => fetch,
            _ => panic!("a fetch is due"),
        }
    }

    #[test]
    fn one_fetch_runs_and_its_answer_is_fresh_then_renewed_in_the_background_then_waited_for() {
        let slot = Slot::default();
        let first = fetch(slot.step(AGES, false, 0));
        assert!(
            matches!(slot.step(AGES, false, 0), Step::Wait(_, None)),
            "the second waits for the first"
        );
        slot.fill(first, filled(1, 0), 0);
        assert!(matches!(slot.step(AGES, false, 899_999), Step::Show(_)));
        let second = fetch(slot.step(AGES, false, 1_000_000));
        assert!(
            matches!(slot.step(AGES, false, 1_000_000), Step::Show(_)),
            "shown while it is renewed"
        );
        slot.fill(second, filled(2, 1_000_000), 1_000_000);
        assert!(
            matches!(slot.step(AGES, false, 5_000_000), Step::Wait(_, Some(_))),
            "too old to be shown at once"
        );
    }

    #[test]
    fn an_answer_from_before_a_write_is_not_kept() {
        let slot = Slot::default();
        let before = fetch(slot.step(AGES, false, 0));
        slot.outdate();
        let after = fetch(slot.step(AGES, false, 0));
        assert!(slot.fill(before, filled(1, 0), 0).is_none());
        assert!(slot.last(AGES, 0).is_none());
        assert!(
            matches!(slot.step(AGES, false, 0), Step::Wait(_, None)),
            "the newer fetch goes on"
        );
        slot.fill(after, filled(2, 0), 0);
        assert_eq!(slot.last(AGES, 0).expect("kept").value, 2);
    }

    #[test]
    fn a_failure_pauses_and_shows_the_last_good_value() {
        let slot = Slot::default();
        let first = fetch(slot.step(AGES, false, 0));
        slot.fill(first, filled(1, 0), 0);
        let second = fetch(slot.step(AGES, false, 50_000_000));
        let down = ViewError::Unavailable { retry_after_s: 1 };
        slot.fill(second, Err(down), 50_000_000);
        assert!(matches!(slot.step(AGES, false, 50_000_001), Step::Failed(Some(_), _)));
        assert!(matches!(slot.step(AGES, false, 53_000_000), Step::Wait(_, Some(_))));
        let third = fetch(slot.step(AGES, true, 200_000_000).into_new(&slot));
        slot.fill(third, Err(ViewError::Nonsense), 200_000_000);
        assert!(
            matches!(slot.step(AGES, false, 200_000_000), Step::Wait(_, Some(_))),
            "nonsense is not remembered"
        );
    }

    #[test]
    fn a_crowd_that_came_at_once_is_not_renewed_at_once() {
        let values: Vec<_> = (0..1000).map(|_| Filled::new((), 0)).collect();
        let fresh: Vec<i64> = values.iter().map(|value| value.fresh_us(1_000_000)).collect();
        assert!(fresh.iter().all(|fresh| (900_000..=1_000_000).contains(fresh)));
        for tenth in 0..10 {
            let part = 900_000 + tenth * 10_000..900_000 + (tenth + 1) * 10_000;
            let share = fresh.iter().filter(|fresh| part.contains(*fresh)).count();
            assert!((50..200).contains(&share), "{share} of 1000 in {part:?}");
        }
    }

    impl Step<u32> {
        /// The step itself, or, when an abandoned fetch is still under way, a new one.
        fn into_new(self, slot: &Slot<u32>) -> Self {
            match self {
                Self::Wait(_, None) => {
                    slot.outdate();
                    slot.step(AGES, false, 200_000_000)
                }
                step => step,
            }
        }
    }

    #[test]
    fn a_pull_to_refresh_asks_at_most_once_in_three_seconds() {
        let slot = Slot::default();
        let first = fetch(slot.step(AGES, false, 0));
        slot.fill(first, filled(1, 0), 0);
        let forced = fetch(slot.step(AGES, true, 1));
        slot.fill(forced, filled(2, 1), 1);
        assert!(matches!(slot.step(AGES, true, 2), Step::Show(_)));
        assert!(matches!(slot.step(AGES, true, 3_000_001), Step::Wait(_, Some(_))));
    }
}
