//! Sessions: opened by a proven phone, carried by tokens or a cookie, renewed, listed and ended.

use std::time::Duration;

use jiff::Timestamp;

use super::token;
use super::{SignIn, SignInError};
use crate::clock::micros;
use crate::config::Lifetime;
use crate::keys::Purpose;
use crate::model::{AccountBinding, Guest, GuestKey, SessionId};
use crate::store::{Heard, Hint, SessionRow};

/// How a session is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// By tokens: apps.
    Bearer,
    /// By a cookie: browsers.
    Cookie,
}

/// What is known of the device.
pub struct Device {
    /// What the guest calls it.
    pub name: Option<String>,
}

/// A session's credentials, handed out once.
pub struct Grant {
    /// The session.
    pub session: SessionId,
    /// How it is carried.
    pub kind: SessionKind,
    /// The access token, or the cookie's value.
    pub access: String,
    /// How long that is good.
    pub expires_in: Duration,
    /// The refresh token of a bearer session.
    pub refresh: Option<String>,
    /// How long that is good; a cookie session: how long without being used.
    pub refresh_expires_in: Duration,
    /// How long the session lasts at most.
    pub ends_in: Duration,
}

/// A session in the guest's list.
pub struct SignedIn {
    /// Its id.
    pub id: SessionId,
    /// What the guest calls the device.
    pub device_name: Option<String>,
    /// When the guest signed in.
    pub created_at: Timestamp,
    /// When it was last used, to within a minute.
    pub last_seen_at: Timestamp,
}

impl SignIn {
    pub(super) async fn open_session(
        &self,
        guest: &Guest,
        account: AccountBinding,
        kind: SessionKind,
        device: &Device,
    ) -> Result<Grant, SignInError> {
        let life = self.life(kind);
        let now_us = self.clock.now_us();
        let id = SessionId(self.entropy.uuid());
        let sealed = |name: &String| self.keys.seal(Purpose::Session, id.0.as_bytes(), name.as_bytes());
        let row = SessionRow {
            id,
            guest: guest.key,
            phone_sealed: self.seal_phone(id.0.as_bytes(), &guest.phone),
            kind: kind_name(kind).into(),
            device_sealed: device.name.as_ref().map(sealed),
            counter: 0,
            used: -1,
            used_at_us: now_us,
            created_at_us: now_us,
            last_seen_at_us: now_us,
            idle_until_us: now_us.saturating_add(micros(life.idle)),
            expires_at_us: now_us.saturating_add(micros(life.absolute)),
            account,
        };
        let ended = self
            .store
            .add_session(&row, self.config.sessions_per_guest.into())
            .await?;
        for id in &ended {
            self.known.forget(*id);
        }
        if !ended.is_empty() {
            tracing::info!(target: "security", event = "sessions_ended", guest = ?guest.key, ended = ended.len());
        }
        Ok(self.grant(&row, kind))
    }

    /// A new pair for a refresh token.
    ///
    /// The token of the newest pair moves the counter on. The one before it gives the newest pair once more while nobody has used that
    /// pair (the answer was lost), and for `auth.refresh_leeway_ms` after its first use (a straggler: an app often asks twice at once).
    /// Whatever else is old is reuse and ends the session, unless the request came in before the latest use: such a racer is told to come
    /// again.
    ///
    /// # Errors
    /// A token that is none, is over, or was used before; a race; the store.
    pub async fn refresh(&self, token: &str) -> Result<Grant, SignInError> {
        let (id, number) = token::read_refresh_token(&self.keys, token).ok_or(SignInError::Unauthenticated)?;
        let now_us = self.clock.now_us();
        let idle_until_us = now_us.saturating_add(micros(self.config.app.idle));
        if let Some(row) = self.store.rotate_session(id, number, idle_until_us, now_us).await? {
            self.keep_readable(&row).await?;
            return Ok(self.grant(&row, SessionKind::Bearer));
        }
        let row = self
            .store
            .session(id, now_us)
            .await?
            .ok_or(SignInError::SessionExpired)?;
        if number >= row.counter {
            return Err(SignInError::SessionExpired);
        }
        let is_previous = number + 1 == row.counter;
        let leeway_ends_us = row.used_at_us.saturating_add(micros(self.config.refresh_leeway));
        if is_previous && (row.used < row.counter || now_us <= leeway_ends_us) {
            self.keep_readable(&row).await?;
            return Ok(self.grant(&row, SessionKind::Bearer));
        }
        // Asked for before the newest pair in use was first used: this is a racer, not a thief.
        let is_racer = now_us <= row.used_at_us;
        if is_racer {
            return Err(SignInError::InProgress);
        }
        self.end(id, row.guest).await?;
        tracing::warn!(target: "security", event = "token_reused", guest = ?row.guest, session = %id.0);
        metrics::counter!("cabinet_sign_in_total", "event" => "token_reused").increment(1);
        Err(SignInError::TokenReused)
    }

    /// Whoever renews a session during a rotation is not signed out when the secret of before goes. A session whose phone cannot be opened
    /// any more is over: no token of it would ever be good for a view.
    async fn keep_readable(&self, row: &SessionRow) -> Result<(), SignInError> {
        let bound_to = row.id.0.as_bytes();
        let phone = self.open_phone(bound_to, &row.phone_sealed);
        let phone = phone.ok_or(SignInError::SessionExpired)?;
        if self.keys.is_sealed_anew(Purpose::PhoneSeal, &row.phone_sealed) {
            return Ok(());
        }
        let name = row.device_sealed.as_ref();
        let name = name.and_then(|sealed| self.keys.open(Purpose::Session, bound_to, sealed));
        let name = name.map(|name| self.keys.seal(Purpose::Session, bound_to, &name));
        let phone = self.seal_phone(bound_to, &phone);
        // Lost, it is done at the next renewal.
        let _ = self.store.reseal_session(row.id, &phone, name.as_deref()).await;
        Ok(())
    }

    /// The guest's sessions, last used first.
    ///
    /// # Errors
    /// The store.
    pub async fn sessions(&self, guest: &Guest) -> Result<Vec<SignedIn>, SignInError> {
        let now_us = self.clock.now_us();
        let rows = self.store.sessions_of(guest.key, now_us).await?;
        let opened = |row: &SessionRow| {
            let sealed = row.device_sealed.as_ref()?;
            let plain = self.keys.open(Purpose::Session, row.id.0.as_bytes(), sealed)?;
            String::from_utf8(plain).ok()
        };
        let moment = |us: i64| Timestamp::from_microsecond(us).unwrap_or(Timestamp::MIN);
        let signed_in = |row: SessionRow| SignedIn {
            device_name: opened(&row),
            id: row.id,
            created_at: moment(row.created_at_us),
            last_seen_at: moment(row.last_seen_at_us),
        };
        Ok(rows.into_iter().map(signed_in).collect())
    }

    /// Ends one session of the guest, on every replica; whether there was one.
    ///
    /// # Errors
    /// The store.
    pub async fn end_session(&self, guest: &Guest, id: SessionId) -> Result<bool, SignInError> {
        let ended = self.end(id, guest.key).await?;
        if ended {
            tracing::info!(target: "security", event = "session_ended", guest = ?guest.key, session = %id.0);
        }
        Ok(ended)
    }

    /// Ends all sessions of the guest but `kept`; says how many.
    ///
    /// # Errors
    /// The store.
    pub async fn end_other_sessions(&self, guest: &Guest, kept: SessionId) -> Result<usize, SignInError> {
        let ended = self.store.end_other_sessions(kept, guest.key).await?;
        for id in &ended {
            self.known.forget(*id);
        }
        tracing::info!(target: "security", event = "sessions_ended", guest = ?guest.key, ended = ended.len());
        Ok(ended.len())
    }

    async fn end(&self, id: SessionId, guest: GuestKey) -> Result<bool, SignInError> {
        let ended = self.store.end_session(id, guest).await?;
        self.known.forget(id);
        Ok(ended)
    }

    /// Access token and refresh token of the row's newest pair, or its cookie.
    fn grant(&self, row: &SessionRow, kind: SessionKind) -> Grant {
        let now_us = self.clock.now_us();
        let until = |us: i64| Duration::from_micros(u64::try_from(us - now_us).unwrap_or(0));
        let ends_in = until(row.expires_at_us);
        let unused = ends_in.min(until(row.idle_until_us));
        let (access, expires_in, refresh) = match kind {
            SessionKind::Bearer => {
                let life = self.config.access_ttl.min(ends_in);
                let access = self.tokens.sign(row.id, row.counter, now_us / 1_000_000, life);
                let refresh = token::refresh_token(&self.keys, row.id, row.counter);
                (access, life, Some(refresh))
            }
            SessionKind::Cookie => (token::cookie_value(&self.keys, row.id), unused, None),
        };
        self.expect_token(&access, row, kind, expires_in);
        Grant {
            session: row.id,
            kind,
            access,
            expires_in,
            refresh,
            refresh_expires_in: unused,
            ends_in,
        }
    }

    pub(super) fn life(&self, kind: SessionKind) -> Lifetime {
        match kind {
            SessionKind::Bearer => self.config.app,
            SessionKind::Cookie => self.config.web,
        }
    }

    /// What became of sessions, here or on another replica.
    pub(super) fn heard(&self, heard: Heard) {
        match heard {
            Heard::Hint(Hint::SessionEnded(id)) => {
                self.known.forget(id);
                self.attending.tell(id);
            }
            // What they know was looked at before the gap, and is looked at again when somebody asks; who stays connected asks now.
            Heard::Gap => self.attending.tell_all(),
            Heard::Hint(_) => {}
        }
    }
}

pub(super) fn kind_name(kind: SessionKind) -> &'static str {
    match kind {
        SessionKind::Bearer => "bearer",
        SessionKind::Cookie => "cookie",
    }
}
