//! What goes on at one connection, as far as timeouts care: requests under way, whether the client takes what it is sent, and since when
//! nothing happens. Written by the service, the socket and the answers' bodies; read by the connection's one timer.
//!
//! Answers are many and the timer's looks are few, so reading the clock is left to the timer where that does.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use http::Version;
use tokio::time::Instant;

/// One connection's.
pub(super) struct Activity {
    opened: Instant,
    /// Requests whose answers are not yet all out of our hands.
    in_flight: AtomicU32,
    /// Pieces of answers that wait for room in the client's window.
    held_pieces: AtomicU32,
    /// Answers without an end in sight that are being sent.
    streams: AtomicU32,
    /// Whether the client's socket does not take what is written to it.
    blocked: AtomicBool,
    /// Bytes that the client's socket took.
    taken: AtomicU64,
    /// Since when nothing is under way, in microseconds after `opened`; [`UNSEEN`]: since the timer's next look.
    since_us: AtomicU64,
    /// Whether the next request is waited for, not the rest of a head.
    idle: AtomicBool,
    /// Whether bytes came while it was idle.
    stirred: AtomicBool,
    /// Whether requests share the connection (HTTP/2): there bytes also come that belong to none.
    multiplexed: AtomicBool,
}

const UNSEEN: u64 = u64::MAX;

/// What the connection is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// For us: an answer is being made.
    Us,
    /// For the client to take what it is sent.
    Reader,
    /// For the rest of a request's head, since then.
    Head(Instant),
    /// For the next request, since then.
    NextRequest(Instant),
}

impl Activity {
    /// A connection opened now.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            in_flight: AtomicU32::new(0),
            held_pieces: AtomicU32::new(0),
            streams: AtomicU32::new(0),
            blocked: AtomicBool::new(false),
            taken: AtomicU64::new(0),
            since_us: AtomicU64::new(0),
            idle: AtomicBool::new(false),
            stirred: AtomicBool::new(false),
            multiplexed: AtomicBool::new(false),
        })
    }

    /// A request's head came.
    pub fn begin_request(&self, version: Version) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        if version >= Version::HTTP_2 {
            self.multiplexed.store(true, Ordering::Relaxed);
        }
    }

    /// A request's answer is out of our hands.
    pub fn end_request(&self) {
        if self.in_flight.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.stirred.store(false, Ordering::Relaxed);
            self.idle.store(true, Ordering::Relaxed);
            self.since_us.store(UNSEEN, Ordering::Relaxed);
        }
    }

    /// A piece of an answer waits for the client's window.
    pub fn hold_piece(&self) {
        self.held_pieces.fetch_add(1, Ordering::Relaxed);
    }

    /// The client's window took a piece, or nobody sends it any more.
    pub fn release_piece(&self) {
        self.held_pieces.fetch_sub(1, Ordering::Relaxed);
    }

    /// An answer without an end in sight begins.
    pub fn begin_stream(&self) {
        self.streams.fetch_add(1, Ordering::Relaxed);
    }

    /// Such an answer is over.
    pub fn end_stream(&self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether such an answer is being sent.
    pub fn is_streaming(&self) -> bool {
        self.streams.load(Ordering::Relaxed) > 0
    }

    /// Whether requests share the connection.
    pub fn is_multiplexed(&self) -> bool {
        self.multiplexed.load(Ordering::Relaxed)
    }

    /// Bytes that the client's socket took so far.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// What a look for bytes from the client gave.
    pub fn note_read(&self, came: bool) {
        if came {
            self.stirred.store(true, Ordering::Relaxed);
        } else if self.idle.load(Ordering::Relaxed)
            && self.stirred.load(Ordering::Relaxed)
            && !self.is_busy()
            && !self.is_multiplexed()
        {
            // A part of a head came, and no more for now: a whole one would have been begun with.
            self.idle.store(false, Ordering::Relaxed);
            self.count_from_now();
        }
    }

    /// What writing to the client's socket gave.
    pub fn note_write(&self, polled: &Poll<io::Result<usize>>) {
        match polled {
            Poll::Pending => self.blocked.store(true, Ordering::Relaxed),
            Poll::Ready(written) => {
                if let Ok(bytes) = written {
                    self.taken.fetch_add(*bytes as u64, Ordering::Relaxed);
                }
                if self.blocked.load(Ordering::Relaxed) {
                    self.blocked.store(false, Ordering::Relaxed);
                    if !self.is_busy() {
                        self.count_from_now();
                    }
                }
            }
        }
    }

    /// What is waited for now; a look.
    pub fn waiting(&self) -> Waiting {
        if self.blocked.load(Ordering::Relaxed) || self.held_pieces.load(Ordering::Relaxed) > 0 {
            return Waiting::Reader;
        }
        if self.is_busy() {
            return Waiting::Us;
        }
        if self.since_us.load(Ordering::Relaxed) == UNSEEN {
            self.count_from_now();
        }
        let since = self.opened + Duration::from_micros(self.since_us.load(Ordering::Relaxed));
        if self.idle.load(Ordering::Relaxed) {
            Waiting::NextRequest(since)
        } else {
            Waiting::Head(since)
        }
    }

    fn is_busy(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    fn count_from_now(&self) {
        let since = Instant::now().duration_since(self.opened).as_micros();
        self.since_us
            .store(u64::try_from(since).unwrap_or(UNSEEN - 1), Ordering::Relaxed);
    }
}
