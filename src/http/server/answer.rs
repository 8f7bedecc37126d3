//! An answer's body on its way out: handed over in pieces, so that what its client has no room for stays shared, and ending its request
//! when all of it is out of our hands.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::Version;
use http_body::{Body as _, Frame, SizeHint};

use super::activity::Activity;

/// Bytes handed over at once: one frame of HTTP/2.
const PIECE: usize = 16 * 1024;

/// A request under way; it ends when this is dropped.
pub(super) struct Request(Arc<Activity>);

impl Request {
    /// A request's head came.
    pub fn begin(activity: &Arc<Activity>, version: Version) -> Self {
        activity.begin_request(version);
        Self(activity.clone())
    }

    /// The answer as it is sent over `version`.
    pub fn answer(self, response: Response, version: Version) -> Response {
        let is_stream = response.body().size_hint().exact().is_none();
        if version < Version::HTTP_2 && !is_stream {
            // Written by one call as far as the socket takes it; how that goes is seen at the socket.
            return response;
        }
        response.map(|body| Body::new(Outgoing::new(body, self, version < Version::HTTP_2)))
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.0.end_request();
    }
}

struct Outgoing {
    body: Body,
    /// What was taken out of the body and is not yet handed over.
    rest: Bytes,
    /// Whether the last piece may still wait for the client's window.
    holds: bool,
    /// Whether the client's socket is watched for its leaving.
    is_watched: bool,
    request: Request,
}

impl Outgoing {
    fn new(body: Body, request: Request, is_watched: bool) -> Self {
        if is_watched {
            request.0.begin_stream();
        }
        Self {
            body,
            rest: Bytes::new(),
            holds: false,
            is_watched,
            request,
        }
    }

    fn release(&mut self) {
        if std::mem::take(&mut self.holds) {
            self.request.0.release_piece();
        }
    }

    /// The next piece of `data`.
    fn piece(&mut self, mut data: Bytes) -> Frame<Bytes> {
        let piece = data.split_to(data.len().min(PIECE));
        self.rest = data;
        self.holds = true;
        self.request.0.hold_piece();
        Frame::data(piece)
    }
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // Who asks for more has found room for what it had.
        self.release();
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            return Poll::Ready(Some(Ok(self.piece(rest))));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| match frame.into_data() {
                Ok(data) => self.piece(data),
                Err(other) => other,
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (mut hint, rest) = (self.body.size_hint(), self.rest.len() as u64);
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.release();
        if self.is_watched {
            self.request.0.end_stream();
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::super::activity::Waiting;
    use super::*;

    #[tokio::test]
    async fn a_large_answer_leaves_in_pieces_of_one_buffer() {
        let activity = Activity::new();
        let whole = Bytes::from(vec![7; 3 * PIECE + 5]);
        let request = Request::begin(&activity, Version::HTTP_2);
        let mut body = request
            .answer(Response::new(Body::from(whole.clone())), Version::HTTP_2)
            .into_body();
        assert_eq!(body.size_hint().exact(), Some(whole.len() as u64));
        let mut at = 0;
        while let Some(frame) = body.frame().await {
            assert_eq!(activity.waiting(), Waiting::Reader);
            let piece = frame.expect("a frame").into_data().expect("data");
            assert_eq!(piece.as_ptr(), whole[at..].as_ptr(), "nothing is copied");
            at += piece.len();
            assert_eq!(body.size_hint().exact(), Some((whole.len() - at) as u64));
        }
        assert_eq!(at, whole.len());
        drop(body);
        assert!(matches!(activity.waiting(), Waiting::NextRequest(_)));
    }

    #[tokio::test]
    async fn an_answer_nobody_wants_any_more_holds_nothing() {
        let activity = Activity::new();
        for _ in 0..3 {
            let request = Request::begin(&activity, Version::HTTP_2);
            let body = Body::from(vec![7; 2 * PIECE]);
            let mut body = request.answer(Response::new(body), Version::HTTP_2).into_body();
            assert!(body.frame().await.is_some());
        }
        assert!(matches!(activity.waiting(), Waiting::NextRequest(_)));
    }
}
