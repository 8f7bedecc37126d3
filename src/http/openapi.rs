//! The OpenAPI document: what the handlers say of themselves, and what holds for all of them said once.
//!
//! A handler names the error codes that are particular to it in the extension `x-problems`; here each becomes a documented problem
//! response, together with those that follow from the operation's shape: a body, a query, credentials.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContentBuilder, HeaderBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Schema, Type};
use utoipa::{Modify, OpenApi as _};

use super::{ErrorCode, FieldCode, Language, Problem, ProblemDocument};

const PROBLEMS: &str = "x-problems";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "guest-cabinet",
        description = "A restaurant guest's personal cabinet over ProBonus.\n\n\
            A guest proves their phone with a one-time code and then reads their profile, balance, movements and checks.\n\n\
            * Sums are whole kopecks. Moments are RFC 3339, days `YYYY-MM-DD`. An unknown value is `null`.\n\
            * Guest views carry `as_of` (when ProBonus said so) and `stale` (ProBonus cannot be reached now; this is the last it said).\n\
            * Errors are problem documents (RFC 9457); go by `code`, show `title`.\n\
            * Apps send `Authorization: Bearer …`; browsers hold a cookie and send `X-Cabinet: 1` with every call. Never both.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    servers((url = "/", description = "This server")),
    components(schemas(ProblemDocument)),
    tags(
        (name = "Sign-in", description = "A phone, a code, a session: one flow for signing in and signing up."),
        (name = "Sessions", description = "Where the guest is signed in."),
        (name = "Programme", description = "What the restaurant offers, without signing in."),
        (name = "Guest", description = "What the signed-in guest sees and changes."),
        (name = "Partners", description = "Server to server: outside checks and refills, exactly once."),
        (name = "Gateways", description = "Delivery reports of the message gateways."),
    ),
    modifiers(&Credentials),
)]
struct Api;

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, api: &mut OpenApi) {
        let components = api.components.get_or_insert_default();
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.bearer_format = Some("JWT".into());
        bearer.description = Some("The `access_token` of a bearer session.".into());
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let cookie = ApiKeyValue::with_description(
            "__Host-session",
            "The cookie of a browser's session; every call also carries `X-Cabinet: 1`. On plain http on this machine it is called `session`.",
        );
        components.add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
        let mut partner = Http::new(HttpAuthScheme::Bearer);
        partner.description = Some("A partner's key.".into());
        components.add_security_scheme("partner", SecurityScheme::Http(partner));
    }
}

/// The document before any operation is in it.
pub(super) fn skeleton() -> OpenApi {
    Api::openapi()
}

/// Adds the problem responses to every operation.
pub(super) fn complete(api: &mut OpenApi) {
    require_nulls(api);
    for (path, item) in &mut api.paths.paths {
        let operations = [
            &mut item.get,
            &mut item.post,
            &mut item.put,
            &mut item.patch,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            add_problems(path, operation);
        }
    }
}

/// In answers an unknown value is `null` and never left out, so every nullable member is a required one. What is sent to us may leave out.
fn require_nulls(api: &mut OpenApi) {
    let mut sent = BTreeSet::new();
    for item in api.paths.paths.values() {
        for operation in [&item.get, &item.post, &item.put, &item.patch, &item.delete]
            .into_iter()
            .flatten()
        {
            sent.append(&mut named_in(&operation.request_body));
        }
    }
    let Some(components) = &mut api.components else { return };
    let mut fresh: Vec<String> = sent.iter().cloned().collect();
    while let Some(name) = fresh.pop() {
        let inner = named_in(&components.schemas.get(&name));
        fresh.extend(inner.into_iter().filter(|inner| sent.insert(inner.clone())));
    }
    for (name, schema) in &mut components.schemas {
        if let (false, RefOr::T(schema)) = (sent.contains(name), schema) {
            require_nullable_members(schema);
        }
    }
}

fn require_nullable_members(schema: &mut Schema) {
    match schema {
        Schema::AllOf(parts) => {
            for part in &mut parts.items {
                if let RefOr::T(part) = part {
                    require_nullable_members(part);
                }
            }
        }
        Schema::Object(object) => {
            for (name, member) in &object.properties {
                let member = serde_json::to_value(member).unwrap_or_default();
                let null = |kind: &Value| kind == "null";
                let kinds = member["type"].as_array().is_some_and(|kinds| kinds.iter().any(null));
                let one_of = member["oneOf"].as_array();
                let nullable = kinds || one_of.is_some_and(|kinds| kinds.iter().any(|kind| null(&kind["type"])));
                if nullable && !object.required.contains(name) {
                    object.required.push(name.clone());
                }
            }
        }
        _ => {}
    }
}

/// The names of the schemas that part of a document refers to.
fn named_in(part: &impl serde::Serialize) -> BTreeSet<String> {
    let text = serde_json::to_string(part).unwrap_or_default();
    let pieces = text.split("\"#/components/schemas/").skip(1);
    pieces
        .filter_map(|piece| Some(piece.split_once('"')?.0.to_owned()))
        .collect()
}

fn add_problems(path: &str, operation: &mut Operation) {
    let mut codes = named_codes(path, operation);
    let secured =
        |name: &str| serde_json::to_string(&operation.security).is_ok_and(|text| text.contains(&format!("\"{name}\"")));
    if secured("bearer") || secured("cookie") {
        codes.extend([
            ErrorCode::AmbiguousCredentials,
            ErrorCode::Unauthenticated,
            ErrorCode::SessionExpired,
        ]);
    }
    if secured("cookie") {
        codes.extend([ErrorCode::CsrfHeaderMissing, ErrorCode::OriginNotAllowed]);
    }
    if secured("partner") {
        codes.extend([ErrorCode::Unauthenticated, ErrorCode::ScopeMissing]);
    }
    if operation.request_body.is_some() {
        codes.extend([
            ErrorCode::MalformedRequest,
            ErrorCode::BodyTooLarge,
            ErrorCode::UnsupportedMediaType,
            ErrorCode::ValidationFailed,
        ]);
    }
    // A query that an operation does not know is refused.
    if super::layers::is_api(path) {
        codes.push(ErrorCode::ValidationFailed);
    }
    codes.extend([ErrorCode::Internal, ErrorCode::Overloaded]);
    let mut by_status: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    for code in ErrorCode::ALL.iter().filter(|code| codes.contains(code)) {
        by_status.entry(code.status().as_u16()).or_default().push(*code);
    }
    for (status, codes) in by_status {
        operation
            .responses
            .responses
            .insert(status.to_string(), RefOr::T(response(status, &codes)));
    }
}

/// Takes the codes an operation names for itself.
fn named_codes(path: &str, operation: &mut Operation) -> Vec<ErrorCode> {
    let listed = operation
        .extensions
        .as_ref()
        .and_then(|extensions| extensions.get(PROBLEMS).cloned());
    let names: Vec<String> = listed.map_or_else(Vec::new, |list| serde_json::from_value(list).unwrap_or_default());
    let others = operation.extensions.take().map(|extensions| {
        let others = extensions.iter().filter(|(name, _)| *name != PROBLEMS);
        others
            .fold(ExtensionsBuilder::new(), |kept, (name, value)| {
                kept.add(name, value.clone())
            })
            .build()
    });
    operation.extensions = others.filter(|extensions| !extensions.is_empty());
    let code_of = |name: &String| {
        let code = ErrorCode::ALL.iter().find(|code| code.as_str() == name);
        *code.unwrap_or_else(|| panic!("{path} names {name}, which is no error code"))
    };
    names.iter().map(code_of).collect()
}

fn response(status: u16, codes: &[ErrorCode]) -> Response {
    let names: Vec<String> = codes.iter().map(|code| format!("`{}`", code.as_str())).collect();
    let examples = codes.iter().map(|code| {
        let example = ExampleBuilder::new()
            .summary(code.title(Language::En))
            .value(Some(example(*code)));
        (code.as_str(), RefOr::T(example.build()))
    });
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("ProblemDocument")))
        .examples_from_iter(examples);
    let mut response = ResponseBuilder::new()
        .description(names.join(" · "))
        .content("application/problem+json", content.build());
    let header = |description: &str, kind| {
        HeaderBuilder::new()
            .description(Some(description))
            .schema(Some(ObjectBuilder::new().schema_type(kind)))
            .build()
    };
    match status {
        401 => response = response.header("WWW-Authenticate", header("How to sign in.", Type::String)),
        429 | 503 => {
            response = response.header(
                "Retry-After",
                header("Seconds after which to try again.", Type::Integer),
            );
        }
        _ => {}
    }
    if status == 429 {
        response = response
            .header("RateLimit-Policy", header("The limits that apply.", Type::String))
            .header(
                "RateLimit",
                header("What is left of the exhausted limit.", Type::String),
            );
    }
    response.build()
}

fn example(code: ErrorCode) -> Value {
    let mut problem = Problem::new(code);
    match code {
        ErrorCode::ValidationFailed => problem.errors = vec![("field".into(), FieldCode::Required)],
        ErrorCode::CodeIncorrect => problem.attempts_left = Some(4),
        ErrorCode::TooManyRequests | ErrorCode::UpstreamUnavailable | ErrorCode::Overloaded => {
            problem.retry_after = Some(5);
        }
        _ => {}
    }
    json!(problem.document(Language::Ru, "0198c2f06f7e7b1c9c550d6f3b9a2f11"))
}
