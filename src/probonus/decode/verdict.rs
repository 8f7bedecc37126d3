//! The one place that decides what an answer of ProBonus is: a told result, a told refusal, "no such guest", or nonsense.
//!
//! A refusal is never taken for done or for absent, a result never for a refusal. What says both of itself is neither: an error of a
//! read, an unknown outcome of a write. A write is done when it is told so in a form of the table, and in no other case; what is not told
//! either way is settled by reading.

use http::StatusCode;

use super::envelope::{Opened, open};
use super::fields::is_no_id;
use super::forms::{Word, flag_itself, word};
use super::json::{Json, NONSENSE, Read};
use crate::config::{AbsentForm, DoneForm, Forms};
use crate::probonus::error::UpstreamError;
use crate::probonus::operation::{Kind, Operation};
use crate::probonus::reply::Reply;

/// What an answer that is no error says.
pub(in crate::probonus) enum Verdict<'a> {
    /// This, out of its envelopes; of a write: it was done, and this was told along.
    Told(Json<'a>),
    /// Nothing: a list without entries, or a write that was done without a word.
    Nothing,
    /// There is no such guest, or no such check.
    Absent,
}

/// Texts of a 404 that speaks about an address: ASP.NET's, Kong's, Express', and whoever shows the path that was asked for.
const ADDRESS_WORDS: [&str; 12] = [
    "http resource",
    "request uri",
    "messagedetail",
    "no route",
    "no action",
    "controller",
    "endpoint",
    "cannot get",
    "cannot post",
    "page not found",
    "api/v0",
    "<html",
];

/// What `reply` to `operation` says.
///
/// # Errors
/// [`UpstreamError::Refused`] and [`UpstreamError::CredentialRefused`] when that was told, be it inside a 200;
/// [`UpstreamError::Unavailable`] when ProBonus failed at it; [`UpstreamError::Invalid`] for everything else.
pub(in crate::probonus) fn decide<'a>(reply: &'a Reply, operation: Operation, forms: &Forms) -> Read<Verdict<'a>> {
    match operation.kind() {
        Kind::Find => found(reply, operation, forms),
        Kind::Read => read(reply, operation),
        Kind::Write => written(reply, operation, forms),
    }
}

/// The word for it in metrics.
pub(in crate::probonus) fn outcome(reply: &Reply, operation: Operation, forms: &Forms) -> &'static str {
    decide(reply, operation, forms).map_or_else(UpstreamError::outcome, |_| "ok")
}

/// In which form `reply` says that there is nothing, whether that form is believed or not.
pub(in crate::probonus) fn absent_form(reply: &Reply, operation: Operation) -> Option<AbsentForm> {
    match reply.status {
        StatusCode::NOT_FOUND if reply.is_blank() => Some(AbsentForm::NotFoundEmpty),
        StatusCode::NOT_FOUND if speaks_of_an_address(reply) => Some(AbsentForm::NotFoundPage),
        StatusCode::NOT_FOUND => Some(AbsentForm::NotFound),
        StatusCode::NO_CONTENT => Some(AbsentForm::NoContent),
        status if status.is_success() && reply.is_blank() => Some(AbsentForm::Empty),
        status if status.is_success() => match told(reply, operation) {
            Err(UpstreamError::Refused { .. }) => Some(AbsentForm::Refusal),
            Ok(opened) if opened.value.is_null() => Some(AbsentForm::Null),
            Ok(opened) if opened.value.is_nothing() && opened.value.is_list() => Some(AbsentForm::Array),
            Ok(opened) if opened.value.is_nothing() && opened.value.is_object() => Some(AbsentForm::Object),
            _ => None,
        },
        _ => None,
    }
}

/// Names of the envelopes around a success, the outermost first.
pub(in crate::probonus) fn around(reply: &Reply, operation: Operation) -> Vec<&'static str> {
    told(reply, operation).map(|opened| opened.around).unwrap_or_default()
}

fn found<'a>(reply: &'a Reply, operation: Operation, forms: &Forms) -> Read<Verdict<'a>> {
    match absent_form(reply, operation) {
        Some(form) if forms.absent.contains(&form) => Ok(Verdict::Absent),
        Some(AbsentForm::NotFound) => Err(UpstreamError::Refused { status: 404 }),
        Some(AbsentForm::Refusal) | None => told(reply, operation).map(|opened| Verdict::Told(opened.value)),
        Some(_) => Err(NONSENSE),
    }
}

fn read(reply: &Reply, operation: Operation) -> Read<Verdict<'_>> {
    if reply.status == StatusCode::NO_CONTENT {
        return Ok(Verdict::Nothing);
    }
    let opened = told(reply, operation)?;
    Ok(if opened.value.is_null() {
        Verdict::Nothing
    } else {
        Verdict::Told(opened.value)
    })
}

fn written<'a>(reply: &'a Reply, operation: Operation, forms: &Forms) -> Read<Verdict<'a>> {
    let believed = |form| forms.done.contains(&form).then_some(Verdict::Nothing).ok_or(NONSENSE);
    // 202 says that it was taken, not that it was done, and what the rarer ones say nobody knows.
    let done = matches!(
        reply.status,
        StatusCode::OK | StatusCode::CREATED | StatusCode::NO_CONTENT
    );
    if done && reply.is_blank() {
        return believed(DoneForm::Empty);
    }
    let opened = told(reply, operation)?;
    if !done {
        return Err(NONSENSE);
    }
    let value = opened.value;
    if let Some(Word::Refused(status)) = flag_itself(value).or_else(|| word(value)) {
        // Done, and yet not.
        return Err(if opened.said.done {
            NONSENSE
        } else {
            UpstreamError::Refused { status }
        });
    }
    // Where people are told something, neither a status nor an id beside it proves anything.
    let proven = !opened.said.explained && (opened.said.fine || names_what_was_made(value, operation));
    if opened.said.done || word(value).or_else(|| flag_itself(value)).is_some() || proven {
        return Ok(Verdict::Told(value));
    }
    match value {
        value if value.is_null() => believed(DoneForm::Null),
        value if value.is_object() && value.is_nothing() => believed(DoneForm::Object),
        value if value.is_positive() => believed(DoneForm::Number),
        _ => Err(NONSENSE),
    }
}

/// Whether an object has the id of what a write made or changed.
fn names_what_was_made(value: Json, operation: Operation) -> bool {
    let id = value.object().ok().and_then(|object| object.told(operation.made()));
    id.is_some_and(|id| id.scalar().is_ok_and(|id| !is_no_id(&id)))
}

/// A success' value and what its envelopes say, unless that is a refusal or a failure.
fn told(reply: &Reply, operation: Operation) -> Read<Opened<'_>> {
    if !reply.status.is_success() {
        let astray = reply.status == StatusCode::NOT_FOUND && (reply.is_blank() || speaks_of_an_address(reply));
        return Err(if astray { NONSENSE } else { reply.failure() });
    }
    let opened = open(Json::parse(&reply.body)?, operation)?;
    let said = opened.said;
    match said.refused {
        // A failure of its own, told inside a success: as if it had come with its status.
        _ if said.failed => Err(UpstreamError::unknown()),
        None => Ok(opened),
        Some(_) if said.done => Err(NONSENSE),
        Some(401) => Err(UpstreamError::CredentialRefused),
        Some(status) => Err(UpstreamError::Refused { status }),
    }
}

/// Whether a 404 is a web server's or a proxy's word about an address. Only JSON can be the API's word about a guest.
fn speaks_of_an_address(reply: &Reply) -> bool {
    let Ok(json) = Json::parse(&reply.body) else {
        return true;
    };
    let text = json.as_written().to_lowercase();
    let of_the_api = json.is_object() || json.is_list() || json.is_null() || json.is_text();
    !of_the_api || ADDRESS_WORDS.iter().any(|word| text.contains(word))
}
