//! Whether the addresses that the server listens on are free, and whether one of them is open to more people than it should be.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use super::{Mark, Report};
use crate::config::Config;

/// Tries both addresses and gives them back at once.
pub(super) fn try_listening(config: &Config, report: &mut Report<'_>) {
    for (key, address) in [("listen", config.listen), ("admin_listen", config.admin_listen)] {
        match TcpListener::bind(address) {
            Ok(_listener) => report.add(
                Mark::Good,
                format!("{key}: {address} свободен"),
                format!("{key}: {address} is free"),
            ),
            Err(error) if error.kind() == ErrorKind::AddrInUse => report.add(
                Mark::Look,
                format!(
                    "{key}: {address} занят; если это не сам кабинет, который уже работает, задайте в {key} другой"
                ),
                format!(
                    "{key}: {address} is in use; unless that is this cabinet already running, set {key} to another"
                ),
            ),
            Err(error) => report.add(
                Mark::Bad,
                format!("{key}: на {address} нельзя принимать соединения ({error}); задайте в {key} другой адрес"),
                format!("{key}: {address} cannot be listened on ({error}); set {key} to another address"),
            ),
        }
    }
    if is_open_to_everyone(config.admin_listen) {
        report.add(
            Mark::Look,
            "admin_listen: метрики и состояние видны всем, кто достаёт до этой машины; закройте порт снаружи или слушайте 127.0.0.1",
            "admin_listen: health and metrics are open to whoever reaches this machine; shut the port to the outside or listen on 127.0.0.1",
        );
    }
}

fn is_open_to_everyone(address: SocketAddr) -> bool {
    address.ip().is_unspecified()
}
