//! One view of one guest in memory: how fresh it is, who fetches it, what is shown when that fails.
//!
//! Nothing here waits while it holds the lock. Time is our clock's; only waiting for an answer is in real time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::ViewError;

/// Between one and so many times its freshness a known value is shown at once while one refresh runs.
const REVALIDATE: i64 = 4;

/// A failure is remembered for this long (µs): a dead ProBonus is not asked once per waiting guest.
const PAUSE_US: i64 = 3_000_000;

/// A pull to refresh asks ProBonus at most this often (µs).
const FORCE_US: i64 = 3_000_000;

/// Longer ago than any moment (µs), and still far from the end of numbers.
const NEVER_US: i64 = i64::MIN / 2;

/// Without signals of other replicas nothing is sure for longer than this (µs).
const DEAF_US: i64 = 10_000_000;

/// With a last good value at hand nobody waits for a newer one that was asked for longer ago than this.
const PATIENCE: Duration = Duration::from_millis(1200);

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
    running: Option<Running<V>>,
}

/// A fetch under way, for those who wait for it.
pub(super) struct Running<V> {
    outcome: watch::Receiver<Outcome<V>>,
    began: Instant,
}

impl<V> Clone for Running<V> {
    fn clone(&self) -> Self {
        let outcome = self.outcome.clone();
        Self { outcome, ..*self }
    }
}

impl<V> Default for Busy<V> {
    fn default() -> Self {
        Self {
            failure: None,
            forced_at_us: NEVER_US,
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

impl Ages {
    pub fn new(fresh_us: i64, stale_us: i64, deaf: bool) -> Self {
        let fresh_us = if deaf { fresh_us.min(DEAF_US) } else { fresh_us };
        Self {
            fresh_us,
            stale_us,
            deaf,
        }
    }
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
    Wait(Running<V>, Option<Fetch<V>>),
}

/// The duty to fetch: dropped without a result (a panic), it frees the slot.
pub(super) struct Fetch<V> {
    sender: watch::Sender<Outcome<V>>,
    epoch: u64,
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
    pub async fn settled(&self, until: Instant) {
        let running = self.state().busy.as_ref().and_then(|busy| busy.running.clone());
        if let Some(mut running) = running {
            while let News::Seeded = running.news(until, false).await {}
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
        // Who pulls while it is asked for waits for that answer: nothing more is asked.
        let joins = force && state.is_running();
        let force = force && now_us - state.forced_at_us() >= FORCE_US;
        if !force
            && !joins
            && let Some(last) = &state.last
        {
            if now_us - last.as_of_us < last.fresh_us(ages.fresh_us) {
                return Step::Show(last.clone());
            }
            if let Some(last) = state.shown_meanwhile(ages, now_us) {
                return match state.begin() {
                    Some(fetch) => Step::ShowAndFetch(last, fetch),
                    None => Step::Show(last),
                };
            }
        }
        // Nobody is told for long that they have no account who asks again: it may have been made in the restaurant.
        if let Some((error, until)) = state.failure()
            && now_us < until
            && !(force && error == ViewError::AccountAbsent)
        {
            return Step::Failed(state.usable(ages, now_us), error);
        }
        if force {
            state.busy().forced_at_us = now_us;
        }
        let fetch = state.begin();
        let running = state.busy().running.clone().expect("a fetch is under way");
        Step::Wait(running, fetch)
    }

    /// The next pull to refresh asks, however recent the one before.
    pub fn allow_force(&self) {
        if let Some(busy) = &mut self.state().busy {
            busy.forced_at_us = NEVER_US;
        }
    }

    /// The fetch ended; whether its answer was kept.
    #[expect(clippy::needless_pass_by_value, reason = "the duty to fetch ends here")]
    pub fn fill(
        &self,
        fetch: Fetch<V>,
        result: Result<Filled<V>, ViewError>,
        ages: Ages,
        now_us: i64,
    ) -> Option<Arc<Filled<V>>> {
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
                let longest = if ages.deaf { DEAF_US } else { i64::MAX };
                let pause = error.pause_us(PAUSE_US).map(|pause| pause.min(longest));
                state.busy().failure = pause.map(|pause| (*error, now_us + pause));
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

    /// An older value from the store, to fall back on while the fetch goes on; those who wait hear of it.
    pub fn seed(&self, fetch: &Fetch<V>, filled: Filled<V>) {
        let mut state = self.state();
        let newer = state.last.as_ref().is_none_or(|last| last.as_of_us < filled.as_of_us);
        if newer && state.epoch == fetch.epoch {
            state.last = Some(Arc::new(filled));
            drop(state);
            fetch.sender.send_modify(|_| ());
        }
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

    /// Between one and [`REVALIDATE`] times its freshness, when nothing speaks against ProBonus answering.
    fn shown_meanwhile(&self, ages: Ages, now_us: i64) -> Option<Arc<Filled<V>>> {
        let last = self.last.as_ref()?;
        let young = now_us - last.as_of_us < ages.fresh_us.saturating_mul(REVALIDATE);
        (young && !ages.deaf && self.failure().is_none()).then(|| last.clone())
    }

    /// A fetch that died without a word counts as none.
    fn is_running(&self) -> bool {
        let running = self.busy.as_ref().and_then(|busy| busy.running.as_ref());
        running.is_some_and(|running| running.outcome.has_changed().is_ok())
    }

    fn forced_at_us(&self) -> i64 {
        self.busy.as_ref().map_or(NEVER_US, |busy| busy.forced_at_us)
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

    /// Takes on the duty to fetch, unless somebody has it.
    fn begin(&mut self) -> Option<Fetch<V>> {
        if self.is_running() {
            return None;
        }
        let (sender, outcome) = watch::channel(None);
        self.busy().running = Some(Running {
            outcome,
            began: Instant::now(),
        });
        let epoch = self.epoch;
        Some(Fetch { sender, epoch })
    }
}

/// What somebody who waits hears.
pub(super) enum News<V> {
    /// The fetch ended.
    Ended(Result<Arc<Filled<V>>, ViewError>),
    /// It goes on; meanwhile there is something to fall back on.
    Seeded,
    /// The time is over.
    Late,
}

impl<V> Running<V> {
    /// Waits for news until `deadline`; with something to fall back on, only while the fetch is young.
    pub async fn news(&mut self, deadline: Instant, fallback: bool) -> News<V> {
        let until = if fallback {
            deadline.min(self.began + PATIENCE)
        } else {
            deadline
        };
        match tokio::time::timeout_at(until, self.outcome.changed()).await {
            Ok(Ok(())) => self
                .outcome
                .borrow_and_update()
                .clone()
                .map_or(News::Seeded, News::Ended),
            // The fetch died without a word.
            Ok(Err(_)) => News::Ended(Err(ViewError::Internal)),
            Err(_) => News::Late,
        }
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
        slot.fill(first, filled(1, 0), AGES, 0);
        assert!(matches!(slot.step(AGES, false, 899_999), Step::Show(_)));
        let second = fetch(slot.step(AGES, false, 1_000_000));
        assert!(
            matches!(slot.step(AGES, false, 1_000_000), Step::Show(_)),
            "shown while it is renewed"
        );
        slot.fill(second, filled(2, 1_000_000), AGES, 1_000_000);
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
        assert!(slot.fill(before, filled(1, 0), AGES, 0).is_none());
        assert!(slot.last(AGES, 0).is_none());
        assert!(
            matches!(slot.step(AGES, false, 0), Step::Wait(_, None)),
            "the newer fetch goes on"
        );
        slot.fill(after, filled(2, 0), AGES, 0);
        assert_eq!(slot.last(AGES, 0).expect("kept").value, 2);
    }

    #[test]
    fn a_failure_pauses_and_shows_the_last_good_value() {
        let slot = Slot::default();
        let first = fetch(slot.step(AGES, false, 0));
        slot.fill(first, filled(1, 0), AGES, 0);
        let second = fetch(slot.step(AGES, false, 50_000_000));
        let down = ViewError::Unavailable { retry_after_s: 1 };
        slot.fill(second, Err(down), AGES, 50_000_000);
        assert!(matches!(slot.step(AGES, false, 50_000_001), Step::Failed(Some(_), _)));
        assert!(matches!(slot.step(AGES, false, 53_000_000), Step::Wait(_, Some(_))));
        let third = fetch(slot.step(AGES, true, 200_000_000).into_new(&slot));
        slot.fill(third, Err(ViewError::Nonsense), AGES, 200_000_000);
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
        slot.fill(first, filled(1, 0), AGES, 0);
        let forced = fetch(slot.step(AGES, true, 1));
        slot.fill(forced, filled(2, 1), AGES, 1);
        assert!(matches!(slot.step(AGES, true, 2), Step::Show(_)));
        assert!(matches!(slot.step(AGES, true, 3_000_001), Step::Wait(_, Some(_))));
    }

    #[test]
    fn who_has_no_account_and_pulls_to_refresh_is_asked_for_again() {
        let slot = Slot::default();
        let first = fetch(slot.step(AGES, false, 0));
        slot.fill(first, Err(ViewError::AccountAbsent), AGES, 0);
        assert!(matches!(slot.step(AGES, false, 1), Step::Failed(None, _)));
        let forced = fetch(slot.step(AGES, true, 1));
        slot.fill(forced, Err(ViewError::AccountAbsent), AGES, 1);
        assert!(
            matches!(slot.step(AGES, true, 2), Step::Failed(None, _)),
            "at most once in 3 s"
        );
        slot.allow_force();
        assert!(matches!(slot.step(AGES, true, 2), Step::Wait(_, Some(_))));
    }
}
