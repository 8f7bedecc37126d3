//! Who is let in: so many connections in all, and so many from one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::WebConfig;

/// The bounds, and what is open under them.
pub(super) struct Admission {
    places: Arc<Semaphore>,
    /// At most so many from one address; 0: however many.
    most_per_address: usize,
    proxies: Vec<IpNet>,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// A place for one connection; it is given back when this is dropped.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
}

/// A place and what counts for its client's address.
pub(super) struct Admitted {
    _place: Place,
    counted: Option<(Arc<Admission>, IpAddr)>,
}

impl Admission {
    pub fn new(web: &WebConfig) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::new(Semaphore::new(web.max_connections)),
            most_per_address: web.max_connections_per_ip,
            proxies: web.trusted_proxies.clone(),
            open: Mutex::default(),
        })
    }

    /// A place, as soon as there is one: meanwhile new connections wait in the kernel's queue.
    pub async fn place(&self) -> Place {
        let permit = self.places.clone().acquire_owned().await;
        Place {
            _permit: permit.expect("the semaphore is never closed"),
        }
    }

    /// Lets a client in; `None` when as many as may be are there from its address already.
    ///
    /// All guests come from a proxy's address, and whoever is on this machine is one or is trusted anyway.
    pub fn admit(self: &Arc<Self>, place: Place, peer: IpAddr) -> Option<Admitted> {
        let peer = peer.to_canonical();
        let is_free =
            self.most_per_address == 0 || peer.is_loopback() || self.proxies.iter().any(|net| net.contains(&peer));
        if is_free {
            return Some(Admitted {
                _place: place,
                counted: None,
            });
        }
        let address = counted_as(peer);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= self.most_per_address {
            return None;
        }
        *count += 1;
        Some(Admitted {
            _place: place,
            counted: Some((self.clone(), address)),
        })
    }

    fn leave(&self, address: IpAddr) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&address);
            }
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if let Some((admission, address)) = &self.counted {
            admission.leave(*address);
        }
    }
}

/// Whoever has one address of IPv6 has its whole /64.
fn counted_as(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(most_per_address: usize) -> Arc<Admission> {
        Arc::new(Admission {
            places: Arc::new(Semaphore::new(100)),
            most_per_address,
            proxies: vec!["10.0.0.0/8".parse().expect("a network")],
            open: Mutex::default(),
        })
    }

    async fn admit(admission: &Arc<Admission>, peer: &str) -> Option<Admitted> {
        let place = admission.place().await;
        admission.admit(place, peer.parse().expect("an address"))
    }

    #[tokio::test]
    async fn one_address_has_so_many_connections_and_gets_them_back() {
        let admission = admission(2);
        let (first, second) = (
            admit(&admission, "203.0.113.9").await,
            admit(&admission, "::ffff:203.0.113.9").await,
        );
        assert!(first.is_some() && second.is_some());
        assert!(admit(&admission, "203.0.113.9").await.is_none());
        assert!(admit(&admission, "203.0.113.10").await.is_some());
        drop(first);
        assert!(admit(&admission, "203.0.113.9").await.is_some());
        drop(second);
        assert!(
            admission.open.lock().expect("nobody panics").is_empty(),
            "nothing is kept of who has left"
        );
        assert_eq!(admission.places.available_permits(), 100);
    }

    #[tokio::test]
    async fn the_addresses_of_one_ipv6_network_count_as_one() {
        let admission = admission(1);
        let first = admit(&admission, "2001:db8:1:2:aaaa::1").await;
        assert!(first.is_some() && admit(&admission, "2001:db8:1:2:bbbb::2").await.is_none());
        assert!(admit(&admission, "2001:db8:1:3::1").await.is_some());
    }

    #[tokio::test]
    async fn proxies_and_this_machine_are_not_counted() {
        for (most, peer) in [(1, "10.1.2.3"), (1, "127.0.0.1"), (1, "::1"), (0, "203.0.113.9")] {
            let admission = admission(most);
            let both = (admit(&admission, peer).await, admit(&admission, peer).await);
            assert!(both.0.is_some() && both.1.is_some(), "{peer}");
        }
    }
}
