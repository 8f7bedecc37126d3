//! A way to a server that closes connections at the moment of a request, as servers and balancers do that are restarted or have had enough
//! of an idle connection.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It reaches the server.
    Passes,
    /// Its connection is closed with the request still unread (a reset).
    ClosedUnread,
    /// It is read, and its connection closed without an answer.
    ClosedRead,
}

/// Decides by the request's number on its connection, from 1.
type Rule = dyn FnMut(usize) -> Fate + Send;

/// A running one.
pub struct Closing {
    /// The server's address through it.
    pub url: String,
    state: Arc<State>,
}

struct State {
    rule: Mutex<Box<Rule>>,
    closed: AtomicUsize,
}

impl Closing {
    /// Puts one in front of the server at `url`; everything passes.
    pub async fn before(url: &str) -> Self {
        let server = url.trim_start_matches("http://").to_owned();
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", socket.local_addr().expect("an address"));
        let state = Arc::new(State {
            rule: Mutex::new(Box::new(|_| Fate::Passes)),
            closed: AtomicUsize::new(0),
        });
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = socket.accept().await {
                tokio::spawn(pass(client, server.clone(), shared.clone()));
            }
        });
        Self { url, state }
    }

    /// Closes as `rule` says from now on.
    pub fn close(&self, rule: impl FnMut(usize) -> Fate + Send + 'static) {
        *self.state.rule.lock().expect("nobody panics here") = Box::new(rule);
    }

    /// Connections closed so far.
    pub fn closed(&self) -> usize {
        self.state.closed.load(Ordering::SeqCst)
    }
}

async fn pass(mut client: TcpStream, server: String, state: Arc<State>) {
    let Ok(mut server) = TcpStream::connect(server).await else {
        return;
    };
    let (mut up, mut down) = ([0; 16_384], [0; 16_384]);
    let (mut requests, mut answered) = (0, true);
    loop {
        tokio::select! {
            ready = client.readable() => {
                if ready.is_err() {
                    return;
                }
                if answered && client.peek(&mut up).await.is_ok_and(|length| length > 0) {
                    (requests, answered) = (requests + 1, false);
                    let fate = state.rule.lock().expect("nobody panics here")(requests);
                    if fate != Fate::Passes {
                        state.closed.fetch_add(1, Ordering::SeqCst);
                    }
                    match fate {
                        Fate::Passes => {}
                        Fate::ClosedUnread => return,
                        Fate::ClosedRead => {
                            let _ = client.read(&mut up).await;
                            return;
                        }
                    }
                }
                match client.read(&mut up).await {
                    Ok(length @ 1..) => if server.write_all(&up[..length]).await.is_err() { return },
                    _ => return,
                }
            },
            read = server.read(&mut down) => match read {
                Ok(length @ 1..) => {
                    answered = true;
                    if client.write_all(&down[..length]).await.is_err() { return }
                }
                _ => return,
            },
        }
    }
}
