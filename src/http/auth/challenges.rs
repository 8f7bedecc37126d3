//! `/api/v1/auth/challenges`: asking for a code, once and again.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::challenge_id;
use crate::delivery::DeliveryState;
use crate::http::body::Body;
use crate::http::{App, ErrorCode, FieldCode, Fields, FromFields, Problem, RequestFacts, cookies, whole_seconds};
use crate::model::{Channel, Phone, PhoneRefused, Platform};
use crate::sign_in::{Ask, Asked};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(ask))
        .routes(routes!(challenge))
        .routes(routes!(resend))
}

/// Who wants a code.
#[derive(ToSchema)]
#[schema(example = json!({"phone": "+7 916 000-00-01"}))]
struct ChallengeRequest {
    /// A mobile number in any usual spelling.
    #[schema(min_length = 1, max_length = 64, example = "+7 916 000-00-01")]
    phone: String,
    /// How the code should come; when not said, the first of `channels` that works now.
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
    /// Digits of the code: six; four when they are the last ones of the number that calls; 0 when the guest calls and types nothing.
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

/// Asks for a code.
///
/// The same answer, in the same time, for known, unknown and blocked phones; ProBonus is not asked. Messages are counted by phone, by range
/// of numbers, by address and the networks around it (IPv4: /24; IPv6: /64, /56, /48) and in all; between two messages to one phone there
/// is a pause whoever asks. A device that signed in before has three messages a day behind all but the pause.
#[utoipa::path(
    post,
    path = "/api/v1/auth/challenges",
    operation_id = "createChallenge",
    tag = "Sign-in",
    params(
        ("X-Device-Token" = Option<String>, Header, description = "What the last sign-in of this device gave; browsers have a cookie"),
    ),
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

/// How a challenge and its message stand.
///
/// Only who holds the id can ask. Expired, used, exhausted and unknown ids look exactly alike. A `guest_call` that could not be told from
/// another open one of the phone goes on with a code: `channel` and `code_length` say so.
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
    params(
        ("id" = String, Path, description = "The `challenge_id`"),
        ("X-Device-Token" = Option<String>, Header, description = "What the last sign-in of this device gave; browsers have a cookie"),
    ),
    request_body = Option<ResendRequest>,
    responses((status = 202, description = "The code is on its way again", body = Challenge)),
    extensions(("x-problems" = json!(["challenge_invalid", "too_many_requests", "origin_not_allowed", "delivery_unavailable"]))),
)]
async fn resend(
    State(app): State<App>,
    facts: RequestFacts,
    Path(id): Path<String>,
    headers: HeaderMap,
    request: Option<Body<ResendRequest>>,
) -> Result<Response, Problem> {
    cookies::allowed_origin(&app, &headers)?;
    let device = cookies::device(&app, &headers);
    let channel = request.and_then(|Body(request)| request.channel);
    let asked = app
        .sign_in
        .resend(&challenge_id(&id)?, channel, facts.client_ip, device)
        .await?;
    Ok((StatusCode::ACCEPTED, Json(Challenge::from(asked))).into_response())
}
