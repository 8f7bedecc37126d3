//! `/api/v1/program`: what the restaurant offers, for everybody, made once per language.

use std::sync::OnceLock;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::entity_tag::is_named;
use super::{App, Language, RequestFacts};
use crate::config::{Bilingual, FieldName, ProgramLevel, Restaurant};
use crate::keys::{hex, sha256};
use crate::model::Channel;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(program))
}

/// The programme.
#[derive(Serialize, ToSchema)]
struct Program<'a> {
    /// What it is called.
    #[schema(example = "Трапеза")]
    name: &'a str,
    /// What bonuses are called.
    unit: Unit<'a>,
    /// Its restaurants.
    restaurants: &'a [Restaurant],
    /// Its levels, ascending.
    levels: &'a [ProgramLevel],
    /// The questionnaire, in the order it is asked.
    form: Vec<Field<'a>>,
    /// What a guest agrees to when signing up.
    documents: Vec<Document<'a>>,
    /// Ways a code can come.
    channels: &'a [Channel],
    /// What this server can do.
    capabilities: Capabilities,
}

/// The unit of bonuses.
#[derive(Serialize, ToSchema)]
struct Unit<'a> {
    /// Minor units in one shown unit: 100 shows 12500 as 125.
    scale: u32,
    /// The word in its plural forms: one, few, many in Russian; one, many in English.
    #[schema(example = json!(["бонус", "бонуса", "бонусов"]))]
    forms: &'a [String],
}

/// A field of the questionnaire.
#[derive(Serialize, ToSchema)]
struct Field<'a> {
    /// Its name in bodies.
    name: FieldName,
    /// `text`, `date`, `choice` or `email`.
    #[schema(example = "text")]
    r#type: &'static str,
    /// Must be given when signing up and cannot be cleared.
    required: bool,
    /// May be edited later.
    editable: bool,
    /// Longest text in characters.
    max_length: Option<u32>,
    /// A regular expression that the whole text must match.
    pattern: Option<&'a str>,
    /// What it is called.
    label: &'a str,
}

/// A document a guest agrees to, or may.
#[derive(Serialize, ToSchema)]
struct Document<'a> {
    /// Its id.
    id: &'a str,
    /// The version that is agreed to.
    version: &'a str,
    /// What it is called.
    title: &'a str,
    /// Where it is read.
    url: &'a str,
    /// Whether signing up needs it.
    required: bool,
}

/// What this server can do.
#[derive(Serialize, ToSchema)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "capabilities are independent of each other"
)]
struct Capabilities {
    /// Guests may sign up.
    registration: bool,
    /// Guests may edit at least one field.
    profile_edit: bool,
    /// Checks are shown down to the dishes.
    checks: bool,
    /// The card has a QR.
    card: bool,
    /// Balance changes are pushed: `GET /api/v1/me/events`.
    events: bool,
}

/// The answer in one language.
struct Made {
    body: Bytes,
    etag: HeaderValue,
}

/// The programme's answers, made when first asked for.
#[derive(Default)]
pub(super) struct Programs([OnceLock<Made>; 2]);

fn made(app: &App, language: Language) -> &Made {
    app.0.programs.0[usize::from(language == Language::En)].get_or_init(|| {
        let body = serde_json::to_vec(&described(app, language)).expect("the programme is plain data");
        let etag = format!("\"{}\"", hex(&sha256(&body)[..12]));
        Made {
            body: body.into(),
            etag: HeaderValue::try_from(etag).expect("hexadecimal digits are a header value"),
        }
    })
}

fn in_language(both: &Bilingual, language: Language) -> &str {
    if language == Language::En { &both.en } else { &both.ru }
}

fn described(app: &App, language: Language) -> Program<'_> {
    let program = &app.config.program;
    Program {
        name: in_language(&program.name, language),
        unit: Unit {
            scale: program.unit_scale,
            forms: if language == Language::En {
                &program.unit_forms_en
            } else {
                &program.unit_forms_ru
            },
        },
        restaurants: &program.restaurants,
        levels: &program.levels,
        form: program
            .form
            .iter()
            .map(|field| Field {
                name: field.name,
                r#type: field.name.kind(),
                required: field.required,
                editable: field.editable,
                max_length: field.max_length,
                pattern: field.pattern_text.as_deref(),
                label: in_language(&field.label, language),
            })
            .collect(),
        documents: program
            .documents
            .iter()
            .map(|document| Document {
                id: &document.id,
                version: &document.version,
                title: in_language(&document.title, language),
                url: &document.url,
                required: document.required,
            })
            .collect(),
        channels: app.delivery.channels(),
        capabilities: Capabilities {
            registration: true,
            profile_edit: program.form.iter().any(|field| field.editable),
            checks: true,
            card: true,
            events: true,
        },
    }
}

/// What the restaurant offers.
#[utoipa::path(
    get,
    path = "/api/v1/program",
    operation_id = "getProgram",
    tag = "Programme",
    responses((status = 200, description = "The programme", body = Program), (status = 304, description = "The caller has it")),
)]
async fn program(State(app): State<App>, facts: RequestFacts, headers: HeaderMap) -> Response {
    let made = made(&app, facts.language);
    let unchanged = is_named(headers.get_all(header::IF_NONE_MATCH).iter(), made.etag.as_bytes());
    let mut response = Response::new(if unchanged {
        Body::empty()
    } else {
        Body::from(made.body.clone())
    });
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let head = response.headers_mut();
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    head.insert(header::ETAG, made.etag.clone());
    // Everybody's, and the same for an hour's visits: asked again by tag.
    head.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, no-cache"));
    head.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(facts.language.tag()));
    head.append(header::VARY, HeaderValue::from_static("accept-language"));
    response
}
