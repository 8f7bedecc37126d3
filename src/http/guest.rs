//! `/api/v1/me`: what the signed-in guest reads.

use axum::extract::{Path, State};
use axum::response::Response;
use http::HeaderValue;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::{Reading, tagged, view};
use super::body::Query;
use super::{App, ErrorCode, FieldCode, Fields, FromFields, Problem, SignedInGuest};
use crate::cabinet::{self, Card};
use crate::model::{Balance, Check, CheckId, Coupon, Profile, TransactionKind};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(home))
        .routes(routes!(balance))
        .routes(routes!(transactions))
        .routes(routes!(check))
        .routes(routes!(coupons))
        .routes(routes!(card))
        .routes(routes!(card_svg))
}

/// Documents an answer whose bytes are made by the cabinet: the view's content with the moment and the mark that every view carries.
macro_rules! view_schema {
    ($(#[$doc:meta])* $name:ident { $($content:tt)* }) => {
        $(#[$doc])*
        #[derive(Serialize, ToSchema)]
        pub(super) struct $name {
            $($content)*
            /// When ProBonus said so.
            as_of: Timestamp,
            /// `true`: ProBonus cannot be reached now, this is the last it said.
            stale: bool,
        }
    };
}

view_schema!(
    /// The guest's profile.
    ProfileView { #[serde(flatten)] profile: Profile, }
);
view_schema!(
    /// What is on the account, what is coming and what burns when.
    BalanceView { #[serde(flatten)] balance: Balance, }
);
view_schema!(
    /// A page of the history.
    TransactionsView { #[serde(flatten)] page: cabinet::Page, }
);
view_schema!(
    /// A check down to the dishes.
    CheckView { #[serde(flatten)] check: Check, }
);
view_schema!(
    /// The guest's coupons.
    CouponsView {
        /// In ProBonus' order.
        items: Vec<Coupon>,
    }
);
view_schema!(
    /// The first screen.
    HomeView { #[serde(flatten)] home: cabinet::Home, }
);

/// The first screen in one answer.
///
/// A part that failed is `null` and named in `unavailable`.
#[utoipa::path(
    get,
    path = "/api/v1/me/home",
    operation_id = "getHome",
    tag = "Guest",
    security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The first screen", body = HomeView), (status = 304, description = "The caller has it")),
    extensions(("x-problems" = json!(["account_absent", "upstream_invalid", "upstream_unavailable"]))),
)]
async fn home(State(app): State<App>, guest: SignedInGuest, reading: Reading) -> Result<Response, Problem> {
    let shown = app.cabinet.home(&guest.guest, reading.wish).await?;
    Ok(view(shown, &reading))
}

/// The balance: what can be spent, what is coming, what burns when.
#[utoipa::path(
    get,
    path = "/api/v1/me/balance",
    operation_id = "getBalance",
    tag = "Guest",
    security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The balance", body = BalanceView), (status = 304, description = "The caller has it")),
    extensions(("x-problems" = json!(["account_absent", "upstream_invalid", "upstream_unavailable"]))),
)]
async fn balance(State(app): State<App>, guest: SignedInGuest, reading: Reading) -> Result<Response, Problem> {
    let shown = app.cabinet.balance(&guest.guest, reading.wish).await?;
    Ok(view(shown, &reading))
}

struct HistoryQuery(cabinet::Query);

impl FromFields for HistoryQuery {
    fn read(fields: &mut Fields) -> Option<Self> {
        let kinds = [
            ("accrual", TransactionKind::Accrual),
            ("spend", TransactionKind::Spend),
            ("burn", TransactionKind::Burn),
            ("refill", TransactionKind::Refill),
            ("refund", TransactionKind::Refund),
            ("adjustment", TransactionKind::Adjustment),
        ];
        let from = fields.date("from");
        let to = fields.date("to");
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            fields.problem("to", FieldCode::OutOfRange);
        }
        Some(Self(cabinet::Query {
            from,
            to,
            kind: fields.choice("kind", &kinds),
            limit: fields
                .integer("limit", 1..=100)
                .and_then(|limit| usize::try_from(limit).ok()),
            cursor: fields.text("cursor", 1..=256),
        }))
    }
}

/// The history, newest first.
///
/// Pages stay stable while new movements arrive: a cursor names the last movement shown. It is good with the filters it was given for.
#[utoipa::path(
    get,
    path = "/api/v1/me/transactions",
    operation_id = "listTransactions",
    tag = "Guest",
    security(("bearer" = []), ("cookie" = [])),
    params(
        ("from" = Option<jiff::civil::Date>, Query, description = "The first day of the business calendar; without it the last 12 months"),
        ("to" = Option<jiff::civil::Date>, Query, description = "The last day of the business calendar"),
        ("kind" = Option<TransactionKind>, Query, description = "Only this kind"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "Movements on a page (20)"),
        ("cursor" = Option<String>, Query, min_length = 1, max_length = 256, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = TransactionsView), (status = 304, description = "The caller has it")),
    extensions(("x-problems" = json!(["account_absent", "upstream_invalid", "upstream_unavailable"]))),
)]
async fn transactions(
    State(app): State<App>,
    guest: SignedInGuest,
    reading: Reading,
    Query(HistoryQuery(query)): Query<HistoryQuery>,
) -> Result<Response, Problem> {
    let shown = app.cabinet.transactions(&guest.guest, &query, reading.wish).await?;
    Ok(view(shown, &reading))
}

/// A check down to the dishes.
///
/// One that is not this guest's is 404, exactly as one that does not exist.
#[utoipa::path(
    get,
    path = "/api/v1/me/checks/{id}",
    operation_id = "getCheck",
    tag = "Guest",
    security(("bearer" = []), ("cookie" = [])),
    params(("id" = String, Path, description = "A `check_id` of the history")),
    responses((status = 200, description = "The check", body = CheckView), (status = 304, description = "The caller has it")),
    extensions(("x-problems" = json!(["not_found", "account_absent", "upstream_invalid", "upstream_unavailable"]))),
)]
async fn check(
    State(app): State<App>,
    guest: SignedInGuest,
    reading: Reading,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    // What no ProBonus hands out does not exist.
    let id = CheckId::parse(&id).map_err(|_| Problem::new(ErrorCode::NotFound))?;
    let shown = app.cabinet.check(&guest.guest, &id, reading.wish).await?;
    Ok(view(shown, &reading))
}

/// The guest's coupons.
#[utoipa::path(
    get,
    path = "/api/v1/me/coupons",
    operation_id = "listCoupons",
    tag = "Guest",
    security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The coupons", body = CouponsView), (status = 304, description = "The caller has it")),
    extensions(("x-problems" = json!(["account_absent", "upstream_invalid", "upstream_unavailable"]))),
)]
async fn coupons(State(app): State<App>, guest: SignedInGuest, reading: Reading) -> Result<Response, Problem> {
    let shown = app.cabinet.coupons(&guest.guest, reading.wish).await?;
    Ok(view(shown, &reading))
}

/// What the till reads.
#[utoipa::path(
    get,
    path = "/api/v1/me/card",
    operation_id = "getCard",
    tag = "Guest",
    security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The card", body = Card), (status = 304, description = "The caller has it")),
    extensions(("x-problems" = json!(["account_absent", "account_blocked", "upstream_invalid", "upstream_unavailable"]))),
)]
async fn card(State(app): State<App>, guest: SignedInGuest, reading: Reading) -> Result<Response, Problem> {
    let (card, source) = app.cabinet.card(&guest.guest, reading.wish).await?;
    let body = serde_json::to_vec(&card).map_err(|_| Problem::new(ErrorCode::Internal))?;
    Ok(tagged(
        HeaderValue::from_static("application/json"),
        body,
        source,
        &reading,
    ))
}

/// The card's QR as SVG: dark on light in every theme, as scanners need it.
#[utoipa::path(
    get,
    path = "/api/v1/me/card.svg",
    operation_id = "getCardSvg",
    tag = "Guest",
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = 200, description = "The QR", body = String, content_type = "image/svg+xml"),
        (status = 304, description = "The caller has it"),
    ),
    extensions(("x-problems" = json!(["account_absent", "account_blocked", "upstream_invalid", "upstream_unavailable"]))),
)]
async fn card_svg(State(app): State<App>, guest: SignedInGuest, reading: Reading) -> Result<Response, Problem> {
    let (svg, source) = app.cabinet.card_svg(&guest.guest, reading.wish).await?;
    Ok(tagged(
        HeaderValue::from_static("image/svg+xml"),
        svg.into(),
        source,
        &reading,
    ))
}
