//! The guest-facing server: accepting, bounding, timing out and draining connections. Knows no route.
//!
//! `sockets` and `descriptors` prepare the start. The accepting loop here lets connections in by `admission`; `connection` serves each:
//! `client` is its socket, `answer` what goes out, `unreadable` the answer to what is no request. All of them tell its `activity` what
//! they see, which `timeouts` looks at. `drain` is the stop. `admin` is the other address.

mod activity;
mod admin;
mod admission;
mod answer;
mod client;
mod connection;
mod descriptors;
mod drain;
mod sockets;
mod timeouts;
mod unreadable;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::admin::serve_admin;
pub use self::descriptors::connections_that_fit;
pub use self::sockets::{GuestSocket, Inherited};

use self::admission::Admission;
use self::drain::Drain;
use super::Edge;
use crate::config::WebConfig;

/// After a failed accept (no file descriptors left) the next is tried this much later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// When nobody came out of the kernel's queue for so long, it is empty.
const LAST_CALL: Duration = Duration::from_millis(20);

/// At a stop, connections are first asked to close while new ones are still accepted, for at most this long.
const FAREWELL: Duration = Duration::from_secs(1);

/// The running guest-facing server.
pub struct Server {
    address: SocketAddr,
    edge: Edge,
    stop: CancellationToken,
    accepting: tokio::task::JoinHandle<()>,
    connections: TaskTracker,
    drain: Arc<Drain>,
    drain_time: Duration,
}

impl Server {
    /// Serves `edge` on `socket` until [`Server::stop`].
    ///
    /// # Errors
    /// When the socket has no address.
    pub fn start(socket: GuestSocket, edge: Edge, web: &WebConfig) -> std::io::Result<Self> {
        let acceptor = Acceptor {
            edge: edge.clone(),
            admission: Admission::new(web),
            connections: TaskTracker::new(),
            drain: Arc::default(),
        };
        let stop = CancellationToken::new();
        Ok(Self {
            address: socket.address()?,
            edge,
            connections: acceptor.connections.clone(),
            drain: acceptor.drain.clone(),
            accepting: tokio::spawn(acceptor.accept_until(socket, stop.clone())),
            stop,
            drain_time: web.drain,
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
        tokio::time::sleep(FAREWELL.min(self.drain_time / 4)).await;
        self.stop.cancel();
        if self.accepting.await.is_err() {
            return;
        }
        self.drain.begin();
        self.connections.close();
        if tokio::time::timeout(self.drain_time, self.connections.wait())
            .await
            .is_err()
        {
            tracing::warn!("some connections were still busy after the drain time and are cut");
        }
    }
}

/// The accepting loop and what it hands to connections.
struct Acceptor {
    edge: Edge,
    admission: Arc<Admission>,
    connections: TaskTracker,
    drain: Arc<Drain>,
}

impl Acceptor {
    async fn accept_until(self, socket: GuestSocket, stop: CancellationToken) {
        loop {
            // At capacity, new connections wait in the kernel's queue.
            let place = tokio::select! {
                place = self.admission.place() => place,
                () = stop.cancelled() => break,
            };
            let accepted = tokio::select! {
                accepted = socket.socket.accept() => accepted,
                () = stop.cancelled() => break,
            };
            match accepted {
                Ok((stream, peer)) => match self.admission.admit(place, peer.ip()) {
                    Some(admitted) => self.serve(stream, peer, Some(admitted)),
                    None => metrics::counter!("cabinet_connections_refused_total").increment(1),
                },
                Err(error) => {
                    tracing::warn!(kind = %error.kind(), "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        if socket.is_inherited {
            // Whoever is in the queue is served by the next process.
            return;
        }
        // Whoever is in the kernel's queue already is still served: closing the socket would cut them off.
        socket.refuse_newcomers();
        while let Ok(Ok((stream, peer))) = tokio::time::timeout(LAST_CALL, socket.socket.accept()).await {
            self.serve(stream, peer, None);
        }
    }

    fn serve(&self, stream: tokio::net::TcpStream, peer: SocketAddr, admitted: Option<admission::Admitted>) {
        let serving = connection::serve(stream, peer, self.edge.clone(), self.drain.clone());
        self.connections.spawn(async move {
            serving.await;
            drop(admitted);
        });
    }
}
