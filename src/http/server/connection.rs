//! One connection: HTTP/1.1 or HTTP/2 over it, with the bounds of both.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, Ready, ready};
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;

use super::activity::Activity;
use super::answer;
use super::client::Client;
use super::drain::Drain;
use super::timeouts::{self, HEADER_TIMEOUT};
use super::unreadable::Explained;
use crate::http::Edge;

/// Requests at once over one connection of HTTP/2: no fewer than the standard recommends.
const MAX_STREAMS: u32 = 100;

/// Bytes of answers that wait in one stream of HTTP/2 for its window, beside the piece that is being handed over.
const MAX_STREAM_BUFFER: usize = 64 * 1024;

/// The longest head of a request, in bytes: over HTTP/1.1 as sent, over HTTP/2 unpacked.
const MAX_HEAD: usize = 64 * 1024;
const MAX_HEADER_LIST: u32 = 32 * 1024;

/// An HTTP/2 client that answers no ping is gone.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// Serves what comes over `stream` until it ends.
pub(super) async fn serve(stream: TcpStream, peer: SocketAddr, edge: Edge, drain: Arc<Drain>) {
    let activity = Activity::new();
    let client = Client::new(stream, activity.clone());
    let stream = TokioIo::new(Explained::new(client, edge.clone()));
    let seen = activity.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let version = request.version();
        let under_way = answer::Request::begin(&seen, version);
        let answered = edge.clone().answer(peer, request);
        at_once(Box::pin(answered.map(move |response| {
            Ok::<_, Infallible>(under_way.answer(response, version))
        })))
    });
    // A client that goes away is no news; what it asked for was logged with its answer.
    timeouts::drive(
        builder().serve_connection(stream, service).into_owned(),
        activity,
        drain,
    )
    .await;
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // Who has sent the request may close its sending half, and still wants the answer.
    let http1 = &mut builder.http1();
    http1.half_close(true).header_read_timeout(None).max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(HEADER_TIMEOUT)
        .max_concurrent_streams(MAX_STREAMS)
        .max_send_buf_size(MAX_STREAM_BUFFER)
        .max_header_list_size(MAX_HEADER_LIST);
    builder
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

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::response::Response;
    use bytes::Bytes;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::time::Instant;

    use super::*;

    const SETTINGS: u8 = 4;
    const GOAWAY: u8 = 7;

    /// An HTTP/2 connection at which every request is answered with so many bytes; its client's end.
    fn connection(length: usize) -> (DuplexStream, tokio::task::JoinHandle<()>) {
        let (client, server) = tokio::io::duplex(1024 * 1024);
        let activity = Activity::new();
        let (seen, body) = (activity.clone(), Bytes::from(vec![b'x'; length]));
        let service = service_fn(move |request: Request<Incoming>| {
            let under_way = answer::Request::begin(&seen, request.version());
            let response = under_way.answer(Response::new(Body::from(body.clone())), request.version());
            async move { Ok::<_, Infallible>(response) }
        });
        let serving = builder().serve_connection(TokioIo::new(server), service).into_owned();
        (client, tokio::spawn(timeouts::drive(serving, activity, Arc::default())))
    }

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).expect("a short frame");
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
    }

    /// The beginning of a connection whose streams have so large a window, and so many requests.
    async fn ask(client: &mut DuplexStream, window: u8, requests: u8) {
        let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        sent.extend(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, window]));
        for number in 0..requests {
            // :method GET, :scheme http, :path /, :authority a.
            let head = [0x82, 0x86, 0x84, 0x41, 1, b'a'];
            sent.extend(frame(1, 5, 2 * number + 1, &head));
        }
        client.write_all(&sent).await.expect("it is read");
    }

    /// The kinds of the frames that come until the connection ends. Pings are answered.
    async fn until_the_end(client: &mut DuplexStream) -> Vec<u8> {
        let mut kinds = Vec::new();
        let mut head = [0; 9];
        while client.read_exact(&mut head).await.is_ok() {
            let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
            client.read_exact(&mut payload).await.expect("a whole frame");
            kinds.push(head[3]);
            if head[3] == 6 && head[4] == 0 {
                let _ = client.write_all(&frame(6, 1, 0, &payload)).await;
            }
        }
        kinds
    }

    #[tokio::test(start_paused = true)]
    async fn streams_with_a_window_of_a_byte_are_cut_at_the_least_rate() {
        let (mut client, serving) = connection(475_000);
        let started = Instant::now();
        ask(&mut client, 1, 100).await;
        until_the_end(&mut client).await;
        assert_eq!(started.elapsed().as_secs(), 30);
        serving.await.expect("it ended");
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_http_2_connection_is_said_goodbye_to_and_closed() {
        let (mut client, serving) = connection(5);
        let started = Instant::now();
        ask(&mut client, 100, 2).await;
        let kinds = until_the_end(&mut client).await;
        assert!(kinds.contains(&GOAWAY), "{kinds:?}");
        let seconds = started.elapsed().as_secs();
        assert!((85..=90).contains(&seconds), "{seconds}");
        serving.await.expect("it ended");
    }
}
