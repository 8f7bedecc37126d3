//! The client's socket, which tells its connection's activity what it sees.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::activity::Activity;

/// A client that does not acknowledge what was sent to it within this time is gone.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(30);

/// So many bytes wait unsent in the kernel at most, beside what is on its way: an answer is kept once, here, and not once more there for
/// each client that reads slowly.
#[cfg(target_os = "linux")]
const MAX_UNSENT: u32 = 16 * 1024;

/// A client's socket.
pub(super) struct Client {
    stream: TcpStream,
    activity: Arc<Activity>,
}

impl Client {
    /// Sets the socket up.
    pub fn new(stream: TcpStream, activity: Arc<Activity>) -> Self {
        let _ = stream.set_nodelay(true);
        #[cfg(target_os = "linux")]
        {
            let socket = socket2::SockRef::from(&stream);
            let _ = socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_TIMEOUT));
            let _ = socket.set_tcp_notsent_lowat(MAX_UNSENT);
        }
        Self { stream, activity }
    }

    /// Whether the client has closed its sending half, which it may: it still wants the answer. But a page that listens to a stream sends
    /// nothing more when it is left, and writing would find that out only at the second event.
    fn has_left_a_stream(&self, context: &mut Context<'_>) -> bool {
        let mut byte = [0];
        let peeked = self.stream.poll_peek(context, &mut ReadBuf::new(&mut byte));
        matches!(peeked, Poll::Ready(Ok(0) | Err(_)))
    }
}

impl AsyncRead for Client {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.activity
            .note_read(read.is_ready() && buffer.filled().len() > before);
        read
    }
}

impl AsyncWrite for Client {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.activity.note_write(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.activity.note_write(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.activity.is_streaming() && self.has_left_a_stream(context) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
