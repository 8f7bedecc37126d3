//! Every problem an operation can answer: the codes it names for itself, and those that follow from its shape.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Type};

use super::headers::header;
use crate::http::{ErrorCode, FieldCode, Language, Problem};

const PROBLEMS: &str = "x-problems";

/// Adds the problem responses to an operation.
pub(super) fn add(path: &str, operation: &mut Operation) {
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
    // A query that nobody knows is refused like a field that nobody knows.
    if crate::http::layers::is_api(path) {
        codes.push(ErrorCode::ValidationFailed);
    }
    let in_path = |parameter: &RefOr<_>| matches!(parameter, RefOr::T(parameter) if in_path(parameter));
    if operation.parameters.iter().flatten().any(in_path) {
        codes.push(ErrorCode::MalformedRequest);
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
    match status {
        401 => response = response.header("WWW-Authenticate", header("How to sign in.", Type::String)),
        _ if names_a_wait(codes) => {
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

/// Whether one of them says when to come again.
fn names_a_wait(codes: &[ErrorCode]) -> bool {
    codes.iter().any(|code| {
        matches!(
            code,
            ErrorCode::TooManyRequests
                | ErrorCode::OperationInProgress
                | ErrorCode::UpstreamUnavailable
                | ErrorCode::DeliveryUnavailable
                | ErrorCode::Overloaded
        )
    })
}

fn in_path(parameter: &Parameter) -> bool {
    parameter.parameter_in == ParameterIn::Path
}

fn example(code: ErrorCode) -> Value {
    let mut problem = Problem::new(code);
    match code {
        ErrorCode::ValidationFailed => problem.errors = vec![("field".into(), FieldCode::Required)],
        ErrorCode::CodeIncorrect => problem.attempts_left = Some(4),
        _ if names_a_wait(&[code]) => problem.retry_after = Some(5),
        _ => {}
    }
    json!(problem.document(Language::Ru, "0198c2f06f7e7b1c9c550d6f3b9a2f11"))
}
