//! Headers that many operations share, said once.

use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{Header, HeaderBuilder, ObjectBuilder, RefOr, Required, Type};

/// A header of an answer.
pub(super) fn header(description: &str, kind: Type) -> Header {
    HeaderBuilder::new()
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(kind)))
        .build()
}

/// A header that may be sent. An example is what Swagger UI fills in by itself.
fn sent(name: &str, description: &str, example: Option<&str>) -> RefOr<Parameter> {
    let parameter = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .example(example.map(Into::into));
    RefOr::T(parameter.build())
}

/// Adds to an operation the headers that it takes and gives.
pub(super) fn add(operation: &mut Operation) {
    let by_cookie = serde_json::to_string(&operation.security).is_ok_and(|text| text.contains("\"cookie\""));
    // A view: it is asked again by tag.
    let tagged = operation.responses.responses.contains_key("304");
    let parameters = operation.parameters.get_or_insert_default();
    parameters.extend(taken(by_cookie, tagged));
    let id = operation.operation_id.as_deref().unwrap_or_default();
    let has_tag = tagged || matches!(id, "editProfile" | "register");
    let replays = matches!(id, "registerCheck" | "refill");
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        let mut give = |name: &str, description: &str| {
            let header = header(description, Type::String);
            response.headers.insert(name.into(), RefOr::T(header));
        };
        give("X-Request-Id", "The request's id: the caller's own, or made.");
        let good = matches!(status.as_str(), "200" | "201" | "304");
        if good && has_tag {
            give("ETag", "Tag of the content, without `as_of` and `stale`.");
        }
        if good && tagged && by_cookie {
            let description = "Where the answer came from: `hit`, `fwd=miss`, `detail=stale` (RFC 9211).";
            give("Cache-Status", description);
        }
        if replays && status == "200" {
            give("Idempotent-Replayed", "`true`: the first outcome, told again.");
        }
    }
}

fn taken(by_cookie: bool, tagged: bool) -> Vec<RefOr<Parameter>> {
    let language = "`ru` (default) or `en`: the language of texts for people";
    let id = "Your own id of the request: at most 64 of `A-Z a-z 0-9 . _ -`";
    let mut taken = vec![
        sent("Accept-Language", language, Some("ru")),
        sent("X-Request-Id", id, None),
    ];
    if by_cookie {
        let description = "Always `1` with the cookie; not asked with a bearer";
        taken.push(sent("X-Cabinet", description, Some("1")));
    }
    if tagged {
        let description = "The `ETag` the caller has: 304 when nothing changed";
        taken.push(sent("If-None-Match", description, None));
    }
    if by_cookie && tagged {
        let description = "`no-cache` (pull to refresh) asks ProBonus again, at most once in 3 s";
        taken.push(sent("Cache-Control", description, None));
    }
    taken
}
