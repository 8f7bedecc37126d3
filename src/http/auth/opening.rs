//! Opening, renewing and ending a session.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::challenge_id;
use crate::http::body::{Body, MAX_BODY};
use crate::http::{App, FieldCode, Fields, FromFields, Problem, RequestFacts, SignedInGuest, cookies, whole_seconds};
use crate::model::AccountBinding;
use crate::model::text::without_blanks;
use crate::sign_in::{CHOSEN_DIGITS, CODE_LENGTH, Grant, SessionKind, Verified, Verify};

const DEVICE_TOKEN: HeaderName = HeaderName::from_static("x-device-token");

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(verify))
        .routes(routes!(refresh))
        .routes(routes!(logout))
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "documents the body; reading gives the room's own kinds")]
struct VerifyRequest {
    /// The six digits; by `flash_call` the last four of the number that called; any, or none, when `delivery` is `confirmed`. Blanks and
    /// invisible marks that were pasted along are passed over.
    #[schema(nullable, pattern = r"^([0-9]{6}|[0-9]{4})?$", example = "123456")]
    code: Option<String>,
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
        let device_name = fields.name("device_name", 64);
        Some(Self {
            code: code?,
            kind: kind?,
            device_name: device_name.filter(|name| !name.is_empty()),
        })
    }
}

/// Exactly as many ASCII digits as a code has, as text: a number has lost its leading zeros, and costs no try. Blanks and invisible marks
/// are pasted along with a message's code and say nothing. Nothing at all stands for the guest's own call.
fn code(fields: &mut Fields) -> Option<String> {
    let lengths = [0, CODE_LENGTH as usize, CHOSEN_DIGITS as usize];
    if !fields.has("code") || fields.is_null("code") {
        fields.value("code");
        return Some(String::new());
    }
    let code = without_blanks(&fields.pasted("code", 0..=64)?);
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
        // However long: what is no token of ours is 401, not a wrong field.
        fields
            .required_text("refresh_token", 1..=MAX_BODY)
            .map(|refresh_token| Self { refresh_token })
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

impl From<AccountBinding> for AccountWord {
    fn from(account: AccountBinding) -> Self {
        match account {
            AccountBinding::Account(_) => Self::Active,
            AccountBinding::Absent => Self::Absent,
            AccountBinding::Unknown => Self::Unresolved,
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
// The schema is closed, so that a bearer answer is not one of these, too.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
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

/// Gives the code back and opens a session.
///
/// Five tries over all resends; a right code opens while there is one left, whatever was typed elsewhere. Wrong ones are counted by phone
/// and by the networks of who asked and who types: beyond a bound (429) each is the last one of its challenge. Four-digit codes are counted
/// over all phones together, and beyond a bound none is looked at. `X-Device-Token` (for browsers a cookie) remembers the device: sent
/// along with later challenges it keeps a small reserve of messages that strangers cannot use up.
#[utoipa::path(
    post,
    path = "/api/v1/auth/challenges/{id}/verify",
    operation_id = "verifyChallenge",
    tag = "Sign-in",
    params(
        ("id" = String, Path, description = "The `challenge_id`"),
        ("X-Device-Token" = Option<String>, Header, description = "What the last sign-in of this device gave; browsers have a cookie"),
    ),
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
    if request.kind == SessionKind::Cookie {
        cookies::allowed_origin(&app, &headers)?;
    }
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
    let state = AccountWord::from(verified.account);
    let grant = verified.grant;
    let mut headers = HeaderMap::new();
    let session = match grant.kind {
        SessionKind::Bearer => {
            let token = verified
                .device_token
                .and_then(|token| HeaderValue::try_from(token).ok());
            headers.extend(token.map(|token| (DEVICE_TOKEN, token)));
            Session::Bearer(tokens(grant, Some(state)))
        }
        SessionKind::Cookie => {
            let cookie = cookies::set_session(app, &grant.access, grant.ends_in);
            headers.append(header::SET_COOKIE, cookie);
            if let Some(token) = &verified.device_token {
                headers.append(header::SET_COOKIE, cookies::set_device(app, token));
            }
            Session::Cookie(CookieSession {
                expires_in: whole_seconds(grant.expires_in),
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
        refresh_expires_in: whole_seconds(grant.refresh_expires_in),
        account_state,
    }
}

/// Gives a new pair for a refresh token.
///
/// The token before it gives the new pair again while that is unused (the answer was lost), and for `auth.refresh_leeway_ms` (10 s) after
/// its first use (two asked at once); later it is reuse, and the session ends.
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
