//! Sessions and tokens that this replica has seen good: the hot path asks nobody.
//!
//! A token points at its session; a session that ends is marked, and every token of it is worthless at once. Both are bounded; a session
//! that falls out is marked too, so that nothing good is remembered of what could no longer be revoked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use foldhash::fast::RandomState;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use quick_cache::UnitWeighter;
use quick_cache::sync::DefaultLifecycle;

use super::SessionKind;
use crate::clock::micros;
use crate::model::{Guest, SessionId};
use crate::store::{Checked, Period, UNHEARD_US};

/// Sessions and tokens remembered, each.
const CAPACITY: u64 = 200_000;

/// Longer than any look into the store takes: that long it is remembered that a session ended.
const ENDED_FOR: Duration = Duration::from_mins(2);

/// While hints are heard, the store is asked this often, to note that the session is in use.
const NOTE_US: i64 = 60_000_000;

/// While they are not, one request asks this often, so that nobody has to wait when what is known is believed no longer.
const RENEW_US: i64 = UNHEARD_US / 2;

/// A session seen good.
pub(super) struct LiveSession {
    pub id: SessionId,
    pub guest: Guest,
    /// It ends then whatever happens.
    expires_at_us: i64,
    /// Its longest time without use.
    idle_us: i64,
    over: AtomicBool,
    /// It ends then unless it was used elsewhere.
    idle_until_us: AtomicI64,
    /// When the store was asked that last said that it lives, by the steady clock, and in which period of hearing hints.
    checked_at_us: AtomicI64,
    checked_in: AtomicU64,
    /// When somebody last began to ask, by the steady clock.
    asked_at_us: AtomicI64,
}

/// What is known now: the two times, and whether hints are heard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// The rows' time: when sessions and tokens end is told by it.
    pub now_us: i64,
    /// The steady clock: when the store was asked is told by it.
    pub steady_us: i64,
    /// Through which hints are heard.
    pub period: Period,
}

/// How far a session is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Nothing need be asked.
    Sure,
    /// It is sure; one request should ask again.
    Due,
    /// The store must be asked first.
    Unsure,
}

impl LiveSession {
    pub fn new(
        id: SessionId,
        guest: Guest,
        (idle, idle_until_us, expires_at_us): (Duration, i64, i64),
        checked: Checked,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            guest,
            expires_at_us,
            idle_us: micros(idle),
            over: AtomicBool::new(false),
            idle_until_us: AtomicI64::new(idle_until_us),
            checked_at_us: AtomicI64::new(checked.at_us),
            checked_in: AtomicU64::new(checked.period.number()),
            asked_at_us: AtomicI64::new(checked.at_us),
        })
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    fn end(&self) {
        self.over.store(true, Ordering::Release);
    }

    /// Takes over what the store said more lately.
    fn confirm(&self, fresh: &Self) {
        let newer = |mine: &AtomicI64, theirs: &AtomicI64| {
            mine.fetch_max(theirs.load(Ordering::Relaxed), Ordering::Relaxed);
        };
        newer(&self.idle_until_us, &fresh.idle_until_us);
        newer(&self.checked_at_us, &fresh.checked_at_us);
        newer(&self.asked_at_us, &fresh.asked_at_us);
        self.checked_in
            .fetch_max(fresh.checked_in.load(Ordering::Relaxed), Ordering::Relaxed);
        if let (Some(mine), Some(fresh)) = (&self.guest.session, &fresh.guest.session) {
            mine.learn(fresh.account());
        }
    }

    fn checked(&self) -> Checked {
        Checked {
            at_us: self.checked_at_us.load(Ordering::Relaxed),
            period: Period::of_number(self.checked_in.load(Ordering::Relaxed)),
        }
    }

    /// Whether this request is the one that asks the store for all others.
    pub fn begin_asking(&self, steady_us: i64) -> bool {
        let asked = self.asked_at_us.load(Ordering::Relaxed);
        let pause = RENEW_US.min(self.idle_us / 8);
        steady_us.saturating_sub(asked) >= pause
            && self
                .asked_at_us
                .compare_exchange(asked, steady_us, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Whether the session is believed although the store does not answer: for `most_us` after it last did.
    pub fn outlasts_silence(&self, most_us: i64, at: Moment) -> bool {
        let silence = at.steady_us.saturating_sub(self.checked().at_us);
        silence <= most_us && at.now_us < self.idle_until_us.load(Ordering::Relaxed)
    }
}

/// A token seen good, or just made.
pub(super) struct KnownToken {
    pub session: Arc<LiveSession>,
    pub kind: SessionKind,
    pub expires_at_us: i64,
    /// The number of its pair; cookies have none.
    pub number: i64,
    /// Whether the store knows that it is in use.
    pub noted: AtomicBool,
}

impl KnownToken {
    fn is_good(&self, now_us: i64) -> bool {
        now_us < self.expires_at_us && now_us < self.session.expires_at_us && !self.session.is_over()
    }

    /// How far it is believed.
    pub fn trust(&self, at: Moment) -> Trust {
        let session = &*self.session;
        let checked = session.checked();
        let sure = checked.is_sure(at.period, at.steady_us)
            && at.now_us < session.idle_until_us.load(Ordering::Relaxed)
            && self.noted.load(Ordering::Relaxed);
        let heard = at.period != Period::NONE && at.period == checked.period;
        let due = if heard { NOTE_US } else { RENEW_US }.min(session.idle_us / 8);
        if !sure {
            Trust::Unsure
        } else if at.steady_us.saturating_sub(checked.at_us) > due {
            Trust::Due
        } else {
            Trust::Sure
        }
    }

    /// The store said that the session lives, and noted the token's use.
    pub fn confirm(&self, fresh: &LiveSession) {
        self.session.confirm(fresh);
        self.noted.store(true, Ordering::Relaxed);
    }
}

/// Read by every request, so that a look must be cheap; it knows no time: [`Known::tidy`] removes what is over.
type Tokens = quick_cache::sync::Cache<Box<str>, Arc<KnownToken>, UnitWeighter, RandomState>;
type Sessions = Cache<SessionId, Arc<LiveSession>, RandomState>;

/// What is remembered.
pub(super) struct Known {
    tokens: Tokens,
    sessions: Sessions,
    /// Sessions that ended lately: what a slower look into the store still found alive is not remembered.
    ended: Cache<SessionId, (), RandomState>,
}

impl Known {
    pub fn new() -> Self {
        let capacity = usize::try_from(CAPACITY).unwrap_or(usize::MAX);
        Self {
            tokens: Tokens::with(
                capacity,
                CAPACITY,
                UnitWeighter,
                RandomState::default(),
                DefaultLifecycle::default(),
            ),
            // A newcomer is always let in: who is refused a place would ask the store at every request.
            sessions: Cache::builder()
                .max_capacity(CAPACITY)
                .eviction_policy(EvictionPolicy::lru())
                .eviction_listener(|_, session: Arc<LiveSession>, _| session.end())
                .build_with_hasher(RandomState::default()),
            ended: Cache::builder()
                .max_capacity(CAPACITY)
                .time_to_live(ENDED_FOR)
                .build_with_hasher(RandomState::default()),
        }
    }

    /// A token that is still good for all this replica knows.
    pub fn token(&self, token: &str, now_us: i64) -> Option<Arc<KnownToken>> {
        let known = self.tokens.get(token)?;
        if known.is_good(now_us) {
            return Some(known);
        }
        self.tokens.remove(token);
        None
    }

    /// Forgets tokens that are over.
    pub fn tidy(&self, now_us: i64) {
        self.tokens.retain(|_, known| known.is_good(now_us));
    }

    /// Remembers a token and its session.
    pub fn remember(&self, token: &str, known: KnownToken) {
        let (id, fresh) = (known.session.id, known.session.clone());
        let mut session = self.sessions.get_with(id, || fresh.clone());
        // The session of an earlier token of it goes on, so that one mark reaches all of them.
        if session.is_over() {
            self.sessions.insert(id, fresh.clone());
            session = fresh;
        } else {
            session.confirm(&fresh);
        }
        // First put there, then looked: either this sees that it ended, or whoever ends it sees it there.
        if self.ended.contains_key(&id) {
            session.end();
        }
        self.tokens
            .insert(token.into(), Arc::new(KnownToken { session, ..known }));
    }

    /// A session ended; none comes back.
    pub fn forget(&self, id: SessionId) {
        self.ended.insert(id, ());
        if let Some(session) = self.sessions.remove(&id) {
            session.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{GuestKey, Phone};

    const NOW: i64 = 1_800_000_000_000_000;
    const SECOND: i64 = 1_000_000;

    const HEARD: Period = Period::of_number(1);

    fn session(id: u128, period: Period) -> Arc<LiveSession> {
        let phone = Phone::from_e164("+79160000001").expect("a phone");
        let guest = Guest::new(GuestKey([7; 32]), phone);
        let idle = Duration::from_hours(1);
        let until = NOW + micros(idle);
        LiveSession::new(
            SessionId(uuid::Uuid::from_u128(id)),
            guest,
            (idle, until, i64::MAX),
            Checked { at_us: 0, period },
        )
    }

    fn token(session: Arc<LiveSession>) -> KnownToken {
        KnownToken {
            session,
            kind: SessionKind::Bearer,
            expires_at_us: NOW + 300 * SECOND,
            number: 0,
            noted: AtomicBool::new(true),
        }
    }

    #[test]
    fn a_session_that_ended_while_the_store_was_asked_is_not_remembered() {
        let known = Known::new();
        let found = session(1, HEARD);
        known.forget(found.id);
        known.remember("token", token(found));
        assert!(known.token("token", NOW).is_none());
    }

    #[test]
    fn ending_a_session_ends_all_its_tokens() {
        let known = Known::new();
        known.remember("one", token(session(1, HEARD)));
        known.remember("two", token(session(1, HEARD)));
        known.remember("other", token(session(2, HEARD)));
        known.forget(SessionId(uuid::Uuid::from_u128(1)));
        assert!(known.token("one", NOW).is_none() && known.token("two", NOW).is_none());
        assert!(known.token("other", NOW).is_some());
        assert!(known.token("other", NOW + 300 * SECOND).is_none(), "its time is over");
    }

    #[test]
    fn what_is_over_does_not_stay_in_memory() {
        let known = Known::new();
        known.remember("one", token(session(1, HEARD)));
        known.remember("two", token(session(2, HEARD)));
        known.forget(SessionId(uuid::Uuid::from_u128(1)));
        known.tidy(NOW);
        assert_eq!(known.tokens.len(), 1);
        known.tidy(NOW + 300 * SECOND);
        assert!(known.tokens.is_empty());
    }

    #[test]
    fn without_hints_nothing_is_believed_for_more_than_ten_seconds() {
        let one = token(session(1, HEARD));
        let after = |token: &KnownToken, period, seconds: i64| {
            token.trust(Moment {
                now_us: NOW + seconds * SECOND,
                steady_us: seconds * SECOND,
                period,
            })
        };
        assert_eq!(after(&one, HEARD, 60), Trust::Sure);
        assert_eq!(after(&one, HEARD, 61), Trust::Due);
        assert_eq!(after(&one, HEARD, 3600), Trust::Unsure);
        assert_eq!(after(&one, Period::NONE, 5), Trust::Sure);
        assert_eq!(after(&one, Period::NONE, 6), Trust::Due);
        assert_eq!(after(&one, Period::NONE, 10), Trust::Unsure);
        let later = Period::of_number(2);
        assert_eq!(after(&one, later, 10), Trust::Unsure, "hints were missed");
        one.confirm(&session(1, later));
        assert_eq!(after(&one, later, 10), Trust::Sure);
    }

    #[test]
    fn of_many_requests_one_asks() {
        let one = session(1, HEARD);
        let later = 61 * SECOND;
        assert!(one.begin_asking(later));
        assert!(!one.begin_asking(later) && !one.begin_asking(later + SECOND));
        assert!(one.begin_asking(later + 5 * SECOND));
    }
}
