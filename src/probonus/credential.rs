//! The one credential ProBonus knows: a permanent token, or a login whose tokens are renewed by one call at a time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderValue, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::arguments::Arguments;
use super::call::Transport;
use super::decode::{Tokens, Verdict, decide, read_tokens};
use super::error::{Effect, UpstreamError};
use super::operation::Operation;
use crate::clock::{Clock, Deadline};
use crate::config::{CredentialConfig, Forms};

/// After a refusal ProBonus is asked again this much later; doubling up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A token is renewed this long before it ends.
const MARGIN: Duration = Duration::from_secs(15);

/// Life of a token that says nothing about it.
const USUAL_LIFE: Duration = Duration::from_mins(10);

/// The credential and what is known about its being accepted.
pub(super) struct Credential {
    config: CredentialConfig,
    header: Option<http::HeaderName>,
    clock: Clock,
    /// The current bearer of a login.
    current: Mutex<Option<Bearer>>,
    /// Only one renewal at a time; who waited for one that failed shares its failure.
    renewing: tokio::sync::Mutex<Option<UpstreamError>>,
    /// Counts renewals that ended, well or not.
    ended: AtomicU64,
    /// Of the credential as such (401).
    refusal: Mutex<Refusal>,
    /// Of single operations it has no right to (403): the others go on.
    forbidden: [Mutex<Refusal>; Operation::ALL.len()],
}

#[derive(Clone)]
struct Bearer {
    access: Arc<SecretString>,
    refresh: Option<Arc<SecretString>>,
    /// On the steady clock.
    good_until: Duration,
    /// Counts renewals, so that a refused token is renewed once for all who were refused with it.
    number: u64,
}

#[derive(Default)]
struct Refusal {
    /// Until when nobody asks, on the steady clock.
    until: Option<Duration>,
    pause: Duration,
}

/// The header of one call.
pub(super) struct Authorization {
    pub name: http::HeaderName,
    pub value: HeaderValue,
    number: u64,
}

impl Credential {
    pub fn new(config: CredentialConfig, header: Option<http::HeaderName>, clock: Clock) -> Self {
        metrics::gauge!("cabinet_credential_refused").set(0.0);
        Self {
            config,
            header,
            clock,
            current: Mutex::new(None),
            renewing: tokio::sync::Mutex::new(None),
            ended: AtomicU64::new(0),
            refusal: Mutex::default(),
            forbidden: Default::default(),
        }
    }

    /// Whether a refused credential can be exchanged for a new one.
    pub fn can_renew(&self) -> bool {
        matches!(self.config, CredentialConfig::Login { .. })
    }

    /// Whether `text` gives it away.
    pub fn is_in(&self, text: &str) -> bool {
        let tells = |secret: &SecretString| text.contains(secret.expose_secret());
        let configured = match &self.config {
            CredentialConfig::Token(token) => tells(token),
            CredentialConfig::Login { login, password } => tells(login) || tells(password),
        };
        let bearer = lock(&self.current).clone();
        configured
            || bearer.is_some_and(|bearer| tells(&bearer.access) || bearer.refresh.is_some_and(|token| tells(&token)))
    }

    /// The header for a call of `operation`; may log in or renew first.
    ///
    /// When that fails, the call itself was certainly not sent.
    pub async fn authorization(
        &self,
        operation: Operation,
        transport: &Transport,
        deadline: Deadline,
    ) -> Result<Authorization, UpstreamError> {
        self.not_refused(&self.refusal)?;
        self.not_refused(&self.forbidden[operation as usize])?;
        match &self.config {
            CredentialConfig::Token(token) => self.header(token, 0),
            CredentialConfig::Login { .. } => {
                let bearer = match self.fresh() {
                    Some(bearer) => bearer,
                    None => self.renew(None, operation, transport, deadline).await?,
                };
                self.header(&bearer.access, bearer.number)
            }
        }
    }

    /// A new header after the one of `refused` was not accepted.
    pub async fn renewed(
        &self,
        refused: &Authorization,
        operation: Operation,
        transport: &Transport,
        deadline: Deadline,
    ) -> Result<Authorization, UpstreamError> {
        let bearer = self.renew(Some(refused.number), operation, transport, deadline).await?;
        self.header(&bearer.access, bearer.number)
    }

    /// ProBonus accepted the credential for `operation`.
    pub fn accepted(&self, operation: Operation) {
        let ended = |refusal: &Mutex<Refusal>| {
            let mut refusal = lock(refusal);
            refusal.pause = Duration::ZERO;
            let was = refusal.until.take().is_some();
            if was {
                metrics::gauge!("cabinet_credential_refused").decrement(1.0);
            }
            was
        };
        let forbidden = ended(&self.forbidden[operation as usize]);
        if ended(&self.refusal) || forbidden {
            tracing::info!(target: "security", event = "upstream_credential_accepted", operation = operation.name(), "ProBonus accepts our credential again");
        }
    }

    /// ProBonus refused it for good: nobody asks for a while, then one call tries again. 401 is about the credential as such,
    /// 403 about its right to `operation`.
    pub fn refused(&self, operation: Operation, status: StatusCode) {
        let mut refusal = if status == StatusCode::FORBIDDEN {
            lock(&self.forbidden[operation as usize])
        } else {
            lock(&self.refusal)
        };
        if refusal.until.is_none() {
            metrics::gauge!("cabinet_credential_refused").increment(1.0);
            tracing::error!(target: "security", event = "upstream_credential_refused", operation = operation.name(), status = status.as_u16(), "ProBonus refuses our credential: check probonus.token or probonus.login and its rights");
        }
        refusal.pause = (refusal.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        refusal.until = Some(self.clock.steady() + refusal.pause);
    }

    fn not_refused(&self, refusal: &Mutex<Refusal>) -> Result<(), UpstreamError> {
        let mut refusal = lock(refusal);
        match refusal.until {
            Some(until) if self.clock.steady() < until => Err(UpstreamError::CredentialRefused),
            Some(_) => {
                // This call is the probe; the others wait on.
                refusal.until = Some(self.clock.steady() + refusal.pause);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn fresh(&self) -> Option<Bearer> {
        let current = lock(&self.current);
        current.clone().filter(|bearer| self.clock.steady() < bearer.good_until)
    }

    fn header(&self, token: &SecretString, number: u64) -> Result<Authorization, UpstreamError> {
        let token = token.expose_secret();
        let text = match &self.header {
            Some(_) => token.to_owned(),
            None => format!("Bearer {token}"),
        };
        let mut value = HeaderValue::try_from(text).map_err(|_| UpstreamError::CredentialRefused)?;
        value.set_sensitive(true);
        Ok(Authorization {
            name: self.header.clone().unwrap_or(http::header::AUTHORIZATION),
            value,
            number,
        })
    }

    /// One renewal at a time: who waited for another's takes its result, be it a failure.
    async fn renew(
        &self,
        refused: Option<u64>,
        operation: Operation,
        transport: &Transport,
        deadline: Deadline,
    ) -> Result<Bearer, UpstreamError> {
        let ended = self.ended.load(Ordering::Acquire);
        let turn = tokio::time::timeout_at(deadline.instant(), self.renewing.lock()).await;
        let mut failure = turn.map_err(|_| UpstreamError::not_sent(None))?;
        let known = lock(&self.current).clone();
        if let Some(bearer) = &known
            && refused.is_none_or(|number| number != bearer.number)
            && self.clock.steady() < bearer.good_until
        {
            return Ok(bearer.clone());
        }
        if let Some(failure) = *failure
            && self.ended.load(Ordering::Acquire) != ended
        {
            return Err(failure);
        }
        let tokens = self.tokens(known.as_ref(), transport, deadline).await;
        let bearer = tokens.map(|tokens| self.keep(tokens, known.map_or(0, |bearer| bearer.number) + 1));
        let bearer = bearer.map_err(|error| match error {
            // Whatever 4xx the login gives, it is about the credential.
            UpstreamError::Refused { .. } | UpstreamError::CredentialRefused => {
                self.refused(operation, StatusCode::UNAUTHORIZED);
                UpstreamError::CredentialRefused
            }
            UpstreamError::Unavailable { retry_after, .. } => UpstreamError::not_sent(retry_after),
            UpstreamError::Overloaded | UpstreamError::SeveralAccounts | UpstreamError::Invalid => {
                UpstreamError::not_sent(None)
            }
        });
        *failure = bearer.as_ref().err().copied();
        self.ended.fetch_add(1, Ordering::AcqRel);
        bearer
    }

    /// New tokens by the refresh token, or by the login when that gives none. Only a ProBonus that was not reached, or asks to be left
    /// alone, is not asked another way.
    async fn tokens(
        &self,
        known: Option<&Bearer>,
        transport: &Transport,
        deadline: Deadline,
    ) -> Result<Tokens, UpstreamError> {
        if let Some(refresh) = known.and_then(|bearer| bearer.refresh.as_ref()) {
            let renewed = self.by_refresh(refresh, transport, deadline).await;
            let turned_away = matches!(
                renewed,
                Err(UpstreamError::Unavailable {
                    effect: Effect::None,
                    ..
                })
            );
            if renewed.is_ok() || turned_away {
                return renewed;
            }
        }
        self.by_login(transport, deadline).await
    }

    async fn by_login(&self, transport: &Transport, deadline: Deadline) -> Result<Tokens, UpstreamError> {
        let CredentialConfig::Login { login, password } = &self.config else {
            return Err(UpstreamError::CredentialRefused);
        };
        let arguments = Arguments::default()
            .text("login", login.expose_secret())
            .text("password", password.expose_secret());
        ask(Operation::Login, &arguments, transport, deadline).await
    }

    async fn by_refresh(
        &self,
        refresh: &SecretString,
        transport: &Transport,
        deadline: Deadline,
    ) -> Result<Tokens, UpstreamError> {
        let arguments = Arguments::default().text("refreshToken", refresh.expose_secret());
        ask(Operation::RefreshToken, &arguments, transport, deadline).await
    }

    fn keep(&self, tokens: Tokens, number: u64) -> Bearer {
        let life = tokens
            .expires_in
            .or_else(|| self.life_of_jwt(&tokens.access))
            .unwrap_or(USUAL_LIFE);
        let bearer = Bearer {
            access: Arc::new(tokens.access.into()),
            refresh: tokens.refresh.map(|token| Arc::new(token.into())),
            good_until: self.clock.steady() + life.saturating_sub(MARGIN.min(life / 2)),
            number,
        };
        *lock(&self.current) = Some(bearer.clone());
        bearer
    }

    /// What a JWT says about its end. It is not verified: ProBonus does that.
    fn life_of_jwt(&self, token: &str) -> Option<Duration> {
        let claims = token.split('.').nth(1)?;
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        let left = claims.get("exp")?.as_i64()? - self.clock.now().as_second();
        u64::try_from(left).ok().map(Duration::from_secs)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks for tokens; no credential goes along.
async fn ask(
    operation: Operation,
    arguments: &Arguments,
    transport: &Transport,
    deadline: Deadline,
) -> Result<Tokens, UpstreamError> {
    let request = transport.request(operation, arguments);
    let answer = transport.send(operation, request, deadline).await?;
    match decide(&answer, operation, &Forms::default())? {
        Verdict::Told(answer) => read_tokens(answer),
        Verdict::Nothing | Verdict::Absent => Err(UpstreamError::Invalid),
    }
}
