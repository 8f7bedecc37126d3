//! Whether the proxy before the cabinet is named in the configuration: by what is configured, and by what a running server has seen.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::{Mark, Report};
use crate::config::Config;

/// A running server's time to show its metrics.
const TIME: Duration = Duration::from_secs(2);

/// Requests with forwarding headers from addresses that are no trusted proxies.
const METRIC: &str = "cabinet_untrusted_forwarded_total";

pub(super) async fn look(config: &Config, report: &mut Report<'_>) {
    // We speak plain http: whoever speaks https for us stands before us.
    if config.web.trusted_proxies.is_empty() && config.public_url.scheme() == "https" {
        report.add(
            Mark::Look,
            "web.trusted_proxies: пусто, хотя перед кабинетом стоит прокси (public_url – https); пока он не назван, все гости за ним делят один \
             адрес и его ограничения",
            "web.trusted_proxies: empty, though a proxy stands before the cabinet (public_url is https); until it is named all guests behind it \
             share one address and its limits",
        );
    }
    let Some(count) = seen(config.admin_listen).await.filter(|count| *count > 0) else {
        return;
    };
    report.add(
        Mark::Look,
        format!(
            "web.trusted_proxies: работающий кабинет получил {count} запросов с X-Forwarded-For (или Forwarded, X-Real-IP) с адреса, который там \
             не назван; сеть стоит в журнале; если это ваш прокси, впишите его"
        ),
        format!(
            "web.trusted_proxies: the running cabinet has got {count} requests with X-Forwarded-For (or Forwarded, X-Real-IP) from an address \
             that is not named there; the log says from which network; if it is your proxy, name it"
        ),
    );
}

/// How many a running server has seen; `None` when none runs.
async fn seen(admin: SocketAddr) -> Option<u64> {
    let ip = if admin.ip().is_unspecified() {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    } else {
        admin.ip()
    };
    let address = SocketAddr::new(ip, admin.port());
    let client = reqwest::Client::builder().no_proxy().timeout(TIME).build().ok()?;
    let metrics = client.get(format!("http://{address}/metrics")).send().await.ok()?;
    let text = metrics.text().await.ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(METRIC))?;
    line.trim().parse().ok()
}
