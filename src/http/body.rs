//! Bodies and queries as typed values in a handler's signature. A wrong one is answered here and costs nothing behind.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Request};
use http::request::Parts;
use http::{HeaderMap, header};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::facts::RequestFacts;
use super::fields::{Fields, FromFields};
use super::{App, ErrorCode, Problem};

/// A JSON object, `application/json`.
pub struct Body<T>(pub T);

/// A JSON Merge Patch, `application/merge-patch+json` or `application/json`.
pub struct Patch<T>(pub T);

/// The query of the address.
pub struct Query<T>(pub T);

/// JSON, and what it was called before it had a name of its own.
const JSON: &[&str] = &["application/json", "text/json"];
const MERGE_PATCH: &[&str] = &["application/json", "text/json", "application/merge-patch+json"];

/// The names of the one charset that JSON has.
const UTF_8: [&str; 2] = ["utf-8", "utf8"];

/// The longest body taken, in bytes.
pub const MAX_BODY: usize = 256 * 1024;

/// Of a longer one so much more is let pass by, in bytes: who still sends does not read, and would not see the refusal.
const PASSED_BY: usize = 8 * 1024 * 1024;

impl<T: FromFields> FromRequest<App> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _app: &App) -> Result<Self, Problem> {
        read(request, JSON).await.map(Self)
    }
}

/// Where nothing need be said, no body at all says nothing, and neither does an empty one whose end is only seen by reading: in chunks, or
/// over HTTP/2 without a length.
impl<T: FromFields> OptionalFromRequest<App> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _app: &App) -> Result<Option<Self>, Problem> {
        if request.body().is_end_stream() {
            return Ok(None);
        }
        let has_type = has_type(request.headers(), JSON);
        let bytes = collect(request).await?;
        if bytes.is_empty() {
            return Ok(None);
        }
        if !has_type {
            return Err(Problem::new(ErrorCode::UnsupportedMediaType));
        }
        of_value(parse(&bytes)?).map(Self).map(Some)
    }
}

impl<T: FromFields> FromRequest<App> for Patch<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _app: &App) -> Result<Self, Problem> {
        read(request, MERGE_PATCH).await.map(Self)
    }
}

impl<T: FromFields> FromRequestParts<App> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Problem> {
        Fields::of_query(parts.uri.query().unwrap_or_default()).read().map(Self)
    }
}

impl<T: FromFields> Body<T> {
    /// Reads the body of a request whose caller has been admitted by something else than an extractor.
    ///
    /// # Errors
    /// As the extractor.
    pub async fn read(request: Request, app: &App) -> Result<Self, Problem> {
        <Self as FromRequest<App>>::from_request(request, app).await
    }
}

async fn read<T: FromFields>(request: Request, types: &[&str]) -> Result<T, Problem> {
    if !has_type(request.headers(), types) {
        return Err(Problem::new(ErrorCode::UnsupportedMediaType));
    }
    of_value(parse(&collect(request).await?)?)
}

/// JSON in UTF-8; some platforms put a byte order mark before it.
fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let Strict(value) = serde_json::from_slice(text).map_err(|_| Problem::new(ErrorCode::MalformedRequest))?;
    Ok(value)
}

fn of_value<T: FromFields>(value: Value) -> Result<T, Problem> {
    match value {
        Value::Object(members) => Fields::of_object(members).read(),
        _ => Err(Problem::new(ErrorCode::ValidationFailed)),
    }
}

/// The whole body, of at most [`MAX_BODY`] bytes and within the request's deadline.
async fn collect(request: Request) -> Result<Bytes, Problem> {
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let too_long = announced.is_some_and(|length| length > MAX_BODY as u64);
    // Who waits to be told to go on reads the refusal without sending.
    if too_long && request.headers().contains_key(header::EXPECT) {
        return Err(Problem::new(ErrorCode::BodyTooLarge));
    }
    let deadline = RequestFacts::of(request.extensions()).deadline;
    let mut body = request.into_body();
    let collected = async {
        if too_long {
            return Err(ErrorCode::BodyTooLarge);
        }
        match Limited::new(&mut body, MAX_BODY).collect().await {
            Ok(whole) => Ok(whole.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(ErrorCode::BodyTooLarge),
            // Cut off.
            Err(_) => Err(ErrorCode::MalformedRequest),
        }
    };
    // Dribbling beyond the deadline is as good as cut off.
    let collected = tokio::time::timeout_at(deadline.instant(), collected).await;
    let collected = collected.unwrap_or(Err(ErrorCode::MalformedRequest));
    if collected == Err(ErrorCode::BodyTooLarge) {
        let _ = tokio::time::timeout_at(deadline.instant(), pass_by(body)).await;
    }
    collected.map_err(Problem::new)
}

/// Reads on without keeping anything.
async fn pass_by(mut body: axum::body::Body) {
    let mut passed = 0;
    while passed < PASSED_BY {
        let Some(Ok(frame)) = body.frame().await else { return };
        passed += frame.data_ref().map_or(0, Bytes::len);
    }
}

/// Whether the body's type is one of `types`, with no charset but UTF-8.
fn has_type(headers: &HeaderMap, types: &[&str]) -> bool {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    let Ok(text) = value.to_str() else { return false };
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    types.iter().any(|known| essence.eq_ignore_ascii_case(known))
        && parts
            .filter_map(|parameter| parameter.split_once('='))
            .filter(|(name, _)| name.eq_ignore_ascii_case("charset"))
            .all(|(_, charset)| {
                UTF_8
                    .iter()
                    .any(|name| charset.trim_matches('"').eq_ignore_ascii_case(name))
            })
}

/// A JSON value in which no object names a member twice: two readers of such a body could see two different requests.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some((name, Strict(value))) = entries.next_entry::<String, Strict>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member comes twice"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_comes_twice_is_broken_json() {
        assert!(serde_json::from_str::<Strict>(r#"{"a": {"b": 1, "c": [2, null, "x", 1.5, true]}}"#).is_ok());
        assert!(serde_json::from_str::<Strict>(r#"{"a": {"b": 1, "b": 2}}"#).is_err());
    }

    #[test]
    fn only_json_in_utf8_is_json() {
        let has = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, text.parse().expect("a header value"));
            has_type(&headers, JSON)
        };
        assert!(has("application/json") && has("Application/JSON; charset=\"UTF-8\""));
        assert!(has("application/json;charset=utf8") && has("text/json") && has("text/json; charset=utf-8"));
        assert!(!has("text/plain") && !has("application/json; charset=windows-1251") && !has("application/jsonp"));
        assert!(!has_type(&HeaderMap::new(), JSON));
    }
}
