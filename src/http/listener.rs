//! The guest-facing address: accepting, bounding and closing connections. The admin address beside it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::FutureExt;
use futures_util::future::{Either, Ready, ready};
use http::{Request, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::patience::{self, Noticed, Patience};
use super::unreadable::Explained;
use super::{App, Edge};

#[cfg(target_os = "linux")]
/// What was sent must be taken by the client within this time: who does not read is not waited for.
const UNREAD: Duration = Duration::from_secs(30);

/// After a failed accept (no file descriptors left) the next is tried this much later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// When nobody came out of the kernel's queue for so long, it is empty.
const LAST_CALL: Duration = Duration::from_millis(20);

/// At a stop, connections are first asked to close while new ones are still accepted, for at most this long.
const FAREWELL: Duration = Duration::from_secs(1);

/// The running guest-facing address.
pub struct Listener {
    address: SocketAddr,
    edge: Edge,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<GracefulShutdown>,
    drain: Duration,
}

impl Listener {
    /// Serves `edge` on `socket` until [`Listener::stop`].
    ///
    /// # Errors
    /// When the socket has no address.
    pub fn start(socket: TcpListener, edge: Edge, max_connections: usize, drain: Duration) -> std::io::Result<Self> {
        let stop = CancellationToken::new();
        Ok(Self {
            address: socket.local_addr()?,
            task: tokio::spawn(accept(socket, edge.clone(), max_connections, stop.clone())),
            edge,
            stop,
            drain,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Finishes what is under way: asks connections to close, stops accepting, and waits for the rest within the drain time.
    pub async fn stop(self) {
        self.edge.drain();
        tokio::time::sleep(FAREWELL.min(self.drain / 4)).await;
        self.stop.cancel();
        let Ok(connections) = self.task.await else { return };
        if tokio::time::timeout(self.drain, connections.shutdown()).await.is_err() {
            tracing::warn!("some connections were still busy after the drain time and are cut");
        }
    }
}

async fn accept(socket: TcpListener, edge: Edge, max_connections: usize, stop: CancellationToken) -> GracefulShutdown {
    let connections = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(max_connections));
    loop {
        // A full house lets newcomers wait in the kernel's queue.
        let place = tokio::select! {
            place = room.clone().acquire_owned() => place.expect("the semaphore is never closed"),
            () = stop.cancelled() => break,
        };
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = connection(stream, peer, edge.clone(), &connections);
                tokio::spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(kind = %error.kind(), "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Whoever is in the kernel's queue already is still served: closing the socket would cut them off.
    turn_away(&socket);
    while let Ok(Ok((stream, peer))) = tokio::time::timeout(LAST_CALL, socket.accept()).await {
        tokio::spawn(connection(stream, peer, edge.clone(), &connections));
    }
    connections
}

/// From now on the kernel drops whoever knocks at the socket: they knock again, and find it closed. What is in its queue stays there.
fn turn_away(socket: &TcpListener) {
    #[cfg(target_os = "linux")]
    {
        // A packet filter's one instruction: return, keeping nothing.
        const DROP_ALL: socket2::SockFilter = socket2::SockFilter::new(0x06, 0, 0, 0);
        let _ = socket2::SockRef::from(socket).attach_filter(&[DROP_ALL]);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
}

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    edge: Edge,
    connections: &GracefulShutdown,
) -> impl Future<Output = ()> + use<> {
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(UNREAD));
    let stream = Explained::new(stream, edge.clone());
    let patience = Patience::new();
    let waiting = patience.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        waiting.begin();
        let many_at_once = request.version() >= Version::HTTP_2;
        let waiting = waiting.clone();
        at_once(Box::pin(edge.clone().answer(peer, request).map(move |response| {
            Ok::<_, std::convert::Infallible>(if many_at_once { response } else { waiting.end(response) })
        })))
    });
    let mut builder = Builder::new(TokioExecutor::new());
    // Who has sent the request may close its sending half, and still wants the answer.
    builder
        .http1()
        .half_close(true)
        .header_read_timeout(None)
        .max_buf_size(64 * 1024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(patience::HEAD)
        .max_concurrent_streams(128)
        .max_header_list_size(32 * 1024);
    let stream = Noticed::new(stream, patience.clone());
    let serving = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    let watched = connections.watch(serving);
    // A client that goes away is no news; what it asked for was logged with its answer.
    async move { patience.bound(watched).await }
}

/// Takes what is ready at the first look now, before the library looks for more from the client: the request is over by then, and the
/// memory it was read into is free for the next one.
fn at_once<F: Future + Unpin>(mut answer: F) -> Either<Ready<F::Output>, F> {
    match answer.poll_unpin(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Either::Left(ready(answer)),
        // Whoever polls it next leaves a waker.
        Poll::Pending => Either::Right(answer),
    }
}

/// Health and metrics on the admin address, until `stop`.
///
/// # Errors
/// When the socket fails.
pub async fn serve_admin(
    socket: TcpListener,
    app: App,
    edge: Edge,
    metrics: PrometheusHandle,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let ready = move || {
        let (app, edge) = (app.clone(), edge.clone());
        async move { readiness(&app, &edge).await }
    };
    let router = Router::new()
        .route("/health/live", get(|| async { "alive\n" }))
        .route("/health/ready", get(ready))
        .route(
            "/metrics",
            get(move || {
                let text = crate::telemetry::render(&metrics);
                async move {
                    (
                        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
                        text,
                    )
                }
            }),
        );
    axum::serve(socket, router)
        .with_graceful_shutdown(async move { stop.cancelled().await })
        .await
}

/// Ready when the store answers and nobody asked us to stop. ProBonus being down does not matter here: guests still get the last views.
async fn readiness(app: &App, edge: &Edge) -> Response {
    if edge.is_draining() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    match tokio::time::timeout(Duration::from_secs(2), app.store.ping()).await {
        Ok(Ok(())) => "ready\n".into_response(),
        Ok(Err(_)) | Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n").into_response(),
    }
}
