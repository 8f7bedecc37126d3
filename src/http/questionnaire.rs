//! The questionnaire: signing up and editing, by the operator's form.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode, header};
use jiff::civil::Date;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::{Reading, view, written};
use super::body::{Body, Patch};
use super::entity_tag::{listed, unmarked};
use super::guest::ProfileView;
use super::{App, FieldCode, Fields, FromFields, Problem, RequestFacts, SignedInGuest};
use crate::cabinet::{Consent, Precondition};
use crate::config::{FieldName, FormField, ProgramConfig};
use crate::model::text::nfc;
use crate::model::{Gender, NewAccount, ProfileEdit, is_email};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(profile, edit))
}

/// A body whose fields the operator's form decides about.
struct Members(Map<String, Value>);

impl FromFields for Members {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self(fields.take_all()))
    }
}

/// A guest who signs up.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "documents the body; it is read by the operator's form")]
struct RegistrationRequest {
    #[schema(min_length = 1, max_length = 100, example = "Анна")]
    first_name: String,
    /// Asked for only where the programme's form requires it.
    #[schema(nullable, max_length = 100, example = "Смирнова")]
    last_name: Option<String>,
    #[schema(nullable, max_length = 100)]
    middle_name: Option<String>,
    #[schema(nullable, example = "1990-04-12")]
    birthday: Option<Date>,
    #[schema(nullable)]
    gender: Option<Gender>,
    #[schema(nullable, max_length = 254, example = "anna@example.ru")]
    email: Option<String>,
    /// What the guest agrees to: documents of the programme in their current versions, the required ones among them.
    #[schema(required = false)]
    consents: Vec<ConsentRequest>,
}

#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "documents the body")]
struct ConsentRequest {
    /// The document's id.
    #[schema(example = "personal_data")]
    document: String,
    /// The version that was shown.
    #[schema(example = "1")]
    version: String,
}

/// Changes to the questionnaire: what is left out stays, `null` clears. Only fields that the programme's form calls editable.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "documents the body; it is read by the operator's form")]
struct ProfilePatch {
    #[schema(required = false, nullable, max_length = 100)]
    first_name: Option<String>,
    #[schema(required = false, nullable, max_length = 100)]
    last_name: Option<String>,
    #[schema(required = false, nullable, max_length = 100)]
    middle_name: Option<String>,
    #[schema(required = false, nullable)]
    birthday: Option<Date>,
    #[schema(required = false, nullable)]
    gender: Option<Gender>,
    #[schema(required = false, nullable, max_length = 254)]
    email: Option<String>,
}

/// Reads fields by the operator's form.
struct Reader<'a> {
    program: &'a ProgramConfig,
    fields: Fields,
    /// The last day a birthday can be.
    today: Date,
    /// Whether a guest signs up: then every asked field may be given, not only the editable ones.
    signing_up: bool,
}

impl Reader<'_> {
    fn form_field(&self, name: FieldName) -> Option<&FormField> {
        self.program.form.iter().find(|field| field.name == name)
    }

    /// The questionnaire; problems stay with the fields.
    fn edit(&mut self) -> ProfileEdit {
        ProfileEdit {
            first_name: self.text(FieldName::FirstName),
            last_name: self.text(FieldName::LastName),
            middle_name: self.text(FieldName::MiddleName),
            birthday: self.value(FieldName::Birthday, Self::birthday),
            gender: self.value(FieldName::Gender, |reader| {
                let genders = [("male", Gender::Male), ("female", Gender::Female)];
                reader.fields.choice("gender", &genders)
            }),
            email: self.text(FieldName::Email),
        }
    }

    /// `None`: not sent, or wrong; `Some(None)`: to be cleared.
    #[expect(clippy::option_option, reason = "not sent, cleared and given are three things")]
    fn value<T>(&mut self, name: FieldName, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        let text = name.as_str();
        let asked = self.form_field(name);
        let required = asked.is_some_and(|field| field.required);
        // A name may be given when signing up even where the operator's form does not ask for it.
        let name_at_sign_up = self.signing_up && matches!(name, FieldName::FirstName | FieldName::LastName);
        let allowed = asked.map_or(name_at_sign_up, |field| self.signing_up || field.editable);
        if !self.fields.has(text) {
            if self.signing_up && required {
                self.fields.problem(text, FieldCode::Required);
            }
            return None;
        }
        if !allowed {
            self.fields.value(text);
            self.fields.problem(text, FieldCode::NotEditable);
            return None;
        }
        if self.fields.is_null(text) {
            self.fields.value(text);
            if required {
                self.fields.problem(text, FieldCode::Required);
                return None;
            }
            return Some(None);
        }
        read(self).map(Some)
    }

    #[expect(clippy::option_option, reason = "not sent, cleared and given are three things")]
    fn text(&mut self, name: FieldName) -> Option<Option<String>> {
        let field = self.form_field(name).cloned();
        let most = field.as_ref().and_then(|field| field.max_length).unwrap_or(100) as usize;
        let value = self.value(name, |reader| {
            let text = match name {
                // What is part of an address is not for us to take out of it: it is refused.
                FieldName::Email => nfc(reader.fields.pasted(name.as_str(), 0..=most)?.trim()),
                _ => reader.fields.name(name.as_str(), most)?,
            };
            let pattern = field.as_ref().and_then(|field| field.pattern.as_ref());
            let wrong_form = !text.is_empty()
                && (pattern.is_some_and(|pattern| !pattern.is_match(&text))
                    || (name == FieldName::Email && !is_email(&text)));
            if wrong_form {
                reader.fields.problem(name.as_str(), FieldCode::InvalidFormat);
                return None;
            }
            Some(text)
        })?;
        // An emptied box on a page is a cleared field.
        match value {
            Some(text) if text.is_empty() => {
                if self.form_field(name).is_some_and(|field| field.required) {
                    self.fields.problem(name.as_str(), FieldCode::Required);
                    return None;
                }
                Some(None)
            }
            value => Some(value),
        }
    }

    fn birthday(&mut self) -> Option<Date> {
        let day = self.fields.date("birthday")?;
        if day > self.today || day.year() < 1900 {
            self.fields.problem("birthday", FieldCode::OutOfRange);
            return None;
        }
        Some(day)
    }

    fn consents(&mut self) -> Vec<Consent> {
        let documents = &self.program.documents;
        let consents = self.fields.each("consents", 50, |entry| {
            let id = entry.required_text("document", 1..=100);
            let version = entry.required_text("version", 1..=100);
            let (id, version) = (id?, version?);
            let Some(document) = documents.iter().find(|document| document.id == id) else {
                entry.problem("document", FieldCode::NotAllowed);
                return None;
            };
            if document.version != version {
                entry.problem("version", FieldCode::OutdatedVersion);
                return None;
            }
            Some((id, version))
        });
        let consents = consents.unwrap_or_default();
        let missing = documents
            .iter()
            .any(|document| document.required && !consents.iter().any(|(id, _)| *id == document.id));
        if missing {
            self.fields.problem("consents", FieldCode::Required);
        }
        consents
    }
}

fn reader(app: &App, members: Members, signing_up: bool) -> Reader<'_> {
    Reader {
        program: &app.config.program,
        fields: Fields::of_object(members.0),
        today: app.clock.now().to_zoned_datetime(app.config.time_zone.clone()).date(),
        signing_up,
    }
}

/// Signs the guest up.
///
/// Two at once create one account. An attempt whose outcome is not known yet is `operation_in_progress`: come again after `Retry-After`
/// with the same form; it is answered 201 as soon as the account shows. `account_exists` although this session signed nobody up: somebody
/// else made it, and the session is over.
#[utoipa::path(
    post,
    path = "/api/v1/me/registration",
    operation_id = "register",
    tag = "Guest",
    security(("bearer" = []), ("cookie" = [])),
    request_body = RegistrationRequest,
    responses((status = 201, description = "The new account's profile", body = ProfileView)),
    extensions(("x-problems" = json!(["account_exists", "operation_in_progress", "upstream_invalid", "upstream_unavailable"]))),
)]
async fn register(
    State(app): State<App>,
    facts: RequestFacts,
    guest: SignedInGuest,
    Body(members): Body<Members>,
) -> Result<Response, Problem> {
    let mut reader = reader(&app, members, true);
    let answers = reader.edit();
    let consents = reader.consents();
    reader.fields.done()?;
    let account = NewAccount {
        phone: guest.guest.phone.clone(),
        group: app.config.probonus.account_group_id.clone(),
        first_name: answers.first_name.flatten().unwrap_or_default(),
        last_name: answers.last_name.flatten(),
        middle_name: answers.middle_name.flatten(),
        birthday: answers.birthday.flatten(),
        gender: answers.gender.flatten(),
        email: answers.email.flatten(),
    };
    let ready = app
        .cabinet
        .register(&guest.guest, account, consents, facts.deadline)
        .await?;
    Ok(written(StatusCode::CREATED, &ready))
}

/// The guest's profile.
#[utoipa::path(
    get,
    path = "/api/v1/me/profile",
    operation_id = "getProfile",
    tag = "Guest",
    security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The profile", body = ProfileView), (status = 304, description = "The caller has it")),
    extensions(("x-problems" = json!(["account_absent", "upstream_invalid", "upstream_unavailable"]))),
)]
async fn profile(State(app): State<App>, guest: SignedInGuest, reading: Reading) -> Result<Response, Problem> {
    let shown = app.cabinet.profile(&guest.guest, reading.wish).await?;
    Ok(view(shown, &reading))
}

/// Edits the profile.
///
/// A JSON Merge Patch of the fields that the programme's form calls editable. With `If-Match` only when the profile is still that version.
#[utoipa::path(
    patch,
    path = "/api/v1/me/profile",
    operation_id = "editProfile",
    tag = "Guest",
    security(("bearer" = []), ("cookie" = [])),
    params(("If-Match" = Option<String>, Header, description = "The `ETag` of the profile that was edited")),
    request_body(content((ProfilePatch = "application/merge-patch+json"), (ProfilePatch = "application/json"))),
    responses((status = 200, description = "The new profile", body = ProfileView)),
    extensions(("x-problems" = json!([
        "account_absent", "account_blocked", "version_mismatch", "upstream_invalid", "upstream_unavailable"
    ]))),
)]
async fn edit(
    State(app): State<App>,
    facts: RequestFacts,
    guest: SignedInGuest,
    headers: HeaderMap,
    Patch(members): Patch<Members>,
) -> Result<Response, Problem> {
    let mut reader = reader(&app, members, false);
    let edit = reader.edit();
    reader.fields.done()?;
    let precondition = if_match(&headers);
    let ready = app
        .cabinet
        .edit(&guest.guest, edit, precondition, facts.deadline)
        .await?;
    Ok(written(StatusCode::OK, &ready))
}

/// `If-Match`. A header that names no tag at all matches nothing.
fn if_match(headers: &HeaderMap) -> Option<Precondition> {
    let values = headers.get_all(header::IF_MATCH);
    values.iter().next()?;
    if listed(values.iter()).any(|tag| tag == b"*") {
        return Some(Precondition::Any);
    }
    Some(Precondition::Tags(listed(values.iter()).filter_map(unmarked).collect()))
}
