//! Trying what the server would use: the store, the gateways' settings, ProBonus.

use std::time::Duration;

use jiff::Timestamp;

use super::{Mark, Questions, Report};
use crate::clock::{Clock, Deadline};
use crate::config::Config;
use crate::entropy::Entropy;
use crate::keys::Secrets;
use crate::model::GuestKey;
use crate::probonus::{Operation, ProBonus, UpstreamError};
use crate::store::{LedgerFound, Store};

/// One question's time.
pub(super) const TIME: Duration = Duration::from_secs(10);

/// Clocks that differ by more than this make tokens and history wrong.
const SKEW_S: i64 = 30;

/// Machines that keep their time by NTP differ by less.
const STORE_SKEW_S: i64 = 2;

pub(super) async fn store(config: &Config, clock: &Clock, entropy: &Entropy, report: &mut Report<'_>) {
    let store = match Store::open(&config.store_url).await {
        Ok(store) => store,
        Err(error) => {
            report.add(
                Mark::Bad,
                format!("store.url: хранилище не открывается ({error}); проверьте папку и права или адрес PostgreSQL"),
                format!("store.url: the store does not open ({error}); see to the folder and its rights, or PostgreSQL's address"),
            );
            return;
        }
    };
    let nobody = GuestKey(entropy.bytes());
    let now_us = clock.now_us();
    let owner = entropy.bytes::<16>();
    let written = store.claim_sign_up(nobody, &owner, now_us, now_us).await;
    let removed = store.forget_sign_up(nobody, &owner).await;
    let shared = store.is_shared();
    let secrets = Secrets::derive(&config.secret, config.secret_previous.as_ref());
    let keys = store.read_keys(secrets, entropy).await;
    store_clock(&store, clock, report).await;
    store.close().await;
    if let Ok((_, LedgerFound::Lost)) = keys {
        report.add(
            Mark::Look,
            "secret: не открывает того, что лежит в хранилище: гостям придётся войти заново, а повторы заказов партнёров станут \
             конфликтами; верните прежний секрет или впишите его в secret_previous",
            "secret: opens nothing of what the store holds: guests would have to sign in anew, and orders that partners repeat would be \
             conflicts; put the right secret back, or the one before into secret_previous",
        );
    }
    if written.is_ok() && removed.is_ok() {
        let (ru, en) = if shared {
            (
                "PostgreSQL, можно запускать несколько экземпляров",
                "PostgreSQL, several replicas may run",
            )
        } else {
            ("SQLite, один экземпляр", "SQLite, one replica")
        };
        report.add(
            Mark::Good,
            format!("хранилище: пишет, таблицы готовы ({ru})"),
            format!("store: writable, tables up to date ({en})"),
        );
    } else {
        report.add(
            Mark::Bad,
            "store.url: в хранилище нельзя писать",
            "store.url: the store cannot be written to",
        );
    }
}

/// The shared store's clock beside ours. Rows are written by the store's, so a difference harms no row.
async fn store_clock(store: &Store, clock: &Clock, report: &mut Report<'_>) {
    let Ok(Some(theirs_us)) = store.clock_us().await else {
        return;
    };
    let apart_s = (clock.now().as_microsecond() - theirs_us) / 1_000_000;
    if apart_s.abs() > STORE_SKEW_S {
        report.add(
            Mark::Look,
            format!("часы этой машины и PostgreSQL расходятся на {apart_s} с; настройте время (NTP) на обеих"),
            format!("the clocks of this machine and of PostgreSQL differ by {apart_s} s; set both (NTP)"),
        );
    }
}

/// Tries ProBonus; whether anybody answers there.
pub(super) async fn probonus(
    config: &Config,
    questions: &Questions,
    clock: &Clock,
    entropy: &Entropy,
    report: &mut Report<'_>,
) -> bool {
    if !reachable(config, clock, report).await {
        return false;
    }
    let client = ProBonus::new(
        &config.probonus,
        config.time_zone.clone(),
        clock.clone(),
        entropy.clone(),
    );
    let Ok(client) = client else {
        report.add(Mark::Bad, "TLS не настраивается", "TLS cannot be set up");
        return true;
    };
    let accepted = groups(config, &client, report).await;
    if accepted {
        super::manners::ask(config, questions, &client, report).await;
        sums(config, report);
        super::settling::ask(questions, &client, config, report).await;
    }
    super::manners::tell_sightings(&client, report);
    true
}

/// Whether anything answers at the base address; its clock against ours.
async fn reachable(config: &Config, clock: &Clock, report: &mut Report<'_>) -> bool {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    let answer = match client.timeout(TIME).build() {
        Ok(client) => client.get(config.probonus.url.clone()).send().await,
        Err(error) => Err(error),
    };
    let date = answer
        .as_ref()
        .ok()
        .and_then(|answer| answer.headers().get("date"))
        .cloned();
    if answer.is_ok() {
        report.add(Mark::Good, "probonus.url: ответ есть", "probonus.url: somebody answers");
    } else {
        report.add(
            Mark::Bad,
            "probonus.url: по этому адресу никто не отвечает; проверьте адрес, порт и сеть",
            "probonus.url: nobody answers at this address; see to the address, the port and the network",
        );
    }
    let theirs = date
        .and_then(|date| jiff::fmt::rfc2822::parse(date.to_str().ok()?).ok())
        .map(|date| date.timestamp());
    clocks(clock.now(), theirs, report);
    answer.is_ok()
}

/// Our clock by itself and, when ProBonus tells its own, beside it.
fn clocks(ours: Timestamp, theirs: Option<Timestamp>, report: &mut Report<'_>) {
    let sane = ours >= Timestamp::from_second(1_767_225_600).unwrap_or(Timestamp::MIN);
    let skew = theirs.map_or(0, |theirs| (ours.as_second() - theirs.as_second()).abs());
    if !sane {
        report.add(
            Mark::Bad,
            "часы этой машины показывают прошлое; настройте время (NTP)",
            "this machine's clock is in the past; set it (NTP)",
        );
    } else if skew > SKEW_S {
        report.add(
            Mark::Look,
            format!("часы расходятся с часами ProBonus на {skew} с; настройте время (NTP)"),
            format!("the clock differs from ProBonus' by {skew} s; set it (NTP)"),
        );
    } else {
        report.add(Mark::Good, "часы идут верно", "the clock is right");
    }
}

/// Whether the credential is accepted, and the group there with its template.
async fn groups(config: &Config, client: &ProBonus, report: &mut Report<'_>) -> bool {
    match client.account_groups(Deadline::within(TIME)).await {
        Ok(groups) => {
            report.add(Mark::Good, "ключ принят", "the credential is accepted");
            let wanted = &config.probonus.account_group_id;
            let usable: Vec<&str> = groups
                .iter()
                .filter(|group| group.have_template)
                .map(|group| group.id.as_str())
                .collect();
            let (usable_ru, usable) = match usable.join(", ") {
                none if none.is_empty() => ("ни у одной".to_owned(), "none".to_owned()),
                some => (some.clone(), some),
            };
            match groups.iter().find(|group| group.id == *wanted) {
                Some(group) if group.have_template => report.add(
                    Mark::Good,
                    format!("группа {} есть, шаблон у неё есть", wanted.as_str()),
                    format!("group {} is there and has its template", wanted.as_str()),
                ),
                Some(_) => report.add(
                    Mark::Bad,
                    format!(
                        "probonus.account_group_id: у группы {} нет шаблона; шаблон есть у: {usable_ru}",
                        wanted.as_str()
                    ),
                    format!(
                        "probonus.account_group_id: group {} has no template; these have one: {usable}",
                        wanted.as_str()
                    ),
                ),
                None => report.add(
                    Mark::Bad,
                    format!(
                        "probonus.account_group_id: группы {} нет; шаблон есть у: {usable_ru}",
                        wanted.as_str()
                    ),
                    format!(
                        "probonus.account_group_id: there is no group {}; these have a template: {usable}",
                        wanted.as_str()
                    ),
                ),
            }
            true
        }
        Err(UpstreamError::CredentialRefused) => {
            report.add(
                Mark::Bad,
                "ProBonus не принимает ключ: проверьте probonus.token (или login и password) и probonus.token_header",
                "ProBonus refuses the credential: see to probonus.token (or login and password) and probonus.token_header",
            );
            false
        }
        Err(error) => {
            report.add(
                Mark::Bad,
                why(Operation::AccountGroups, config, error, true),
                why(Operation::AccountGroups, config, error, false),
            );
            false
        }
    }
}

/// Which unit sums are read in.
fn sums(config: &Config, report: &mut Report<'_>) {
    let sums = match config.probonus.sums {
        crate::config::Sums::Kopecks => ("копейках", "kopecks"),
        crate::config::Sums::Rubles => ("рублях", "roubles"),
    };
    report.add(
        Mark::Look,
        format!(
            "суммы читаются в {}: сверьте баланс одного гостя с кассой (probonus.sums)",
            sums.0
        ),
        format!(
            "sums are read in {}: compare one guest's balance with the till (probonus.sums)",
            sums.1
        ),
    );
}

/// What `operation` suffered, in plain words.
pub(super) fn why(operation: Operation, config: &Config, error: UpstreamError, russian: bool) -> String {
    let name = operation.name();
    let configured = config.probonus.methods.get(name).cloned();
    let method = configured.unwrap_or_else(|| operation.usual_method());
    let other = if method == http::Method::GET { "POST" } else { "GET" };
    let (ru, en) = match error {
        UpstreamError::Unavailable { .. } | UpstreamError::Overloaded => (
            "нет ответа вовремя (probonus.timeout_ms)".to_owned(),
            "no answer in time (probonus.timeout_ms)".to_owned(),
        ),
        UpstreamError::CredentialRefused => ("ключ не принят".to_owned(), "the credential is refused".to_owned()),
        UpstreamError::Refused { status: 405 } => (
            format!("метод {method} не подходит; поставьте probonus.methods.{name} = \"{other}\""),
            format!("{method} does not fit; set probonus.methods.{name} = \"{other}\""),
        ),
        UpstreamError::Refused { status } => (
            format!("отказ {status}: проверьте probonus.url и probonus.phone_format"),
            format!("refused with {status}: see to probonus.url and probonus.phone_format"),
        ),
        UpstreamError::SeveralAccounts => (
            "у этого телефона несколько счетов: гость не войдёт ни в один, объедините их в ProBonus".to_owned(),
            "this phone has several accounts: its guest is shown none of them, merge them in ProBonus".to_owned(),
        ),
        UpstreamError::Invalid => (
            "ответ непонятен: по этому адресу точно ProBonus? (probonus.url)".to_owned(),
            "the answer makes no sense: is it really ProBonus at this address? (probonus.url)".to_owned(),
        ),
    };
    format!("{name}: {}", if russian { ru } else { en })
}
