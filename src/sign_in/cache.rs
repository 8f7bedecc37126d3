//! Sessions and tokens that this replica has seen good: the hot path asks nobody.
//!
//! A token points at its session; a session that ends is marked, and every token of it is worthless at once. Both are bounded; a session
//! that falls out is marked too, so that nothing good is remembered of what could no longer be revoked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use moka::sync::Cache;

use crate::model::{Guest, SessionId};

/// Sessions and tokens remembered, each.
const CAPACITY: u64 = 200_000;

/// A session seen good.
pub(super) struct LiveSession {
    pub id: SessionId,
    pub guest: Guest,
    /// It ends then whatever happens.
    pub expires_at_us: i64,
    over: AtomicBool,
    /// When the store last said that it lives.
    pub checked_at_us: AtomicI64,
}

impl LiveSession {
    pub fn new(id: SessionId, guest: Guest, expires_at_us: i64, now_us: i64) -> Arc<Self> {
        Arc::new(Self {
            id,
            guest,
            expires_at_us,
            over: AtomicBool::new(false),
            checked_at_us: AtomicI64::new(now_us),
        })
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// A token seen good.
#[derive(Clone)]
pub(super) struct KnownToken {
    pub session: Arc<LiveSession>,
    pub expires_at_us: i64,
    /// The number of its pair; cookies have none.
    pub number: i64,
}

/// What is remembered.
pub(super) struct Known {
    tokens: Cache<Box<str>, KnownToken, foldhash::fast::RandomState>,
    sessions: Cache<SessionId, Arc<LiveSession>, foldhash::fast::RandomState>,
}

impl Known {
    pub fn new() -> Self {
        Self {
            tokens: Cache::builder()
                .max_capacity(CAPACITY)
                .build_with_hasher(foldhash::fast::RandomState::default()),
            sessions: Cache::builder()
                .max_capacity(CAPACITY)
                .eviction_listener(|_, session: Arc<LiveSession>, _| session.end())
                .build_with_hasher(foldhash::fast::RandomState::default()),
        }
    }

    /// A token that is still good for all this replica knows.
    pub fn token(&self, token: &str, now_us: i64) -> Option<KnownToken> {
        let known = self.tokens.get(token)?;
        let good = now_us < known.expires_at_us && now_us < known.session.expires_at_us && !known.session.is_over();
        if good {
            return Some(known);
        }
        self.tokens.invalidate(token);
        None
    }

    /// Remembers a token and its session.
    pub fn remember(&self, token: &str, known: KnownToken) {
        let id = known.session.id;
        let session = self.sessions.get_with(id, || known.session.clone());
        // The session of an earlier token of it goes on, so that one mark reaches all of them.
        let session = if session.is_over() {
            self.sessions.insert(id, known.session.clone());
            known.session
        } else {
            session
                .checked_at_us
                .fetch_max(known.session.checked_at_us.load(Ordering::Relaxed), Ordering::Relaxed);
            session
        };
        self.tokens.insert(token.into(), KnownToken { session, ..known });
    }

    /// A session ended or changed.
    pub fn forget(&self, id: SessionId) {
        if let Some(session) = self.sessions.remove(&id) {
            session.end();
        }
    }

    /// Anything may have happened.
    pub fn forget_all(&self) {
        self.tokens.invalidate_all();
        for (_, session) in &self.sessions {
            session.end();
        }
        self.sessions.invalidate_all();
    }
}
