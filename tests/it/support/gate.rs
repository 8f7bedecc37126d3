//! A gate in front of a database server: it can be shut, go silent, or keep notifications back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

const OPEN: u8 = 0;
const SHUT: u8 = 1;
const SILENT: u8 = 2;
const DEAF: u8 = 3;

/// A running gate.
pub struct Gate {
    /// The database's address through the gate.
    pub url: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    mood: AtomicU8,
    changed: Notify,
}

impl Gate {
    /// Puts a gate in front of the server of `url`.
    pub async fn before(url: &str) -> Self {
        let mut url = url::Url::parse(url).expect("an address");
        let server = format!("{}:{}", url.host_str().expect("a host"), url.port().unwrap_or(5432));
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = socket.local_addr().expect("an address").port();
        url.set_host(Some("127.0.0.1")).expect("a host");
        url.set_port(Some(port)).expect("a port");
        let state = Arc::new(State::default());
        tokio::spawn(listen(socket, server, state.clone()));
        let url = url.into();
        Self { url, state }
    }

    /// All connections break and new ones are refused.
    pub fn shut(&self) {
        self.set(SHUT);
    }

    /// Connections stand and nothing comes through them any more.
    pub fn silence(&self) {
        self.set(SILENT);
    }

    /// Only connections that listen to notifications go silent.
    pub fn keep_notifications(&self) {
        self.set(DEAF);
    }

    /// Everything passes again; what was held up while silent is lost with its connection.
    pub fn open(&self) {
        self.set(OPEN);
    }

    fn set(&self, mood: u8) {
        self.state.mood.store(mood, Ordering::SeqCst);
        self.state.changed.notify_waiters();
    }
}

async fn listen(socket: TcpListener, server: String, state: Arc<State>) {
    let address = socket.local_addr().expect("an address");
    let mut socket = Some(socket);
    loop {
        let changed = state.changed.notified();
        match (&socket, state.mood.load(Ordering::SeqCst)) {
            (Some(_), SHUT) => socket = None,
            (None, OPEN) => socket = Some(TcpListener::bind(address).await.expect("the same port")),
            (None, _) => changed.await,
            (Some(socket), _) => tokio::select! {
                () = changed => {}
                accepted = socket.accept() => {
                    let Ok((client, _)) = accepted else { return };
                    tokio::spawn(pass(client, server.clone(), state.clone()));
                }
            },
        }
    }
}

async fn pass(mut client: TcpStream, server: String, state: Arc<State>) {
    let mut database = TcpStream::connect(server).await.expect("the test server answers");
    let (mut up, mut down) = ([0; 16_384], [0; 16_384]);
    let (mut listens, mut was_silent) = (false, false);
    loop {
        let changed = state.changed.notified();
        let mood = state.mood.load(Ordering::SeqCst);
        let silent = mood == SILENT || (mood == DEAF && listens);
        if mood == SHUT || (was_silent && !silent) {
            return;
        }
        was_silent = silent;
        tokio::select! {
            () = changed => {}
            read = client.read(&mut up), if !silent => match read {
                Ok(length @ 1..) => {
                    listens |= up[..length].windows(6).any(|part| part == b"LISTEN");
                    if database.write_all(&up[..length]).await.is_err() { return }
                }
                _ => return,
            },
            read = database.read(&mut down), if !silent => match read {
                Ok(length @ 1..) => if client.write_all(&down[..length]).await.is_err() { return },
                _ => return,
            },
        }
    }
}
