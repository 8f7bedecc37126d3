//! Errors as the caller reads them: RFC 9457 problem documents with a code from one closed list.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::language::Language;

macro_rules! codes {
    ($($name:ident = $text:literal, $status:ident, $ru:literal, $en:literal;)*) => {
        /// Every code an error can carry.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
        #[expect(missing_docs, reason = "the titles say what each means")]
        pub enum ErrorCode {
            $(#[serde(rename = $text)] $name,)*
        }

        impl ErrorCode {
            /// All of them, in the contract's order.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code's text.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The status it is answered with.
            #[must_use]
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// What it means, for people.
            #[must_use]
            pub fn title(self, language: Language) -> &'static str {
                match (self, language) {
                    $((Self::$name, Language::Ru) => $ru, (Self::$name, Language::En) => $en,)*
                }
            }
        }
    };
}

codes! {
    MalformedRequest = "malformed_request", BAD_REQUEST, "Запрос не разобрать", "The request cannot be read";
    AmbiguousCredentials = "ambiguous_credentials", BAD_REQUEST, "Указаны и cookie, и токен: оставьте одно", "Both a cookie and a token were sent: send one";
    IdempotencyKeyRequired = "idempotency_key_required", BAD_REQUEST, "Нужен заголовок Idempotency-Key", "The Idempotency-Key header is required";
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "Нужно войти", "Sign in first";
    SessionExpired = "session_expired", UNAUTHORIZED, "Сеанс закончился, войдите снова", "The session has ended, sign in again";
    TokenReused = "token_reused", UNAUTHORIZED, "Токен обновления уже использован, сеанс завершён", "The refresh token was used before; the session has been ended";
    CsrfHeaderMissing = "csrf_header_missing", FORBIDDEN, "Нужен заголовок X-Cabinet: 1", "The header X-Cabinet: 1 is required";
    OriginNotAllowed = "origin_not_allowed", FORBIDDEN, "С этого сайта обращаться нельзя", "This origin is not allowed";
    AccountBlocked = "account_blocked", FORBIDDEN, "Счёт заблокирован, обратитесь в ресторан", "The account is blocked, please ask the restaurant";
    ScopeMissing = "scope_missing", FORBIDDEN, "Ключу это не разрешено", "The key does not have this scope";
    ReauthenticationRequired = "reauthentication_required", FORBIDDEN, "Подтвердите вход ещё раз", "Please confirm your sign-in again";
    NotFound = "not_found", NOT_FOUND, "Не найдено", "Not found";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "Этот метод здесь не поддерживается", "This method is not supported here";
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, "Тело запроса слишком велико", "The request body is too large";
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "Тело должно быть application/json", "The body must be application/json";
    AccountAbsent = "account_absent", CONFLICT, "Счёта ещё нет, зарегистрируйтесь", "There is no account yet, sign up first";
    AccountExists = "account_exists", CONFLICT, "Счёт уже есть", "The account exists already";
    OperationInProgress = "operation_in_progress", CONFLICT, "Операция ещё выполняется, повторите позже", "The operation is still running, try again later";
    CheckConflict = "check_conflict", CONFLICT, "Под этим номером уже записан другой чек", "Another check was booked under this guid";
    ChallengeInvalid = "challenge_invalid", GONE, "Код больше не действует, запросите новый", "The code is no longer valid, ask for a new one";
    VersionMismatch = "version_mismatch", PRECONDITION_FAILED, "Данные изменились, перечитайте их", "The data has changed, read it again";
    ValidationFailed = "validation_failed", UNPROCESSABLE_ENTITY, "Проверьте поля", "Check the fields";
    PhoneNotSupported = "phone_not_supported", UNPROCESSABLE_ENTITY, "На этот номер код не отправить, нужен мобильный", "No code can be sent to this number, a mobile one is needed";
    CodeIncorrect = "code_incorrect", UNPROCESSABLE_ENTITY, "Код неверный", "The code is incorrect";
    IdempotencyMismatch = "idempotency_mismatch", UNPROCESSABLE_ENTITY, "С этим ключом уже был другой запрос", "Another request was sent with this key";
    TooManyRequests = "too_many_requests", TOO_MANY_REQUESTS, "Слишком часто, подождите", "Too many requests, please wait";
    Internal = "internal", INTERNAL_SERVER_ERROR, "Ошибка на нашей стороне", "Something went wrong on our side";
    UpstreamInvalid = "upstream_invalid", BAD_GATEWAY, "Бонусная система ответила непонятно", "The bonus system's answer makes no sense";
    UpstreamUnavailable = "upstream_unavailable", SERVICE_UNAVAILABLE, "Бонусная система сейчас недоступна", "The bonus system cannot be reached now";
    DeliveryUnavailable = "delivery_unavailable", SERVICE_UNAVAILABLE, "Код сейчас не отправить, попробуйте позже", "No code can be sent now, try again later";
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, "Слишком много запросов, попробуйте через несколько секунд", "Too busy, try again in a few seconds";
}

impl PartialSchema for ErrorCode {
    fn schema() -> RefOr<Schema> {
        let codes = Self::ALL.iter().map(|code| code.as_str());
        let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(codes));
        schema.description(Some("Every code an error can carry.")).into()
    }
}

impl ToSchema for ErrorCode {}

/// What is wrong with one field of a body or query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum FieldCode {
    Required,
    Unknown,
    WrongType,
    TooLong,
    TooShort,
    InvalidFormat,
    OutOfRange,
    NotEditable,
    NotAllowed,
    OutdatedVersion,
}

impl FieldCode {
    fn message(self, language: Language) -> &'static str {
        let (ru, en) = match self {
            Self::Required => ("Обязательное поле", "Required"),
            Self::Unknown => ("Такого поля нет", "No such field"),
            Self::WrongType => ("Значение другого типа", "The value has the wrong type"),
            Self::TooLong => ("Слишком длинно", "Too long"),
            Self::TooShort => ("Слишком коротко", "Too short"),
            Self::InvalidFormat => ("Неверный формат", "The format is wrong"),
            Self::OutOfRange => ("Вне допустимых пределов", "Out of range"),
            Self::NotEditable => ("Это поле нельзя менять", "This field cannot be changed"),
            Self::NotAllowed => ("Такое значение не допускается", "This value is not allowed"),
            Self::OutdatedVersion => ("Версия документа устарела", "The document's version is outdated"),
        };
        if language == Language::Ru { ru } else { en }
    }
}

/// An error on its way out. `Debug` and logs may show it: it holds nothing personal.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Its code; status and title follow from it.
    pub code: ErrorCode,
    /// Where the code's usual title would mislead: what is said instead, in Russian and English.
    pub title: Option<(&'static str, &'static str)>,
    /// Which fields are wrong, and how.
    pub errors: Vec<(String, FieldCode)>,
    /// Seconds after which to try again.
    pub retry_after: Option<u64>,
    /// Tries left for a code.
    pub attempts_left: Option<u32>,
    /// Further headers (`WWW-Authenticate`, `RateLimit`, `Allow` …).
    pub headers: Vec<(header::HeaderName, HeaderValue)>,
}

impl Problem {
    /// An error with nothing but its code.
    #[must_use]
    pub fn new(code: ErrorCode) -> Self {
        Self {
            code,
            title: None,
            errors: Vec::new(),
            retry_after: None,
            attempts_left: None,
            headers: Vec::new(),
        }
    }

    /// 422 about one field.
    #[must_use]
    pub fn field(field: &str, code: FieldCode) -> Self {
        Self {
            errors: vec![(field.to_owned(), code)],
            ..Self::new(ErrorCode::ValidationFailed)
        }
    }

    /// With `Retry-After` in seconds, at least one.
    #[must_use]
    pub fn retry_after(mut self, wait: std::time::Duration) -> Self {
        self.retry_after = Some(super::whole_seconds(wait).max(1));
        self
    }

    /// With words of its own, for people; programs go by the code.
    #[must_use]
    pub fn worded(mut self, ru: &'static str, en: &'static str) -> Self {
        self.title = Some((ru, en));
        self
    }

    fn title(&self, language: Language) -> &'static str {
        match (self.title, language) {
            (Some((ru, _)), Language::Ru) => ru,
            (Some((_, en)), Language::En) => en,
            (None, _) => self.code.title(language),
        }
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// What happened this time: the wrong fields, or when to come again.
    fn detail(&self, language: Language) -> String {
        let title = self.title(language);
        let fields: Vec<String> = self
            .errors
            .iter()
            .map(|(field, code)| format!("{field}: {}", code.message(language)))
            .collect();
        match (fields.is_empty(), self.retry_after, language) {
            (false, _, _) => fields.join("; "),
            (true, Some(seconds), Language::Ru) => format!("{title}. Повторите через {seconds} с"),
            (true, Some(seconds), Language::En) => format!("{title}. Try again in {seconds} s"),
            (true, None, _) => title.to_owned(),
        }
    }

    /// The document in `language`.
    #[must_use]
    pub fn document(&self, language: Language, request_id: &str) -> ProblemDocument {
        ProblemDocument {
            r#type: format!("urn:guest-cabinet:problem:{}", self.code.as_str()),
            title: self.title(language).to_owned(),
            status: self.code.status().as_u16(),
            detail: self.detail(language),
            code: self.code,
            request_id: request_id.to_owned(),
            errors: self
                .errors
                .iter()
                .map(|(field, code)| FieldProblem {
                    field: field.clone(),
                    code: *code,
                    message: code.message(language).to_owned(),
                })
                .collect(),
            retry_after: self.retry_after,
            attempts_left: self.attempts_left,
        }
    }
}

/// The body of every error (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemDocument {
    /// Names the kind of problem.
    #[schema(example = "urn:guest-cabinet:problem:validation_failed")]
    pub r#type: String,
    /// What happened, in the caller's language.
    #[schema(example = "Проверьте поля")]
    pub title: String,
    /// The HTTP status.
    #[schema(example = 422)]
    pub status: u16,
    /// What happened this time: the wrong fields, or when to come again.
    #[schema(example = "email: Неверный формат")]
    pub detail: String,
    /// The code programs go by.
    pub code: ErrorCode,
    /// The request's id, to be told to whoever runs the cabinet.
    #[schema(example = "0198c2f0-6f7e-7b1c-9c55-0d6f3b9a2f11")]
    pub request_id: String,
    /// The fields that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldProblem>,
    /// Seconds after which to try again; also in `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub retry_after: Option<u64>,
    /// Tries left for the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub attempts_left: Option<u32>,
}

/// One wrong field.
#[derive(Debug, Serialize, ToSchema)]
pub struct FieldProblem {
    /// The field's name; members of members joined by dots.
    #[schema(example = "email")]
    pub field: String,
    /// What is wrong with it.
    pub code: FieldCode,
    /// The same for people.
    pub message: String,
}

/// The response is written by the outermost layer, which knows the request's id and language; until then the problem travels as an
/// extension of an empty response.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.code.status();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the document of a problem that came as an extension.
pub(super) fn write(
    problem: &Problem,
    language: Language,
    request_id: &str,
    head: &mut http::response::Parts,
) -> Vec<u8> {
    let headers = &mut head.headers;
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
    if let Some(seconds) = problem.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if problem.code.status() == StatusCode::UNAUTHORIZED && !headers.contains_key(header::WWW_AUTHENTICATE) {
        headers.insert(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"guest-cabinet\""),
        );
    }
    for (name, value) in &problem.headers {
        headers.append(name, value.clone());
    }
    serde_json::to_vec(&problem.document(language, request_id)).expect("a problem is plain data")
}
