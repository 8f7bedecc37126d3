//! Listening sockets: made here, or handed over by whoever started us (systemd's socket activation), so that a restart refuses nobody.

use std::net::SocketAddr;

use listenfd::ListenFd;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Connections that wait to be accepted, at most; the kernel may allow fewer.
const BACKLOG: i32 = 4096;

/// A listening socket.
pub struct GuestSocket {
    pub(super) socket: TcpListener,
    /// Whether it outlives us: whoever waits in its queue when we stop is served by who comes after us.
    pub(super) is_inherited: bool,
}

/// Sockets that were handed over, in the order of their numbers: the guests' first, the admin's second.
pub struct Inherited(ListenFd);

impl Inherited {
    /// What `LISTEN_FDS` and `LISTEN_PID` tell of.
    #[must_use]
    pub fn from_environment() -> Self {
        Self(ListenFd::from_env())
    }

    /// The socket at this place, if one was handed over.
    fn take(&mut self, place: usize) -> std::io::Result<Option<TcpListener>> {
        if place >= self.0.len() {
            return Ok(None);
        }
        let Some(socket) = self.0.take_tcp_listener(place)? else {
            return Ok(None);
        };
        socket.set_nonblocking(true)?;
        TcpListener::from_std(socket).map(Some)
    }

    /// The guests' socket: the one that was handed over, else one on `address`, beside which another process of the same user may listen
    /// when `is_shared`.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn guests(&mut self, address: SocketAddr, is_shared: bool) -> std::io::Result<GuestSocket> {
        let inherited = self.take(0)?;
        Ok(GuestSocket {
            is_inherited: inherited.is_some(),
            socket: inherited.map_or_else(|| bind(address, is_shared), Ok)?,
        })
    }

    /// The admin's socket, likewise.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn admin(&mut self, address: SocketAddr, is_shared: bool) -> std::io::Result<TcpListener> {
        let inherited = self.take(1)?;
        inherited.map_or_else(|| bind(address, is_shared), Ok)
    }
}

fn bind(address: SocketAddr, is_shared: bool) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // A restart does not wait for the connections of the process before to be forgotten.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    if is_shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

impl GuestSocket {
    /// The address it listens on.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// From now on the kernel drops whoever knocks: they knock again, and find the socket closed, or the next process. What is in the
    /// queue stays there.
    pub(super) fn refuse_newcomers(&self) {
        #[cfg(target_os = "linux")]
        {
            // A packet filter's one instruction: return, keeping nothing.
            const DROP_ALL: socket2::SockFilter = socket2::SockFilter::new(0x06, 0, 0, 0);
            let _ = socket2::SockRef::from(&self.socket).attach_filter(&[DROP_ALL]);
        }
    }
}
