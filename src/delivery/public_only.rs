//! Keeps the operator's receiver out of private networks: its address, and what its name leads to.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Looks names up and forgets what is private.
pub(super) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let is_here = name.as_str() == "localhost";
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found
                .filter(|address| is_here || !(is_private(address.ip()) || address.ip().is_loopback()))
                .collect();
            if public.is_empty() {
                return Err("the receiver's name leads to private addresses only".into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Whether the address is literally one of a private network. Loopback is this machine and always allowed.
pub(super) fn names_private(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => is_private(ip.into()),
        Some(url::Host::Ipv6(ip)) => is_private(ip.into()),
        _ => false,
    }
}

pub(super) fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local() || is_of_no_host(ip) || is_shared_by_a_carrier(ip),
        IpAddr::V6(ip) => {
            ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified() || ip.is_multicast()
        }
    }
}

/// 0.0.0.0/8, multicast and what lies behind it.
fn is_of_no_host(ip: Ipv4Addr) -> bool {
    ip.octets()[0] == 0 || ip.octets()[0] >= 224
}

/// 100.64.0.0/10.
fn is_shared_by_a_carrier(ip: Ipv4Addr) -> bool {
    ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_known_in_every_spelling() {
        let private = |host: &str| names_private(&format!("https://{host}/otp").parse().expect("an address"));
        for host in [
            "10.1.2.3",
            "192.168.0.1",
            "172.16.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "167772161",
            "0x0a000001",
            "[::ffff:10.0.0.1]",
            "[fd00::1]",
            "[fe80::1]",
            "[::]",
        ] {
            assert!(private(host), "{host}");
        }
        for host in ["127.0.0.1", "[::1]", "198.51.100.7", "100.128.0.1", "codes.example.ru"] {
            assert!(!private(host), "{host}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_here_is_followed_under_its_own_name_only() {
        let of = |name: &str| PublicOnly.resolve(name.parse().expect("a name"));
        assert!(of("localhost").await.is_ok());
        // What resolvers take for 127.0.0.1.
        assert!(of("127.1").await.is_err());
    }
}
