//! Connections to ProBonus: kept ones for reads, one of its own for each write, so that no write is sent into a connection that ProBonus is
//! just closing. Knows nothing of operations, credentials or what answers mean.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use http::HeaderMap;
use reqwest::{Client, Request, Response};

use crate::clock::Clock;

/// Time to connect.
const CONNECT: Duration = Duration::from_secs(2);

/// An idle connection is let go of after this, unless ProBonus says how long it keeps its own: common servers close theirs from 5 s on.
const USUAL_IDLE: Duration = Duration::from_secs(4);

/// However long ProBonus keeps its own: something between us may not.
const LONGEST_IDLE: Duration = Duration::from_secs(30);

/// After a kept connection was closed under a call, each call gets a connection of its own for so long: a server or balancer that is being
/// restarted closes them all.
const DISTRUST: Duration = Duration::from_secs(30);

/// A request of which nothing was sent is sent again so often.
const RESENT: usize = 2;

/// Headers of an answer: some servers and the proxies before them add one for everything.
const MAX_HEADERS: usize = 1000;

/// The connections.
pub(super) struct Connections {
    /// Each call over a connection of its own.
    single: Client,
    kept: RwLock<Kept>,
    connect: Duration,
    clock: Clock,
}

struct Kept {
    client: Client,
    /// What ProBonus said at least of how long it keeps a connection.
    told: Option<Duration>,
    /// Until when none is used, on the steady clock.
    distrusted_until: Duration,
}

/// A request that was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// ProBonus certainly read nothing of it.
    NotSent,
    /// It may have read it.
    Unknown,
    /// It answered, with a head that the HTTP library does not take.
    UnreadableHead,
}

impl Connections {
    /// `longest`: the time of a call, within which a connection must stand.
    pub fn new(longest: Duration, clock: Clock) -> Result<Self, reqwest::Error> {
        let connect = CONNECT.min(longest);
        Ok(Self {
            single: client(connect, None)?,
            kept: RwLock::new(Kept {
                client: client(connect, Some(USUAL_IDLE))?,
                told: None,
                distrusted_until: Duration::ZERO,
            }),
            connect,
            clock,
        })
    }

    /// For building requests.
    pub fn client(&self) -> &Client {
        &self.single
    }

    /// Sends a request that may be repeated, over a kept connection. When that one turns out to be closed, which is nobody's failure, it is
    /// sent again over a new one.
    pub async fn send_repeatable(&self, request: Request) -> Result<Response, Unanswered> {
        let kept = self.trusted();
        let (Some(kept), Some(again)) = (kept, request.try_clone()) else {
            return self.told(self.single.execute(request).await);
        };
        match kept.execute(request).await {
            Err(error) if was_closed(&error) => {
                self.distrust();
                self.told(self.single.execute(again).await)
            }
            result => self.told(result),
        }
    }

    /// Sends a request that must not be repeated once ProBonus may have read it: over a new connection, and over others when nothing of it
    /// was sent.
    pub async fn send_once(&self, request: Request) -> Result<Response, Unanswered> {
        let mut request = request;
        for _ in 0..RESENT {
            let Some(again) = request.try_clone() else { break };
            match self.single.execute(request).await {
                Err(error) if was_not_sent(&error) && !error.is_timeout() => request = again,
                result => return self.told(result),
            }
        }
        self.told(self.single.execute(request).await)
    }

    /// The client of kept connections, unless they are not to be relied on now.
    fn trusted(&self) -> Option<Client> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        (self.clock.steady() >= kept.distrusted_until).then(|| kept.client.clone())
    }

    fn distrust(&self) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        kept.distrusted_until = self.clock.steady() + DISTRUST;
    }

    fn told(&self, result: reqwest::Result<Response>) -> Result<Response, Unanswered> {
        match result {
            Ok(response) => {
                if let Some(told) = keep_alive(response.headers()) {
                    self.learn(told);
                }
                Ok(response)
            }
            Err(error) if was_not_sent(&error) => Err(Unanswered::NotSent),
            Err(error) if causes(&error).any(|cause| hyper_says(cause, hyper::Error::is_parse)) => {
                Err(Unanswered::UnreadableHead)
            }
            Err(_) => Err(Unanswered::Unknown),
        }
    }

    /// ProBonus keeps idle connections for `told`. Behind a balancer servers may differ: the shortest counts.
    fn learn(&self, told: Duration) {
        let known = self.kept.read().unwrap_or_else(PoisonError::into_inner).told;
        if known.is_some_and(|known| known <= told) {
            return;
        }
        if let Ok(client) = client(self.connect, Some(idle_for(told))) {
            let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
            kept.client = client;
            kept.told = Some(told);
        }
    }
}

/// `idle`: how long an idle connection is kept; none is without it.
fn client(connect: Duration, idle: Option<Duration>) -> Result<Client, reqwest::Error> {
    let builder = Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(connect)
        .tcp_nodelay(true)
        .http1_max_headers(MAX_HEADERS)
        // As old and careless servers write heads.
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http1_allow_spaces_after_header_name_in_responses(true)
        .http1_ignore_invalid_headers_in_responses(true)
        .user_agent(concat!("guest-cabinet/", env!("CARGO_PKG_VERSION")));
    match idle {
        Some(idle) if !idle.is_zero() => builder.pool_idle_timeout(idle),
        _ => builder.pool_max_idle_per_host(0),
    }
    .build()
}

/// Safely less than what ProBonus keeps its own for.
fn idle_for(told: Duration) -> Duration {
    let second = Duration::from_secs(1);
    told.saturating_sub(second).max(told / 2).min(LONGEST_IDLE)
}

/// `Keep-Alive: timeout=15, max=100`
fn keep_alive(headers: &HeaderMap) -> Option<Duration> {
    let parameters = headers.get("keep-alive")?.to_str().ok()?.split(',');
    let mut seconds = parameters.filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"').parse().ok()?;
        name.trim().eq_ignore_ascii_case("timeout").then_some(value)
    });
    seconds.next().map(Duration::from_secs)
}

/// Whether nothing of the request can have reached ProBonus: there was no connection, or it was closed before anything was written.
fn was_not_sent(error: &reqwest::Error) -> bool {
    error.is_connect() || error.is_builder() || causes(error).any(|cause| hyper_says(cause, hyper::Error::is_canceled))
}

/// Whether the connection was closed before an answer began.
fn was_closed(error: &reqwest::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    let closed = |error: &hyper::Error| error.is_incomplete_message() || error.is_canceled() || error.is_closed();
    let broken = |cause: &(dyn std::error::Error + 'static)| {
        let error = cause.downcast_ref::<std::io::Error>();
        let kinds = [
            BrokenPipe,
            ConnectionAborted,
            ConnectionReset,
            NotConnected,
            UnexpectedEof,
        ];
        error.is_some_and(|error| kinds.contains(&error.kind()))
    };
    !error.is_connect() && !error.is_timeout() && causes(error).any(|cause| hyper_says(cause, closed) || broken(cause))
}

fn hyper_says(cause: &(dyn std::error::Error + 'static), what: impl Fn(&hyper::Error) -> bool) -> bool {
    cause.downcast_ref().is_some_and(what)
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(std::error::Error::source(error), |cause| cause.source())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn an_idle_connection_is_let_go_of_before_probonus_closes_it() {
        for (told, seconds) in [(0, 0.0), (1, 0.5), (2, 1.0), (5, 4.0), (15, 14.0), (120, 30.0)] {
            assert_eq!(
                idle_for(Duration::from_secs(told)),
                Duration::from_secs_f64(seconds),
                "{told}"
            );
        }
    }

    #[test]
    fn how_long_probonus_keeps_a_connection_is_read_from_its_answer() {
        for (told, seconds) in [
            ("timeout=15, max=100", Some(15)),
            ("max=100,Timeout = 2", Some(2)),
            ("timeout=\"5\"", Some(5)),
            ("max=100", None),
            ("timeout=soon", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static("keep-alive"),
                HeaderValue::from_static(told),
            )]);
            assert_eq!(keep_alive(&headers), seconds.map(Duration::from_secs), "{told}");
        }
        assert_eq!(keep_alive(&HeaderMap::new()), None);
    }

    #[test]
    fn of_several_servers_the_most_impatient_counts() {
        let connections = Connections::new(Duration::from_secs(3), Clock::system()).expect("clients");
        let known = |told: u64| {
            connections.learn(Duration::from_secs(told));
            connections.kept.read().expect("nobody panics here").told
        };
        assert_eq!(known(15), Some(Duration::from_secs(15)));
        assert_eq!(known(2), Some(Duration::from_secs(2)));
        assert_eq!(known(15), Some(Duration::from_secs(2)));
    }
}
