//! Whether this ProBonus makes settling partners' operations possible: whether its history shows what an order is found by.

use super::probes::{TIME, why};
use super::{Mark, Questions, Report};
use crate::clock::Deadline;
use crate::config::{Config, Scope};
use crate::model::{AccountId, Transaction};
use crate::probonus::{History, Operation, ProBonus, UpstreamError};

/// Movements looked at, and checks opened among them.
const MOVEMENTS: u32 = 50;
const CHECKS: usize = 5;

/// How a kind of order fares.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Possible,
    Impossible,
    /// The account has no such movement.
    Unseen,
}

pub(super) async fn ask(questions: &Questions, client: &ProBonus, config: &Config, report: &mut Report<'_>) {
    if config.partners.is_empty() {
        return;
    }
    let account = questions.account.as_deref().and_then(|id| AccountId::parse(id).ok());
    let Some(account) = account else {
        report.add(
            Mark::Look,
            "сверка партнёрских операций: неизвестно, возможна ли; дайте --account со счётом, где есть движения",
            "settling partners' operations: not known whether it is possible; give --account with an account that has movements",
        );
        return;
    };
    match seen(client, &account).await {
        Ok((checks, refills)) => {
            let used = |scope| config.partners.values().any(|partner| partner.scopes.contains(&scope));
            if used(Scope::Checks) {
                tell(
                    report,
                    checks,
                    ("чеков", "checks"),
                    ("GUID или номера чеков", "the checks' GUIDs or numbers"),
                );
            }
            if used(Scope::Refills) {
                tell(
                    report,
                    refills,
                    ("начислений", "refills"),
                    ("комментарии движений", "the movements' comments"),
                );
            }
        }
        Err(error) => report.add(
            Mark::Look,
            format!(
                "сверка партнёрских операций: {}",
                why(Operation::Transactions, config, error, true)
            ),
            format!(
                "settling partners' operations: {}",
                why(Operation::Transactions, config, error, false)
            ),
        ),
    }
}

/// What the history of `account` says of checks and of refills.
async fn seen(client: &ProBonus, account: &AccountId) -> Result<(Verdict, Verdict), UpstreamError> {
    let history = History::Last(MOVEMENTS);
    let entries = client.transactions(account, history, Deadline::within(TIME)).await?;
    let mut checks = Verdict::Unseen;
    for id in entries.iter().filter_map(|entry| entry.check_id.as_ref()).take(CHECKS) {
        let check = client.check(id, Deadline::within(TIME)).await?;
        if check.is_some_and(|check| check.check_guid.is_some() || check.number.is_some()) {
            checks = Verdict::Possible;
            break;
        }
        checks = Verdict::Impossible;
    }
    let commented = |entry: &Transaction| entry.comment.is_some();
    let refills = match entries.is_empty() {
        true => Verdict::Unseen,
        false if entries.iter().any(commented) => Verdict::Possible,
        false => Verdict::Impossible,
    };
    Ok((checks, refills))
}

fn tell(report: &mut Report<'_>, verdict: Verdict, (ru, en): (&str, &str), (sign_ru, sign_en): (&str, &str)) {
    match verdict {
        Verdict::Possible => report.add(
            Mark::Good,
            format!("сверка {ru} партнёров возможна: видны {sign_ru}"),
            format!("settling partners' {en} is possible: {sign_en} are shown"),
        ),
        Verdict::Impossible => report.add(
            Mark::Look,
            format!("сверка {ru} партнёров невозможна: не видны {sign_ru}; неясные операции решает оператор (operations list)"),
            format!("settling partners' {en} is not possible: {sign_en} are not shown; an operator decides what is not known (operations list)"),
        ),
        Verdict::Unseen => report.add(
            Mark::Look,
            format!("сверка {ru} партнёров: на этом счёте таких движений нет; дайте --account с другим счётом"),
            format!("settling partners' {en}: this account has no such movements; give --account with another"),
        ),
    }
}
