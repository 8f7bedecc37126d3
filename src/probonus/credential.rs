//! The one credential ProBonus knows: a permanent token, or a login whose tokens are renewed by one call at a time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::answers::{self, Tokens};
use super::call::Transport;
use super::error::UpstreamError;
use super::json::Json;
use super::operation::Operation;
use crate::clock::{Clock, Deadline};
use crate::config::CredentialConfig;

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
    /// Only one renewal at a time.
    renewing: tokio::sync::Mutex<()>,
    refusal: Mutex<Refusal>,
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
        Self {
            config,
            header,
            clock,
            current: Mutex::new(None),
            renewing: tokio::sync::Mutex::new(()),
            refusal: Mutex::new(Refusal::default()),
        }
    }

    /// Whether a refused credential can be exchanged for a new one.
    pub fn can_renew(&self) -> bool {
        matches!(self.config, CredentialConfig::Login { .. })
    }

    /// The header for a call; may log in or renew first.
    pub async fn authorization(
        &self,
        transport: &Transport,
        deadline: Deadline,
    ) -> Result<Authorization, UpstreamError> {
        self.not_refused()?;
        match &self.config {
            CredentialConfig::Token(token) => self.header(token, 0),
            CredentialConfig::Login { .. } => {
                let bearer = match self.fresh() {
                    Some(bearer) => bearer,
                    None => self.renew(None, transport, deadline).await?,
                };
                self.header(&bearer.access, bearer.number)
            }
        }
    }

    /// A new header after the one of `refused` was not accepted.
    pub async fn renewed(
        &self,
        refused: &Authorization,
        transport: &Transport,
        deadline: Deadline,
    ) -> Result<Authorization, UpstreamError> {
        let bearer = self.renew(Some(refused.number), transport, deadline).await?;
        self.header(&bearer.access, bearer.number)
    }

    /// ProBonus accepted the credential.
    pub fn accepted(&self) {
        let mut refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        if refusal.until.take().is_some() {
            refusal.pause = Duration::ZERO;
            metrics::gauge!("cabinet_credential_refused").set(0.0);
            tracing::info!(target: "security", event = "upstream_credential_accepted", "ProBonus accepts our credential again");
        }
    }

    /// ProBonus refused it for good: nobody asks for a while, then one call tries again.
    pub fn refused(&self) {
        let mut refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        if refusal.until.is_none() {
            metrics::gauge!("cabinet_credential_refused").set(1.0);
            tracing::error!(target: "security", event = "upstream_credential_refused", "ProBonus refuses our credential: check probonus.token or probonus.login");
        }
        refusal.pause = (refusal.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        refusal.until = Some(self.clock.steady() + refusal.pause);
    }

    fn not_refused(&self) -> Result<(), UpstreamError> {
        let mut refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
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
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// One renewal at a time: who waited for another's takes its result.
    async fn renew(
        &self,
        refused: Option<u64>,
        transport: &Transport,
        deadline: Deadline,
    ) -> Result<Bearer, UpstreamError> {
        let turn = tokio::time::timeout_at(deadline.instant(), self.renewing.lock()).await;
        let _turn = turn.map_err(|_| UpstreamError::not_sent(None))?;
        let known = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(bearer) = &known
            && refused.is_none_or(|number| number != bearer.number)
            && self.clock.steady() < bearer.good_until
        {
            return Ok(bearer.clone());
        }
        let refresh = known.as_ref().and_then(|bearer| bearer.refresh.clone());
        let tokens = match refresh {
            Some(refresh) => match self.by_refresh(&refresh, transport, deadline).await {
                Err(UpstreamError::Refused { .. } | UpstreamError::CredentialRefused | UpstreamError::Invalid) => {
                    self.by_login(transport, deadline).await
                }
                renewed => renewed,
            },
            None => self.by_login(transport, deadline).await,
        };
        let bearer = match tokens {
            Ok(tokens) => self.keep(tokens, known.map_or(0, |bearer| bearer.number) + 1),
            // Whatever 4xx the login gives, it is about the credential.
            Err(UpstreamError::Refused { .. } | UpstreamError::CredentialRefused) => {
                self.refused();
                return Err(UpstreamError::CredentialRefused);
            }
            Err(error) => return Err(error),
        };
        Ok(bearer)
    }

    async fn by_login(&self, transport: &Transport, deadline: Deadline) -> Result<Tokens, UpstreamError> {
        let CredentialConfig::Login { login, password } = &self.config else {
            return Err(UpstreamError::CredentialRefused);
        };
        let arguments = json!({ "login": login.expose_secret(), "password": password.expose_secret() });
        ask(Operation::Login, &arguments, transport, deadline).await
    }

    async fn by_refresh(
        &self,
        refresh: &SecretString,
        transport: &Transport,
        deadline: Deadline,
    ) -> Result<Tokens, UpstreamError> {
        let arguments = json!({ "refreshToken": refresh.expose_secret() });
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
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(bearer.clone());
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

/// Asks for tokens; no credential goes along.
async fn ask(
    operation: Operation,
    arguments: &Value,
    transport: &Transport,
    deadline: Deadline,
) -> Result<Tokens, UpstreamError> {
    let request = transport.request(operation, arguments);
    let answer = transport.send(operation, request, deadline).await?;
    let answer = answer.accepted()?;
    answers::tokens(Json::parse(&answer)?.unwrapped())
}
