//! `/api/v1/me/events`: the balance pushed when it moves, while a page is open.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use http::HeaderMap;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{App, Problem, SignedInGuest};
use crate::cabinet::{Watch, Watched};
use crate::model::SessionId;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(events))
}

/// A silent connection says this often that it lives, and the session is looked at.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A connection lasts this long at most; browsers come back by themselves.
const LONGEST: Duration = Duration::from_mins(15);

struct Page {
    app: App,
    watch: Watch,
    session: SessionId,
    guest: crate::model::Guest,
    /// The last event that the page has.
    last_id: Option<String>,
    until: tokio::time::Instant,
}

/// Balance changes as server-sent events.
///
/// `event: balance` carries the balance view; its `id` is the content's tag, and `Last-Event-ID` keeps what the page has from being sent
/// again. ProBonus is asked within the same budget as reads.
#[utoipa::path(
    get,
    path = "/api/v1/me/events",
    operation_id = "watchBalance",
    tag = "Guest",
    security(("bearer" = []), ("cookie" = [])),
    params(("Last-Event-ID" = Option<String>, Header, description = "The last event's id")),
    responses((status = 200, description = "A stream of events", body = String, content_type = "text/event-stream")),
)]
async fn events(
    State(app): State<App>,
    guest: SignedInGuest,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let watch = app.cabinet.watch(&guest.guest)?;
    let last_id = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok())
        .map(str::to_owned);
    let page = Page {
        app,
        watch,
        session: guest.session,
        guest: guest.guest,
        last_id,
        until: tokio::time::Instant::now() + LONGEST,
    };
    let stream = futures_util::stream::unfold(page, |mut page| async move {
        let event = page.next().await?;
        Some((Ok(event), page))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

impl Page {
    /// The next news that this page does not have; `None` ends the connection: the time is over, or the session.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let look = tokio::time::timeout(HEARTBEAT, self.watch.changed_since(self.last_id.as_deref())).await;
            if tokio::time::Instant::now() >= self.until || !self.still_signed_in().await {
                return None;
            }
            match look {
                Ok(Some(news)) => return Some(self.event(&news)),
                Ok(None) => return None,
                Err(_silence) => {}
            }
        }
    }

    async fn still_signed_in(&self) -> bool {
        let sessions = self.app.sign_in.sessions(&self.guest).await;
        // A store that is down ends nobody's session.
        sessions.map_or(true, |list| list.iter().any(|session| session.id == self.session))
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
