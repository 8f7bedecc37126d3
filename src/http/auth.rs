//! `/api/v1/auth`: a phone, a code, a session.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body::Body;
use super::{
    App, ErrorCode, FieldCode, Fields, FromFields, Problem, RequestFacts, SignedInGuest, cookies, whole_seconds,
};
use crate::delivery::DeliveryState;
use crate::model::{Channel, Phone, PhoneRefused, Platform};
use crate::sign_in::{
    AccountState, Ask, Asked, CHOSEN_DIGITS, CODE_LENGTH, ChallengeId, Grant, SessionKind, SignInError, Verified,
    Verify,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(ask))
        .routes(routes!(challenge))
        .routes(routes!(resend))
        .routes(routes!(verify))
        .routes(routes!(refresh))
        .routes(routes!(logout))
}

const DEVICE_TOKEN: HeaderName = HeaderName::from_static("x-device-token");

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::ChallengeInvalid => Self::new(ErrorCode::ChallengeInvalid),
            SignInError::CodeIncorrect { attempts_left } => Self {
                attempts_left: Some(attempts_left),
                ..Self::new(ErrorCode::CodeIncorrect)
            },
            SignInError::CodeMalformed => Self::field("code", FieldCode::InvalidFormat),
            SignInError::DeliveryUnavailable { retry_after } => {
                Self::new(ErrorCode::DeliveryUnavailable).retry_after(retry_after)
            }
            SignInError::TooMany(limit) => {
                let window = limit.window.as_secs().max(1);
                let wait = limit.retry_after.as_millis().div_ceil(1000);
                let policy = format!("\"{}\";q={};w={window}", limit.name, limit.most);
                let left = format!("\"{}\";r=0;t={wait}", limit.name);
                let value = |text: String| HeaderValue::try_from(text).expect("names and numbers are a header value");
                Self::new(ErrorCode::TooManyRequests)
                    .retry_after(limit.retry_after)
                    .header(HeaderName::from_static("ratelimit-policy"), value(policy))
                    .header(HeaderName::from_static("ratelimit"), value(left))
            }
            SignInError::ChannelNotOffered => Self::field("channel", FieldCode::NotAllowed),
            SignInError::Unauthenticated => Self::new(ErrorCode::Unauthenticated),
            SignInError::SessionExpired => Self::new(ErrorCode::SessionExpired),
            SignInError::TokenReused => Self::new(ErrorCode::TokenReused),
            SignInError::InProgress => {
                Self::new(ErrorCode::OperationInProgress).retry_after(std::time::Duration::from_secs(1))
            }
            SignInError::Store(error) => error.into(),
        }
    }
}

/// Who wants a code.
#[derive(ToSchema)]
#[schema(example = json!({"phone": "+7 916 000-00-01"}))]
struct ChallengeRequest {
    /// A mobile number in any usual spelling.
    #[schema(min_length = 1, max_length = 64, example = "+7 916 000-00-01")]
    phone: String,
    /// How the code should come; the first of `channels` when not said.
    #[schema(nullable)]
    channel: Option<Channel>,
    /// Where the code will be typed: the text is made for it.
    #[schema(nullable)]
    platform: Option<Platform>,
}

const CHANNELS: [(&str, Channel); 5] = [
    ("sms", Channel::Sms),
    ("flash_call", Channel::FlashCall),
    ("guest_call", Channel::GuestCall),
    ("telegram", Channel::Telegram),
    ("other", Channel::Other),
];

impl FromFields for ChallengeRequest {
    fn read(fields: &mut Fields) -> Option<Self> {
        let platforms = [
            ("web", Platform::Web),
            ("ios", Platform::Ios),
            ("android", Platform::Android),
        ];
        let phone = phone_text(fields);
        let channel = fields.choice("channel", &CHANNELS);
        let platform = fields.choice("platform", &platforms);
        Some(Self {
            phone: phone?,
            channel,
            platform,
        })
    }
}

/// The phone's text, whatever it holds: what is wrong with it is said by its own code.
fn phone_text(fields: &mut Fields) -> Option<String> {
    if !fields.has("phone") || fields.is_null("phone") {
        fields.value("phone");
        fields.problem("phone", FieldCode::Required);
        return None;
    }
    let Some(serde_json::Value::String(text)) = fields.value("phone") else {
        fields.problem("phone", FieldCode::WrongType);
        return None;
    };
    Some(text)
}

#[derive(ToSchema)]
struct ResendRequest {
    /// Another way; the last one when not said.
    #[schema(nullable)]
    channel: Option<Channel>,
}

impl FromFields for ResendRequest {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self {
            channel: fields.choice("channel", &CHANNELS),
        })
    }
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "documents the body; reading gives the room's own kinds")]
struct VerifyRequest {
    /// The six digits; by `flash_call` the last four of the number that called; any when `delivery` is `confirmed`.
    #[schema(pattern = r"^([0-9]{6}|[0-9]{4})$", example = "123456")]
    code: String,
    /// `bearer` for apps, `cookie` for browsers.
    session: SessionWish,
    /// What the guest calls this device.
    #[schema(nullable, max_length = 64, example = "iPhone Анны")]
    device_name: Option<String>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "documents the values; reading gives the room's own kind")]
enum SessionWish {
    Bearer,
    Cookie,
}

struct VerifyFields {
    code: String,
    kind: SessionKind,
    device_name: Option<String>,
}

impl FromFields for VerifyFields {
    fn read(fields: &mut Fields) -> Option<Self> {
        let code = code(fields);
        let kinds = [("bearer", SessionKind::Bearer), ("cookie", SessionKind::Cookie)];
        let kind = fields.required_choice("session", &kinds);
        let device_name = fields.text("device_name", 0..=64);
        Some(Self {
            code: code?,
            kind: kind?,
            device_name: device_name
                .map(|name| name.trim().to_owned())
                .filter(|name| !name.is_empty()),
        })
    }
}

/// Exactly as many ASCII digits as a code has, as text: a number has lost its leading zeros, and costs no try.
fn code(fields: &mut Fields) -> Option<String> {
    let lengths = [CODE_LENGTH as usize, CHOSEN_DIGITS as usize];
    let code = fields.required_text("code", 0..=64)?;
    if lengths.contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(code);
    }
    fields.problem("code", FieldCode::InvalidFormat);
    None
}

#[derive(ToSchema)]
struct RefreshRequest {
    /// The refresh token of the newest pair.
    refresh_token: String,
}

impl FromFields for RefreshRequest {
    fn read(fields: &mut Fields) -> Option<Self> {
        fields
            .required_text("refresh_token", 1..=2048)
            .map(|refresh_token| Self { refresh_token })
    }
}

/// A challenge as its asker sees it.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the contract's names")]
struct Challenge {
    /// The asker's secret; it goes into the next calls' paths.
    #[schema(example = "vZ0c2QmY1cQ7o5m3f0aN8xKqWb2h4TjL")]
    challenge_id: String,
    /// The phone, masked.
    #[schema(example = "+7 916 ***-**-01")]
    masked_phone: String,
    /// By which channel the last message goes.
    channel: Channel,
    /// Channels that can be asked for.
    channels: Vec<Channel>,
    /// Digits of the code: six; four when they are the last ones of the number that calls.
    #[schema(example = 6)]
    code_length: u32,
    /// Seconds until the code is worthless.
    #[schema(example = 300)]
    expires_in: u64,
    /// Seconds until another message may be asked for.
    #[schema(example = 60)]
    resend_in: u64,
    /// Tries left.
    #[schema(example = 5)]
    attempts_left: u32,
}

/// A challenge and how its message fares.
#[derive(Serialize, ToSchema)]
struct ChallengeState {
    #[serde(flatten)]
    challenge: Challenge,
    /// `queued`: not sent yet; `sent`: a gateway took it; `delivered`; `failed`: ask for another at once; `confirmed`: the guest's call was seen.
    delivery: DeliveryWord,
    /// The number that the guest is to call, for `tel:`; only by `guest_call`, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "+78005550100")]
    dial: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum DeliveryWord {
    Queued,
    Sent,
    Delivered,
    Failed,
    Confirmed,
}

impl From<DeliveryState> for DeliveryWord {
    fn from(state: DeliveryState) -> Self {
        match state {
            DeliveryState::Queued => Self::Queued,
            DeliveryState::Sent => Self::Sent,
            DeliveryState::Delivered => Self::Delivered,
            DeliveryState::Failed => Self::Failed,
            DeliveryState::Confirmed => Self::Confirmed,
        }
    }
}

impl From<Asked> for Challenge {
    fn from(asked: Asked) -> Self {
        Self {
            challenge_id: asked.id.text(),
            masked_phone: asked.masked_phone,
            channel: asked.channel,
            channels: asked.channels,
            code_length: asked.code_length,
            expires_in: whole_seconds(asked.expires_in),
            resend_in: whole_seconds(asked.resend_in),
            attempts_left: asked.attempts_left,
        }
    }
}

/// Whether the guest has an account.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum AccountWord {
    Active,
    Absent,
    Unresolved,
}

impl From<AccountState> for AccountWord {
    fn from(state: AccountState) -> Self {
        match state {
            AccountState::Active => Self::Active,
            AccountState::Absent => Self::Absent,
            AccountState::Unresolved => Self::Unresolved,
        }
    }
}

/// A bearer session's pair.
#[derive(Serialize, ToSchema)]
struct Tokens {
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// For `Authorization: Bearer …`.
    access_token: String,
    /// Seconds that it is good.
    #[schema(example = 300)]
    expires_in: u64,
    /// For the next pair; keep it in the phone's secure storage.
    refresh_token: String,
    /// Seconds that it is good unless used.
    #[schema(example = 5_184_000)]
    refresh_expires_in: u64,
    /// `active`; `absent`: sign up; `unresolved`: ProBonus did not say in time, the first view asks again. Only after `verify`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    account_state: Option<AccountWord>,
}

/// A cookie session: its value is in `Set-Cookie` alone.
#[derive(Serialize, ToSchema)]
struct CookieSession {
    /// Seconds that it is good unless used.
    #[schema(example = 604_800)]
    expires_in: u64,
    /// See the bearer answer.
    account_state: AccountWord,
}

/// What `verify` gives, by the kind of session.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = SignedIn)]
enum Session {
    Bearer(Tokens),
    Cookie(CookieSession),
}

/// Asks for a code.
///
/// The same answer, in the same time, for known, unknown and blocked phones; ProBonus is not asked.
#[utoipa::path(
    post,
    path = "/api/v1/auth/challenges",
    operation_id = "createChallenge",
    tag = "Sign-in",
    request_body = ChallengeRequest,
    responses((status = 202, description = "The code is on its way", body = Challenge)),
    extensions(("x-problems" = json!(["phone_not_supported", "too_many_requests", "origin_not_allowed", "delivery_unavailable"]))),
)]
async fn ask(
    State(app): State<App>,
    facts: RequestFacts,
    headers: HeaderMap,
    Body(request): Body<ChallengeRequest>,
) -> Result<Response, Problem> {
    cookies::allowed_origin(&app, &headers)?;
    let phone = Phone::parse(&request.phone, &app.config.auth.phones).map_err(phone_problem)?;
    let asked = app
        .sign_in
        .ask(Ask {
            phone,
            channel: request.channel,
            platform: request.platform.unwrap_or_default(),
            language: facts.language.tag(),
            ip: facts.client_ip,
            device_token: cookies::device(&app, &headers),
        })
        .await?;
    Ok((StatusCode::ACCEPTED, Json(Challenge::from(asked))).into_response())
}

fn phone_problem(refused: PhoneRefused) -> Problem {
    let code = match refused {
        PhoneRefused::Malformed => FieldCode::InvalidFormat,
        PhoneRefused::NotSupported => FieldCode::NotAllowed,
    };
    Problem {
        errors: vec![("phone".into(), code)],
        ..Problem::new(ErrorCode::PhoneNotSupported)
    }
}

fn challenge_id(text: &str) -> Result<ChallengeId, Problem> {
    ChallengeId::parse(text).ok_or_else(|| Problem::new(ErrorCode::ChallengeInvalid))
}

/// How a challenge and its message stand.
///
/// Only who holds the id can ask. Expired, used, exhausted and unknown ids look exactly alike.
#[utoipa::path(
    get,
    path = "/api/v1/auth/challenges/{id}",
    operation_id = "getChallenge",
    tag = "Sign-in",
    params(("id" = String, Path, description = "The `challenge_id`")),
    responses((status = 200, description = "The challenge lives", body = ChallengeState)),
    extensions(("x-problems" = json!(["challenge_invalid"]))),
)]
async fn challenge(State(app): State<App>, Path(id): Path<String>) -> Result<Json<ChallengeState>, Problem> {
    let (asked, progress) = app.sign_in.challenge(&challenge_id(&id)?).await?;
    Ok(Json(ChallengeState {
        challenge: asked.into(),
        delivery: progress.state.into(),
        dial: progress.dial,
    }))
}

/// Sends the same code once more.
///
/// Code, expiry and tries stay as they are.
#[utoipa::path(
    post,
    path = "/api/v1/auth/challenges/{id}/resend",
    operation_id = "resendChallenge",
    tag = "Sign-in",
    params(("id" = String, Path, description = "The `challenge_id`")),
    request_body = ResendRequest,
    responses((status = 202, description = "The code is on its way again", body = Challenge)),
    extensions(("x-problems" = json!(["challenge_invalid", "too_many_requests", "origin_not_allowed", "delivery_unavailable"]))),
)]
async fn resend(
    State(app): State<App>,
    facts: RequestFacts,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(request): Body<ResendRequest>,
) -> Result<Response, Problem> {
    cookies::allowed_origin(&app, &headers)?;
    let device = cookies::device(&app, &headers);
    let asked = app
        .sign_in
        .resend(&challenge_id(&id)?, request.channel, facts.client_ip, device)
        .await?;
    Ok((StatusCode::ACCEPTED, Json(Challenge::from(asked))).into_response())
}

/// Gives the code back and opens a session.
///
/// Five tries over all resends. `X-Device-Token` (for browsers a cookie) remembers the device: sent along with later challenges it keeps
/// a small reserve of messages that strangers cannot use up.
#[utoipa::path(
    post,
    path = "/api/v1/auth/challenges/{id}/verify",
    operation_id = "verifyChallenge",
    tag = "Sign-in",
    params(("id" = String, Path, description = "The `challenge_id`")),
    request_body = VerifyRequest,
    responses((status = 200, description = "Signed in", body = Session, headers(
        ("X-Device-Token" = String, description = "To be sent along with later challenges of this device"),
    ))),
    extensions(("x-problems" = json!(["challenge_invalid", "code_incorrect", "too_many_requests", "origin_not_allowed"]))),
)]
async fn verify(
    State(app): State<App>,
    facts: RequestFacts,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(request): Body<VerifyFields>,
) -> Result<Response, Problem> {
    cookies::allowed_origin(&app, &headers)?;
    let id = challenge_id(&id)?;
    let verify = Verify {
        id: &id,
        code: &request.code,
        kind: request.kind,
        device_name: request.device_name,
        ip: facts.client_ip,
        device_token: cookies::device(&app, &headers),
    };
    Ok(signed_in(&app, app.sign_in.verify(verify).await?))
}

fn signed_in(app: &App, verified: Verified) -> Response {
    let state = AccountWord::from(verified.account_state);
    let grant = verified.grant;
    let mut headers = HeaderMap::new();
    let session = match grant.kind {
        SessionKind::Bearer => {
            headers.extend(HeaderValue::try_from(verified.device_token).map(|token| (DEVICE_TOKEN, token)));
            Session::Bearer(tokens(grant, Some(state)))
        }
        SessionKind::Cookie => {
            let cookie = cookies::set_session(app, &grant.access, grant.ends_in);
            headers.append(header::SET_COOKIE, cookie);
            headers.append(header::SET_COOKIE, cookies::set_device(app, &verified.device_token));
            Session::Cookie(CookieSession {
                expires_in: grant.expires_in.as_secs(),
                account_state: state,
            })
        }
    };
    (headers, Json(session)).into_response()
}

fn tokens(grant: Grant, account_state: Option<AccountWord>) -> Tokens {
    Tokens {
        token_type: "Bearer",
        access_token: grant.access,
        expires_in: whole_seconds(grant.expires_in),
        refresh_token: grant.refresh.unwrap_or_default(),
        refresh_expires_in: grant.refresh_expires_in.as_secs(),
        account_state,
    }
}

/// Gives a new pair for a refresh token.
///
/// The token before it still works while the new pair is unused (the answer was lost); later it is reuse, and the session ends.
#[utoipa::path(
    post,
    path = "/api/v1/auth/refresh",
    operation_id = "refreshSession",
    tag = "Sign-in",
    request_body = RefreshRequest,
    responses((status = 200, description = "The new pair", body = Tokens)),
    extensions(("x-problems" = json!(["unauthenticated", "session_expired", "token_reused", "operation_in_progress"]))),
)]
async fn refresh(State(app): State<App>, Body(request): Body<RefreshRequest>) -> Result<Json<Tokens>, Problem> {
    let grant = app.sign_in.refresh(&request.refresh_token).await?;
    Ok(Json(tokens(grant, None)))
}

/// Ends this session, on every replica.
#[utoipa::path(
    post,
    path = "/api/v1/auth/logout",
    operation_id = "logout",
    tag = "Sign-in",
    security(("bearer" = []), ("cookie" = [])),
    responses((status = 204, description = "Signed out")),
)]
async fn logout(State(app): State<App>, guest: SignedInGuest) -> Result<Response, Problem> {
    app.sign_in.end_session(&guest.guest, guest.session).await?;
    Ok(guest.ended(&app))
}
