//! The OpenAPI document: what the handlers say of themselves, and what holds for all of them said once.
//!
//! A handler names the error codes that are particular to it in the extension `x-problems`; each becomes a documented problem response,
//! together with those that follow from the operation's shape: a body, a query, credentials. So do headers that many operations share.

mod examples;
mod headers;
mod problems;

use std::collections::BTreeSet;

use serde_json::Value;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{OpenApi, RefOr, Schema};
use utoipa::{Modify, OpenApi as _};

use super::ProblemDocument;

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

/// A body that need not be sent is left out, never `null`.
fn leave_bodies_out(operation: &mut Operation) {
    let Some(RefOr::T(body)) = &mut operation.request_body else {
        return;
    };
    for content in body.content.values_mut() {
        let RefOr::T(content) = content else { continue };
        if let Some(RefOr::T(Schema::OneOf(choice))) = &content.schema {
            let named = choice.items.iter().find(|item| matches!(item, RefOr::Ref(_))).cloned();
            content.schema = named.or_else(|| content.schema.take());
        }
    }
}

/// Adds what holds for all operations: problems, headers, examples.
pub(super) fn complete(api: &mut OpenApi) {
    let sent = sent_schemas(api);
    if let Some(components) = &mut api.components {
        for (name, schema) in &mut components.schemas {
            match schema {
                RefOr::T(Schema::Object(body)) if sent.contains(name) && !body.properties.is_empty() => {
                    body.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
                }
                RefOr::T(schema) if !sent.contains(name) => require_nullable_members(schema),
                _ => {}
            }
        }
    }
    for (path, item) in &mut api.paths.paths {
        let operations = [
            &mut item.get,
            &mut item.post,
            &mut item.put,
            &mut item.patch,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            leave_bodies_out(operation);
            // Said openly: these need no credentials.
            operation.security.get_or_insert_default();
            examples::add(operation);
            problems::add(path, operation);
            headers::add(operation);
        }
    }
}

/// The names of all schemas that a request's body is made of. An unknown member of theirs is refused; what is `null` may be left out. In
/// answers it is the other way round: an unknown value is `null` and never left out, so every nullable member is a required one.
fn sent_schemas(api: &OpenApi) -> BTreeSet<String> {
    let mut sent = BTreeSet::new();
    for item in api.paths.paths.values() {
        for operation in [&item.get, &item.post, &item.put, &item.patch, &item.delete]
            .into_iter()
            .flatten()
        {
            sent.append(&mut named_in(&operation.request_body));
        }
    }
    let Some(components) = &api.components else { return sent };
    let mut fresh: Vec<String> = sent.iter().cloned().collect();
    while let Some(name) = fresh.pop() {
        let inner = named_in(&components.schemas.get(&name));
        fresh.extend(inner.into_iter().filter(|inner| sent.insert(inner.clone())));
    }
    sent
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
