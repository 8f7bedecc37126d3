//! Forwarding headers from peers that are no configured proxy: most often the proxy's address is missing in the configuration, and all
//! guests share one address and its limits. Believes none of them.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;

use http::HeaderMap;
use ipnet::IpNet;
use metrics::{Counter, counter};

/// What proxies tell callers' addresses by.
const HEADERS: [&str; 3] = ["x-forwarded-for", "forwarded", "x-real-ip"];

/// Networks that the operator is warned of, each once; strangers who make such headers up do not fill the log.
const WARNED_OF: usize = 16;

pub(super) struct UntrustedForwarding {
    requests: Counter,
    warned_of: Mutex<HashSet<IpNet>>,
}

impl UntrustedForwarding {
    pub fn new() -> Self {
        Self {
            requests: counter!("cabinet_untrusted_forwarded_total"),
            warned_of: Mutex::default(),
        }
    }

    /// Counts a request of `peer` that has such a header, unless `peer` is one of the `trusted` proxies.
    pub fn notice(&self, peer: SocketAddr, headers: &HeaderMap, trusted: &[IpNet]) {
        let peer = peer.ip().to_canonical();
        let Some(header) = HEADERS.iter().find(|name| headers.contains_key(**name)) else {
            return;
        };
        if trusted.iter().any(|network| network.contains(&peer)) {
            return;
        }
        self.requests.increment(1);
        let network = network_of(peer);
        let mut warned_of = self.warned_of.lock().expect("nobody panics here");
        if warned_of.len() < WARNED_OF && warned_of.insert(network) {
            tracing::warn!(
                header,
                %network,
                "a request with a forwarding header came from an address that is not in web.trusted_proxies: if that is your proxy, name it \
                 there; until then all guests behind it share its address and its limits"
            );
        }
    }
}

/// The network of a proxy as it is told: not its very address.
fn network_of(peer: IpAddr) -> IpNet {
    let bits = if peer.is_ipv4() { 24 } else { 64 };
    IpNet::new(peer, bits).map_or_else(|_| IpNet::from(peer), |network| network.trunc())
}
