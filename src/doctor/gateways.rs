//! Whether codes will reach phones: each gateway is asked for its balance. Nothing is sent.

use std::time::Duration;

use super::{Mark, Report};
use crate::clock::Clock;
use crate::config::{Config, GatewayName};
use crate::delivery::{GatewayAnswer, GatewayCheck, Reason, check};

/// Longest time for a connection to the webhook's receiver.
const TIME: Duration = Duration::from_secs(3);

pub(super) async fn ask(config: &Config, clock: &Clock, report: &mut Report<'_>) {
    let checks = match check(&config.delivery, &config.public_url, clock).await {
        Ok(checks) => checks,
        Err(problem) => return report.add(Mark::Bad, problem.clone(), problem),
    };
    let names: Vec<&str> = checks.iter().map(|check| check.name.as_str()).collect();
    let list = names.join(", ");
    report.add(
        Mark::Good,
        format!("шлюзы для кодов: {list}"),
        format!("gateways for codes: {list}"),
    );
    // While one gateway may bring codes, serving makes sense.
    let usable = |check: &GatewayCheck| matches!(check.answer, GatewayAnswer::Balance(_) | GatewayAnswer::NotAsked);
    let trouble = if checks.iter().any(usable) {
        Mark::Look
    } else {
        Mark::Bad
    };
    for check in &checks {
        tell(check, trouble, report);
    }
    receiver(config, report).await;
    if config.delivery.gateways == [GatewayName::Telegram] {
        report.add(
            Mark::Look,
            "delivery.gateways: telegram – единственный канал; у многих гостей его нет",
            "delivery.gateways: telegram is the only channel; many guests do not have it",
        );
    }
}

/// Whether the webhook's receiver can be reached at all. One that is down now may be up tomorrow: it does not forbid serving.
async fn receiver(config: &Config, report: &mut Report<'_>) {
    let Some(webhook) = &config.delivery.webhook else {
        return;
    };
    let port = webhook.url.port_or_known_default().unwrap_or(443);
    let host = webhook.url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let reached = tokio::time::timeout(TIME, tokio::net::TcpStream::connect((host, port))).await;
    if matches!(reached, Ok(Ok(_))) {
        report.add(
            Mark::Good,
            "webhook: приёмник на связи",
            "webhook: the receiver can be reached",
        );
    } else {
        report.add(
            Mark::Look,
            "delivery.webhook.url: приёмник не отвечает; пока так, коды не дойдут",
            "delivery.webhook.url: the receiver cannot be reached; as long as it is so no code arrives",
        );
    }
}

fn tell(check: &GatewayCheck, trouble: Mark, report: &mut Report<'_>) {
    let name = check.name.as_str();
    match check.answer {
        GatewayAnswer::Balance(balance) => report.add(
            Mark::Good,
            format!("{name}: ключ принят, баланс {balance:.2}"),
            format!("{name}: the credential is accepted, the balance is {balance:.2}"),
        ),
        GatewayAnswer::NotAsked if check.name == GatewayName::Console => report.add(
            Mark::Look,
            "delivery.gateways: console показывает коды тому, кто читает консоль; только для разработки",
            "delivery.gateways: console shows codes to whoever reads the console; for development only",
        ),
        GatewayAnswer::NotAsked => report.add(
            Mark::Good,
            format!("{name}: проверить целиком можно только отправкой"),
            format!("{name}: can only be tried in full by sending"),
        ),
        GatewayAnswer::Refused(Reason::Auth) => report.add(
            trouble,
            format!("delivery.{name}: шлюз не принимает ключ; проверьте ключ и разрешённые адреса в кабинете шлюза"),
            format!(
                "delivery.{name}: the gateway refuses the credential; see to it and to the addresses allowed there"
            ),
        ),
        GatewayAnswer::Refused(Reason::Balance) => report.add(
            trouble,
            format!("delivery.{name}: на счёте шлюза нет денег"),
            format!("delivery.{name}: the gateway's account has no money"),
        ),
        GatewayAnswer::Refused(reason) => report.add(
            trouble,
            format!("delivery.{name}: шлюз отказывает: {}", reason.as_str()),
            format!("delivery.{name}: the gateway refuses: {}", reason.as_str()),
        ),
        GatewayAnswer::Silent => report.add(
            trouble,
            format!("delivery.{name}: шлюз не отвечает или отвечает непонятно; проверьте delivery.{name}.url и сеть"),
            format!("delivery.{name}: no answer, or none that can be read; see to delivery.{name}.url and the network"),
        ),
    }
}
