//! What cannot even be read as a request – an address of a hundred kilobytes, bytes that are no HTTP – never reaches the routes: the
//! protocol's library answers it by itself, with an empty body. Here such an answer becomes a problem document like any other.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http::Edge;

/// A connection whose library's own refusals are explained.
pub(super) struct Explained<S> {
    stream: S,
    edge: Edge,
    /// What is written instead of a refusal, how much of it already is, and how long the refusal was.
    instead: Option<(Vec<u8>, usize, usize)>,
}

impl<S> Explained<S> {
    pub fn new(stream: S, edge: Edge) -> Self {
        Self {
            stream,
            edge,
            instead: None,
        }
    }
}

/// Whether the library wrote this by itself: every answer of ours carries a request id.
fn is_refusal(written: &[u8]) -> bool {
    const ID: &[u8] = b"x-request-id";
    written.starts_with(b"HTTP/1.1 4")
        && written.ends_with(b"\r\n\r\n")
        && !written.windows(ID.len()).any(|part| part.eq_ignore_ascii_case(ID))
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Explained<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.instead.is_none() && is_refusal(bytes) {
            this.instead = Some((this.edge.refusal(), 0, bytes.len()));
        }
        let Some((text, written, owed)) = &mut this.instead else {
            return Pin::new(&mut this.stream).poll_write(context, bytes);
        };
        while *written < text.len() {
            match ready!(Pin::new(&mut this.stream).poll_write(context, &text[*written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                more => *written += more,
            }
        }
        let owed = *owed;
        this.instead = None;
        Poll::Ready(Ok(owed))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match pieces.iter().find(|piece| !piece.is_empty()) {
            Some(first) if self.instead.is_some() || is_refusal(first) => self.poll_write(context, first),
            _ => Pin::new(&mut self.stream).poll_write_vectored(context, pieces),
        }
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

impl<S: AsyncRead + Unpin> AsyncRead for Explained<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

#[cfg(test)]
mod tests {
    use super::is_refusal;

    #[test]
    fn only_the_librarys_own_refusals_are_replaced() {
        assert!(is_refusal(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n\r\n"
        ));
        assert!(!is_refusal(b"HTTP/1.1 404 Not Found\r\nX-Request-Id: 1\r\n\r\n"));
        assert!(!is_refusal(b"HTTP/1.1 200 OK\r\n\r\n"));
        assert!(!is_refusal(b"HTTP/1.1 400 or so is what this body says"));
    }
}
