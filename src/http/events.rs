//! `/api/v1/me/events`: the balance pushed when it moves, while a page is open.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::Reading;
use super::{App, ErrorCode, Problem, SignedInGuest};
use crate::cabinet::{PAGES, ViewError, Watch, WatchError, Watched, Wish};
use crate::sign_in::Attendance;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(events))
}

/// A silent connection says this often that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A connection lasts this long at most; pages come back by themselves.
const LONGEST: Duration = Duration::from_mins(15);

/// The head of an answer waits this long for the first balance.
const PATIENCE: Duration = Duration::from_secs(2);

/// Room for streams: whoever only listens leaves half of the connections to those who ask.
pub(super) fn room(max_connections: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new((max_connections / 2).clamp(1, Semaphore::MAX_PERMITS)))
}

struct Page {
    app: App,
    watch: Watch,
    attendance: Attendance,
    /// The last event that the page has.
    last_id: Option<String>,
    until: tokio::time::Instant,
    _place: OwnedSemaphorePermit,
}

/// Balance changes as server-sent events.
///
/// `event: balance`, whose `data` is the balance view as `/api/v1/me/balance` answers it, at once and whenever it changes; its `id` is the
/// content's tag, and `Last-Event-ID` keeps what the page has from being sent again. A silent stream says so with a comment every 15
/// seconds; it ends with the session, and after 15 minutes, when one comes back. One guest may have eight streams at once. ProBonus is
/// asked once for all of them and within the same budget as reads.
#[utoipa::path(
    get,
    path = "/api/v1/me/events",
    operation_id = "watchBalance",
    tag = "Guest",
    security(("bearer" = []), ("cookie" = [])),
    params(("Last-Event-ID" = Option<String>, Header, description = "The last event's id")),
    responses((
        status = 200,
        description = "A stream of events",
        body = String,
        content_type = "text/event-stream",
        example = "id: 4f1c…\nevent: balance\ndata: {\"available\":113200,…}\n\n",
    )),
    extensions(("x-problems" = json!(["account_absent", "too_many_requests"]))),
)]
async fn events(
    State(app): State<App>,
    guest: SignedInGuest,
    reading: Reading,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // Nothing can be told to whoever has no account; that ProBonus cannot be reached now is no reason not to wait for it.
    let deadline = reading.wish.deadline.at_most(PATIENCE);
    let first = Wish { renew: false, deadline };
    let balance = app.cabinet.balance(&guest.guest, first).await;
    if let Err(error @ (ViewError::AccountAbsent | ViewError::SessionExpired)) = balance {
        return Err(error.into());
    }
    let place = app.streams().try_acquire_owned().map_err(|_| WatchError::Full)?;
    let page = Page {
        watch: app.cabinet.watch(&guest.guest)?,
        attendance: app.sign_in.attend(guest.guest, guest.session),
        last_id: headers
            .get("last-event-id")
            .and_then(|id| id.to_str().ok())
            .map(str::to_owned),
        until: tokio::time::Instant::now() + LONGEST,
        app,
        _place: place,
    };
    let stream = futures_util::stream::unfold(page, |mut page| async move {
        let event = page.next().await?;
        Some((Ok::<_, Infallible>(event), page))
    });
    let mut response = Sse::new(stream)
        .keep_alive(KeepAlive::new().interval(HEARTBEAT))
        .into_response();
    let head = response.headers_mut();
    head.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that gather an answer before they pass it on are asked not to.
    head.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    Ok(response)
}

impl Page {
    /// The next news that this page does not have; `None` ends the connection: the time is over, or the session, or the server stops.
    async fn next(&mut self) -> Option<Event> {
        let news = tokio::select! {
            biased;
            () = self.app.leaving().cancelled() => None,
            () = self.attendance.ended() => None,
            () = tokio::time::sleep_until(self.until) => None,
            news = self.watch.changed_since(self.last_id.as_deref()) => news,
        }?;
        if self.attendance.is_over().await {
            return None;
        }
        Some(self.event(&news))
    }

    fn event(&mut self, news: &Watched) -> Event {
        let id = news.id();
        self.last_id = Some(id.clone());
        let body = if news.stale {
            news.ready.stale_body()
        } else {
            news.ready.body()
        };
        Event::default()
            .event("balance")
            .id(id)
            .data(String::from_utf8_lossy(&body))
    }
}

impl From<WatchError> for Problem {
    fn from(error: WatchError) -> Self {
        match error {
            WatchError::Full => Self::new(ErrorCode::Overloaded).retry_after(Duration::from_secs(5)),
            WatchError::TooManyPages => {
                let value = |text: String| HeaderValue::try_from(text).expect("numbers are a header value");
                Self::new(ErrorCode::TooManyRequests)
                    .retry_after(HEARTBEAT)
                    .header(
                        HeaderName::from_static("ratelimit-policy"),
                        value(format!("\"streams\";q={PAGES}")),
                    )
                    .header(
                        HeaderName::from_static("ratelimit"),
                        value(format!("\"streams\";r=0;t={}", HEARTBEAT.as_secs())),
                    )
            }
        }
    }
}
