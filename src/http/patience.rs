//! How long a connection may let us wait: one timer a connection, looked at only when it rings. A timer a request would cost as much as
//! finding the answer.
//!
//! A new connection, and one that has begun a request, must get the request's head across within [`HEAD`]; between two requests it may
//! rest for [`REST`], longer than usual proxies keep it, so that they close first; it is counted from the timer's next look. While an
//! answer is being made, or bytes of one are not yet taken, nothing is waited for; who takes too long to read is closed by the kernel's
//! own limit. HTTP/2 has its own pings.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// A request's head must be there within this time.
pub(super) const HEAD: Duration = Duration::from_secs(10);

/// Between two requests a connection is kept for so long.
const REST: Duration = Duration::from_secs(75);

/// What is known of one connection.
pub(super) struct Patience {
    opened: Instant,
    /// Since when something is waited for, in microseconds after `opened`; [`BUSY`]: nothing is; [`UNSEEN`]: for the next request, since
    /// the timer's next look.
    since_us: AtomicU64,
    /// Whether it is the next request that is waited for, not the rest of a head.
    resting: AtomicBool,
    /// Whether bytes came while it rested.
    stirred: AtomicBool,
    /// Whether the client has not taken all that was sent.
    blocked: AtomicBool,
}

const BUSY: u64 = u64::MAX;
const UNSEEN: u64 = BUSY - 1;

impl Patience {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            since_us: AtomicU64::new(0),
            resting: AtomicBool::new(false),
            stirred: AtomicBool::new(false),
            blocked: AtomicBool::new(false),
        })
    }

    /// A head came.
    pub fn begin(&self) {
        self.since_us.store(BUSY, Ordering::Relaxed);
    }

    /// An answer was made; its connection rests when all of the body is out of our hands.
    pub fn end(self: &Arc<Self>, response: Response<Body>) -> Response<Body> {
        if http_body::Body::size_hint(response.body()).exact().is_some() {
            self.rest();
            return response;
        }
        response.map(|body| {
            Body::new(Streamed {
                body,
                _until: Until(self.clone()),
            })
        })
    }

    fn rest(&self) {
        self.stirred.store(false, Ordering::Relaxed);
        self.resting.store(true, Ordering::Relaxed);
        // Reading the clock is left to the timer: answers are many, its looks are few.
        self.since_us.store(UNSEEN, Ordering::Relaxed);
    }

    fn wait_from_now(&self) {
        let since = Instant::now().duration_since(self.opened).as_micros();
        self.since_us
            .store(u64::try_from(since).unwrap_or(UNSEEN - 1), Ordering::Relaxed);
    }

    fn waits(&self) -> bool {
        self.since_us.load(Ordering::Relaxed) != BUSY
    }

    /// When to look again; `None`: the connection has let us wait too long.
    fn left(&self) -> Option<Duration> {
        if !self.waits() || self.blocked.load(Ordering::Relaxed) {
            return Some(HEAD);
        }
        if self.since_us.load(Ordering::Relaxed) == UNSEEN {
            self.wait_from_now();
        }
        let limit = if self.resting.load(Ordering::Relaxed) {
            REST
        } else {
            HEAD
        };
        let since = self.opened + Duration::from_micros(self.since_us.load(Ordering::Relaxed));
        let left = limit.checked_sub(Instant::now().saturating_duration_since(since))?;
        // A head may begin at any time, and has no more than its own time then.
        (!left.is_zero()).then_some(left.min(HEAD))
    }

    /// Serves a connection until it ends, or until its client lets us wait too long.
    pub async fn bound<C: Future>(&self, connection: C) {
        let mut connection = pin!(connection);
        let mut alarm = pin!(tokio::time::sleep(HEAD));
        let mut is_set = false;
        std::future::poll_fn(|context| {
            if connection.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            // Polled when it is set and looked at when it rang, not at each of the connection's turns.
            while !is_set || alarm.is_elapsed() {
                if is_set {
                    let Some(left) = self.left() else {
                        return Poll::Ready(());
                    };
                    alarm.as_mut().reset(Instant::now() + left);
                }
                is_set = true;
                if alarm.as_mut().poll(context).is_pending() {
                    break;
                }
            }
            Poll::Pending
        })
        .await;
    }

    /// What a look for bytes from the client gave.
    fn looked(&self, came: bool) {
        if came {
            self.stirred.store(true, Ordering::Relaxed);
        } else if self.resting.load(Ordering::Relaxed) && self.stirred.load(Ordering::Relaxed) && self.waits() {
            // A part of a head came, and no more for now: a whole one would have been begun with.
            self.resting.store(false, Ordering::Relaxed);
            self.wait_from_now();
        }
    }

    fn wrote<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &polled {
            Poll::Pending => self.blocked.store(true, Ordering::Relaxed),
            Poll::Ready(_) if self.blocked.load(Ordering::Relaxed) => {
                self.blocked.store(false, Ordering::Relaxed);
                if self.waits() {
                    self.wait_from_now();
                }
            }
            Poll::Ready(_) => {}
        }
        polled
    }
}

/// The end of a body that is made while it is sent.
struct Until(Arc<Patience>);

impl Drop for Until {
    fn drop(&mut self) {
        self.0.rest();
    }
}

struct Streamed {
    body: Body,
    _until: Until,
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A client's socket that tells whether what was sent is being taken.
pub(super) struct Noticed<S> {
    stream: S,
    patience: Arc<Patience>,
}

impl<S> Noticed<S> {
    pub fn new(stream: S, patience: Arc<Patience>) -> Self {
        Self { stream, patience }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Noticed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.patience.looked(read.is_ready() && buffer.filled().len() > before);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noticed<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.patience.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.patience.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long a connection that never ends by itself is kept.
    async fn kept(patience: &Patience) -> u64 {
        let started = Instant::now();
        patience.bound(std::future::pending::<()>()).await;
        started.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_connection_gets_a_head_across_in_time_or_is_closed() {
        assert_eq!(kept(&Patience::new()).await, 10);
        let dribbling = Patience::new();
        dribbling.looked(true);
        dribbling.looked(false);
        assert_eq!(kept(&dribbling).await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn between_requests_a_connection_may_rest_until_it_begins_a_head() {
        let resting = Patience::new();
        resting.begin();
        drop(resting.end(Response::new(Body::empty())));
        assert_eq!(kept(&resting).await, 10 + 75);

        let stirring = Patience::new();
        stirring.begin();
        drop(stirring.end(Response::new(Body::empty())));
        let later = stirring.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(33)).await;
            for _ in 0..5 {
                later.looked(true);
                later.looked(false);
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        assert_eq!(kept(&stirring).await, 43, "more bytes give no more time");
    }

    #[tokio::test(start_paused = true)]
    async fn while_an_answer_is_made_nothing_is_waited_for() {
        let patience = Patience::new();
        let later = patience.clone();
        tokio::spawn(async move {
            later.begin();
            tokio::time::sleep(Duration::from_secs(25)).await;
            drop(later.end(Response::new(Body::empty())));
        });
        assert_eq!(
            kept(&patience).await,
            30 + 75,
            "the timer looks at 10, 20 and 30 seconds"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_still_being_sent_to_is_not_waited_for() {
        let patience = Patience::new();
        let later = patience.clone();
        tokio::spawn(async move {
            later.begin();
            let streamed = Body::from_stream(futures_util::stream::pending::<io::Result<Bytes>>());
            let answer = later.end(Response::new(streamed));
            tokio::time::sleep(Duration::from_secs(20)).await;
            drop(answer);
            let _ = later.wrote(Poll::<io::Result<()>>::Pending);
            tokio::time::sleep(Duration::from_secs(200)).await;
            let _ = later.wrote(Poll::Ready(Ok(())));
        });
        assert_eq!(kept(&patience).await, 220 + 75);
    }
}
