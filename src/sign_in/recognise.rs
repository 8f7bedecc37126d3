//! Whose request this is: a token or a cookie becomes a guest and a session, out of memory whenever that is sure enough.
//!
//! A store that is down takes nobody's session away: what it said lately is believed until the token ends, at most [`SILENCE`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::cache::{KnownToken, LiveSession, Moment, Trust};
use super::sessions::{SessionKind, kind_name};
use super::{SignIn, SignInError, token};
use crate::clock::micros;
use crate::model::{Guest, OpenSession, SessionId};
use crate::store::{Checked, SessionRow, StoreError};

/// A request waits this long to hear that a session it knows still lives.
const PATIENCE: Duration = Duration::from_millis(300);

/// A store that did not answer is left alone for so long: not every request waits in vain.
const REST_US: i64 = 1_000_000;

/// So long after its last word a silent store is done without.
const SILENCE: Duration = Duration::from_mins(5);

impl SignIn {
    /// The guest and session of an access token. What was seen good before asks nobody.
    ///
    /// # Errors
    /// A token that is none or over, or the store.
    pub async fn by_access_token(&self, token: &str) -> Result<(Guest, SessionId), SignInError> {
        let at = self.moment();
        if let Some(known) = self.known.token(token, at.now_us) {
            return self.go_on(&known, SessionKind::Bearer, at).await;
        }
        let claims = self.tokens.verify(token, at.now_us / 1_000_000)?;
        let expires_at_us = claims.expires_at_s.saturating_mul(1_000_000);
        let (session, number) = (claims.session, claims.number);
        // In a box of its own, so that who is known already does not carry the room for it.
        Box::pin(self.get_to_know(token, SessionKind::Bearer, session, number, expires_at_us)).await
    }

    /// The guest and session of a cookie.
    ///
    /// # Errors
    /// A cookie that is none or over, or the store.
    pub async fn by_cookie(&self, value: &str) -> Result<(Guest, SessionId), SignInError> {
        let at = self.moment();
        if let Some(known) = self.known.token(value, at.now_us) {
            return self.go_on(&known, SessionKind::Cookie, at).await;
        }
        let id = token::read_cookie(&self.keys, value).ok_or(SignInError::Unauthenticated)?;
        Box::pin(self.get_to_know(value, SessionKind::Cookie, id, 0, i64::MAX)).await
    }

    async fn get_to_know(
        &self,
        token: &str,
        kind: SessionKind,
        id: SessionId,
        number: i64,
        expires_at_us: i64,
    ) -> Result<(Guest, SessionId), SignInError> {
        let session = self.look_up(id, number, kind).await?;
        let found = (session.guest.up_to_date(), session.id);
        let known = KnownToken {
            session,
            kind,
            expires_at_us,
            number,
            noted: AtomicBool::new(true),
        };
        self.known.remember(token, known);
        Ok(found)
    }

    /// Remembers a token that was just handed out: should the store fall silent now, its guest is let in nevertheless.
    pub(super) fn expect_token(&self, token: &str, row: &SessionRow, kind: SessionKind, life: Duration) {
        let at = self.moment();
        let checked = Checked {
            at_us: at.steady_us,
            period: at.period,
        };
        let Some(session) = self.live(row, kind, checked) else {
            return;
        };
        let expires_at_us = match kind {
            SessionKind::Bearer => at.now_us.saturating_add(micros(life)),
            SessionKind::Cookie => i64::MAX,
        };
        let known = KnownToken {
            session,
            kind,
            expires_at_us,
            number: row.counter,
            noted: AtomicBool::new(false),
        };
        self.known.remember(token, known);
    }

    /// Goes on with a remembered session, asking the store again when that is due.
    async fn go_on(
        &self,
        known: &KnownToken,
        kind: SessionKind,
        at: Moment,
    ) -> Result<(Guest, SessionId), SignInError> {
        if known.kind != kind {
            return Err(SignInError::Unauthenticated);
        }
        let session = &known.session;
        match known.trust(at) {
            Trust::Sure => {}
            Trust::Due if !session.begin_asking(at.steady_us) => {}
            Trust::Due | Trust::Unsure => Box::pin(self.ask_again(known, at)).await?,
        }
        Ok((session.guest.up_to_date(), session.id))
    }

    async fn ask_again(&self, known: &KnownToken, at: Moment) -> Result<(), SignInError> {
        let session = &*known.session;
        let error = if self.is_store_resting(at.steady_us) {
            StoreError::Silent
        } else {
            let asked = self.look_up(session.id, known.number, known.kind);
            match tokio::time::timeout(PATIENCE, asked).await {
                Ok(Ok(fresh)) => {
                    self.store_failed_at_us.store(i64::MIN / 2, Ordering::Relaxed);
                    known.confirm(&fresh);
                    return Ok(());
                }
                Ok(Err(SignInError::Store(error))) => error,
                Err(_elapsed) => StoreError::Silent,
                Ok(Err(error)) => {
                    self.known.forget(session.id);
                    return Err(error);
                }
            }
        };
        if !self.is_store_resting(at.steady_us) {
            self.store_failed_at_us.store(at.steady_us, Ordering::Relaxed);
        }
        if session.outlasts_silence(micros(SILENCE), at) {
            return Ok(());
        }
        Err(error.into())
    }

    fn is_store_resting(&self, steady_us: i64) -> bool {
        let failed = self.store_failed_at_us.load(Ordering::Relaxed);
        steady_us.saturating_sub(failed) < REST_US
    }

    fn moment(&self) -> Moment {
        let (now_us, steady_us) = self.clock.now_and_steady_us();
        Moment {
            now_us,
            steady_us,
            period: self.store.period(),
        }
    }

    /// Finds the session alive in the store, where its use is noted.
    async fn look_up(&self, id: SessionId, number: i64, kind: SessionKind) -> Result<Arc<LiveSession>, SignInError> {
        // Taken before the store is asked: what it says may be missed from here on.
        let (at_us, period) = (self.clock.steady_us(), self.store.period());
        let now_us = self.clock.now_us();
        let idle_until_us = now_us.saturating_add(micros(self.life(kind).idle));
        let row = self.store.use_session(id, number, idle_until_us, now_us).await?;
        let row = row.ok_or(SignInError::SessionExpired)?;
        if row.kind != kind_name(kind) {
            return Err(SignInError::Unauthenticated);
        }
        let checked = Checked { at_us, period };
        self.live(&row, kind, checked).ok_or(SignInError::SessionExpired)
    }

    fn live(&self, row: &SessionRow, kind: SessionKind, checked: Checked) -> Option<Arc<LiveSession>> {
        let guest = self.guest(self.open_phone(row.id.0.as_bytes(), &row.phone_sealed)?);
        let guest = guest.with_session(OpenSession::new(row.id, row.account));
        let ends = (self.life(kind).idle, row.idle_until_us, row.expires_at_us);
        Some(LiveSession::new(row.id, guest, ends, checked))
    }
}
