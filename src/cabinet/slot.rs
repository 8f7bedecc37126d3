//! One view of one guest in memory: how fresh it is, who fetches it, what is shown when that fails.
//!
//! Nothing here waits while it holds the lock. Ages are told by the steady clock, in microseconds; only waiting for an answer is in real
//! time. What is known carries the generation that it was read under: a write outdates what is of before, and nothing else.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::ViewError;
use crate::store::{Checked, Generation, Period};

/// Between one and so many times its freshness a known value is shown at once while one refresh runs.
const REVALIDATE: i64 = 4;

/// A failure is remembered for this long (µs): a dead ProBonus is not asked once per waiting guest.
const PAUSE_US: i64 = 3_000_000;

/// A pull to refresh asks ProBonus at most this often (µs).
const FORCE_US: i64 = 3_000_000;

/// Longer ago than any moment (µs), and still far from the end of numbers.
const NEVER_US: i64 = i64::MIN / 2;

/// With a last good value at hand nobody waits for a newer one that was asked for longer ago than this.
const PATIENCE: Duration = Duration::from_millis(1200);

/// A value of a crowd that came at once is renewed up to this part of its freshness earlier: not all of them at the same moment.
const JITTER: i64 = 10;

/// A value with the moment ProBonus said it.
#[derive(Debug)]
pub(super) struct Filled<V> {
    pub value: V,
    /// When the answer came, by the wall clock: what guests are told.
    pub as_of_us: i64,
    /// The same by the steady clock.
    pub read_at_us: i64,
    /// No other value of this process has it: what is made of a value is recognised by it.
    pub serial: u64,
}

impl<V> Filled<V> {
    pub fn new(value: V, as_of_us: i64, read_at_us: i64) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            value,
            as_of_us,
            read_at_us,
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

    fn age_us(&self, now_us: i64) -> i64 {
        now_us.saturating_sub(self.read_at_us)
    }
}

/// What is known: a value, the generation it was read under, and when the store last said that nothing was written since.
#[derive(Debug)]
pub(super) struct Current<V> {
    pub filled: Arc<Filled<V>>,
    /// `None`: the store could not be asked.
    pub generation: Option<Generation>,
    pub checked: Checked,
}

impl<V> Clone for Current<V> {
    fn clone(&self) -> Self {
        let filled = self.filled.clone();
        Self { filled, ..*self }
    }
}

pub(super) type Outcome<V> = Option<Result<Arc<Filled<V>>, ViewError>>;

/// The slot. Most slots rest most of the time, so what only a busy one needs is kept apart.
pub(super) struct Slot<V>(Mutex<State<V>>);

struct State<V> {
    last: Option<Current<V>>,
    /// Counts the writes that outdated something here: the answer to a question from before one is not kept.
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
    /// The generation that ProBonus is asked under, once that is known.
    generation: Option<Generation>,
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
    /// Through which hints of writes are heard: a write of another replica may have gone unheard, and then the store is asked first.
    pub period: Period,
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
        self.state().last.as_ref().map_or(0, |last| measure(&last.filled.value))
    }

    /// Decides.
    pub fn step(&self, ages: Ages, force: bool, now_us: i64) -> Step<V> {
        let mut state = self.state();
        // Who pulls while it is asked for waits for that answer: nothing more is asked.
        let joins = force && state.is_running();
        let force = force && now_us - state.forced_at_us() >= FORCE_US;
        if !force
            && !joins
            && let Some(last) = state.sure(ages, now_us)
        {
            if last.age_us(now_us) < last.fresh_us(ages.fresh_us) {
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

    /// Whoever asks from now on waits for an answer to a question from now on: neither the one under way nor the pause between two pulls
    /// to refresh will do.
    pub fn ask_anew(&self) {
        let mut state = self.state();
        state.epoch += 1;
        if let Some(busy) = &mut state.busy {
            busy.running = None;
            busy.forced_at_us = NEVER_US;
        }
    }

    /// What is known, when only whether it was outdated is in question.
    pub fn fresh(&self, ages: Ages, now_us: i64) -> Option<Current<V>> {
        let state = self.state();
        let last = state.last.as_ref()?;
        let fresh = last.filled.age_us(now_us) < last.filled.fresh_us(ages.fresh_us);
        fresh.then(|| last.clone())
    }

    /// The fetch asks under `generation`: a write of before, of which a hint comes late, does not outdate it.
    pub fn asks_under(&self, fetch: &Fetch<V>, generation: Generation) {
        let mut state = self.state();
        if state.epoch == fetch.epoch
            && let Some(running) = state.busy.as_mut().and_then(|busy| busy.running.as_mut())
        {
            running.generation = Some(generation);
        }
    }

    /// The fetch ended; whether its answer was kept.
    #[expect(clippy::needless_pass_by_value, reason = "the duty to fetch ends here")]
    pub fn fill(&self, fetch: Fetch<V>, result: Result<Current<V>, ViewError>, now_us: i64) -> bool {
        let mut state = self.state();
        let current = state.epoch == fetch.epoch;
        if current {
            match &result {
                Ok(known) => {
                    state.last = Some(known.clone());
                    state.busy().failure = None;
                }
                Err(error) => {
                    let pause = error.pause_us(PAUSE_US);
                    state.busy().failure = pause.map(|pause| (*error, now_us + pause));
                    if *error == ViewError::AccountAbsent {
                        state.last = None;
                    }
                }
            }
            state.busy().running = None;
            state.rest(now_us);
        }
        drop(state);
        let kept = current && result.is_ok();
        let _ = fetch.sender.send(Some(result.map(|known| known.filled)));
        kept
    }

    /// An older value from the store, to fall back on while the fetch goes on; those who wait hear of it.
    pub fn seed(&self, fetch: &Fetch<V>, known: Current<V>) {
        let mut state = self.state();
        let last = state.last.as_ref().map(|last| last.filled.read_at_us);
        if state.epoch == fetch.epoch && last.is_none_or(|last| last < known.filled.read_at_us) {
            state.last = Some(known);
            drop(state);
            fetch.sender.send_modify(|_| ());
        }
    }

    /// A write moved the generation to `written`: what is known, and what is being asked, is of before, unless it was asked for under that
    /// generation. `None`: which one it is cannot be told.
    pub fn outdate(&self, written: Option<Generation>) {
        let before = |generation: Option<Generation>| written.is_none() || generation < written;
        let mut state = self.state();
        if state.last.as_ref().is_some_and(|last| before(last.generation)) {
            state.last = None;
        }
        let Some(busy) = &mut state.busy else { return };
        busy.failure = None;
        if busy.running.as_ref().is_some_and(|running| before(running.generation)) {
            busy.running = None;
            state.epoch += 1;
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

    /// What is known, when no write of it can have gone unheard.
    fn sure(&self, ages: Ages, now_us: i64) -> Option<&Arc<Filled<V>>> {
        let last = self.last.as_ref()?;
        last.checked.is_sure(ages.period, now_us).then_some(&last.filled)
    }

    /// Between one and [`REVALIDATE`] times its freshness, when nothing speaks against ProBonus answering.
    fn shown_meanwhile(&self, ages: Ages, now_us: i64) -> Option<Arc<Filled<V>>> {
        let last = self.sure(ages, now_us)?;
        let young = last.age_us(now_us) < ages.fresh_us.saturating_mul(REVALIDATE);
        (young && self.failure().is_none()).then(|| last.clone())
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
        let last = &self.last.as_ref()?.filled;
        (last.age_us(now_us) < ages.stale_us).then(|| last.clone())
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
            generation: None,
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

    const HEARD: Period = Period::of_number(1);
    const AGES: Ages = Ages {
        fresh_us: 1_000_000,
        stale_us: 100_000_000,
        period: HEARD,
    };

    /// Read at `at_us`, under the first generation.
    fn filled(value: u32, at_us: i64) -> Result<Current<u32>, ViewError> {
        read_under(value, at_us, 0)
    }

    #[expect(clippy::unnecessary_wraps, reason = "as a fetch gives it")]
    fn read_under(value: u32, at_us: i64, generation: i64) -> Result<Current<u32>, ViewError> {
        Ok(Current {
            filled: Arc::new(Filled::new(value, 0, at_us)),
            generation: Some(Generation(generation)),
            checked: Checked { at_us, period: HEARD },
        })
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
        slot.outdate(None);
        let after = fetch(slot.step(AGES, false, 0));
        assert!(!slot.fill(before, filled(1, 0), 0));
        assert!(slot.last(AGES, 0).is_none());
        assert!(
            matches!(slot.step(AGES, false, 0), Step::Wait(_, None)),
            "the newer fetch goes on"
        );
        slot.fill(after, filled(2, 0), 0);
        assert_eq!(slot.last(AGES, 0).expect("kept").value, 2);
    }

    #[test]
    fn a_hint_that_comes_late_outdates_nothing_that_was_read_after_its_write() {
        let slot = Slot::default();
        let after = fetch(slot.step(AGES, false, 0));
        slot.asks_under(&after, Generation(5));
        slot.outdate(Some(Generation(5)));
        assert!(slot.fill(after, read_under(1, 0, 5), 0));
        slot.outdate(Some(Generation(5)));
        assert_eq!(slot.last(AGES, 0).expect("kept").value, 1);
        let before = fetch(slot.step(AGES, false, 2_000_000));
        slot.asks_under(&before, Generation(5));
        slot.outdate(Some(Generation(6)));
        assert!(slot.last(AGES, 0).is_none());
        assert!(!slot.fill(before, read_under(1, 0, 5), 0));
    }

    #[test]
    fn without_hints_the_store_is_asked_before_a_value_is_shown_as_fresh_and_the_value_stays() {
        let slot = Slot::default();
        let first = fetch(slot.step(AGES, false, 0));
        slot.fill(first, filled(1, 0), 0);
        let minute = Ages {
            fresh_us: 60_000_000,
            ..AGES
        };
        let unheard = Ages {
            period: Period::NONE,
            ..minute
        };
        assert!(matches!(slot.step(unheard, false, 9_999_999), Step::Show(_)));
        let looked = fetch(slot.step(unheard, false, 10_000_000));
        let known = slot
            .fresh(unheard, 10_000_000)
            .expect("only its being current is in question");
        slot.fill(looked, Err(ViewError::Unavailable { retry_after_s: 1 }), 10_000_000);
        assert!(matches!(
            slot.step(unheard, false, 10_000_001),
            Step::Failed(Some(_), _)
        ));
        let again = fetch(slot.step(unheard, false, 20_000_000));
        let checked = Checked {
            at_us: 20_000_000,
            period: Period::NONE,
        };
        slot.fill(again, Ok(Current { checked, ..known }), 20_000_000);
        assert!(matches!(slot.step(unheard, false, 29_999_999), Step::Show(_)));
        assert!(
            matches!(slot.step(minute, false, 30_000_000), Step::Wait(_, Some(_))),
            "hints were missed"
        );
    }

    #[test]
    fn an_answer_asked_for_anew_is_of_now() {
        let slot = Slot::default();
        let before = fetch(slot.step(AGES, false, 0));
        slot.ask_anew();
        let anew = fetch(slot.step(AGES, true, 0));
        assert!(slot.fill(anew, filled(2, 0), 0));
        assert!(!slot.fill(before, filled(1, 0), 0));
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
        let values: Vec<_> = (0..1000).map(|_| Filled::new((), 0, 0)).collect();
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
                    slot.outdate(None);
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

    #[test]
    fn who_has_no_account_and_pulls_to_refresh_is_asked_for_again() {
        let slot = Slot::default();
        let first = fetch(slot.step(AGES, false, 0));
        slot.fill(first, Err(ViewError::AccountAbsent), 0);
        assert!(matches!(slot.step(AGES, false, 1), Step::Failed(None, _)));
        let forced = fetch(slot.step(AGES, true, 1));
        slot.fill(forced, Err(ViewError::AccountAbsent), 1);
        assert!(
            matches!(slot.step(AGES, true, 2), Step::Failed(None, _)),
            "at most once in 3 s"
        );
        slot.ask_anew();
        assert!(matches!(slot.step(AGES, true, 2), Step::Wait(_, Some(_))));
    }
}
