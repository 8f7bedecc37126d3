//! How this ProBonus answers: what is around its answers, how "no such guest" and a refusal look, which routes answer, which fields are odd.
//! Only reads are tried, of a phone and an account that nobody has unless the operator names some.

use super::probes::{TIME, why};
use super::{Mark, Questions, Report};
use crate::clock::Deadline;
use crate::config::{AbsentForm, Config};
use crate::model::{AccountId, CheckId, Phone, PhonePolicy};
use crate::probonus::{Impression, Meaning, Operation, ProBonus, Question, Redirect, UpstreamError};

/// Nobody's phone and nobody's id.
const NO_PHONE: &str = "+79000000000";
const NO_ID: &str = "0";

/// Tells what was seen on the way, which explains whatever else failed.
pub(super) fn tell_sightings(client: &ProBonus, report: &mut Report<'_>) {
    match client.redirect() {
        Some(Redirect::Base(base)) => report.add(
            Mark::Bad,
            format!("ProBonus перенаправляет на другой адрес: поставьте probonus.url = \"{base}\""),
            format!("ProBonus redirects to another address: set probonus.url = \"{base}\""),
        ),
        Some(Redirect::Elsewhere(to)) => report.add(
            Mark::Bad,
            format!("ProBonus перенаправляет на {to}, а это не его API: проверьте probonus.url и ключ"),
            format!("ProBonus redirects to {to}, which is not its API: see to probonus.url and the credential"),
        ),
        None => {}
    }
    if client.has_unreadable_head() {
        report.add(
            Mark::Bad,
            "заголовки ответов ProBonus не читаются: их больше тысячи, или это не HTTP; смотрите прокси перед ним",
            "the heads of ProBonus' answers cannot be read: more than a thousand headers, or no HTTP; see to the proxy before it",
        );
    }
}

pub(super) async fn ask(config: &Config, questions: &Questions, client: &ProBonus, report: &mut Report<'_>) {
    let mut seen = Seen::default();
    let _ = seen.ask(client, Question::Groups).await;
    absent(config, client, &mut seen, report).await;
    refusal(config, client, &mut seen, report).await;
    named(config, questions, client, &mut seen, report).await;
    seen.tell(report);
}

/// What all answers have shown.
#[derive(Default)]
struct Seen {
    answering: Vec<&'static str>,
    envelopes: Vec<String>,
    odd: Vec<String>,
}

impl Seen {
    async fn ask(&mut self, client: &ProBonus, question: Question<'_>) -> Result<Impression, UpstreamError> {
        let operation = question.operation();
        let impression = client.examine(question, Deadline::within(TIME)).await?;
        if !matches!(
            impression.meaning,
            Err(UpstreamError::Invalid | UpstreamError::Unavailable { .. })
        ) {
            self.answering.push(operation.name());
        }
        let envelope = impression.envelopes.join(".");
        if !envelope.is_empty() && !self.envelopes.contains(&envelope) {
            self.envelopes.push(envelope);
        }
        for field in &impression.odd {
            let field = format!("{}.{field}", operation.name());
            if !self.odd.contains(&field) {
                self.odd.push(field);
            }
        }
        Ok(impression)
    }

    fn tell(mut self, report: &mut Report<'_>) {
        self.answering.dedup();
        let answering = self.answering.join(", ");
        report.add(
            Mark::Good,
            format!("отвечают: {answering}"),
            format!("these answer: {answering}"),
        );
        if self.envelopes.is_empty() {
            report.add(Mark::Good, "ответы без обёртки", "answers come without an envelope");
        } else {
            let envelopes = self.envelopes.join(", ");
            report.add(
                Mark::Good,
                format!("ответы в обёртке: {envelopes}"),
                format!("answers come in an envelope: {envelopes}"),
            );
        }
        if !self.odd.is_empty() {
            let odd = self.odd.join(", ");
            report.add(
                Mark::Look,
                format!("не читаются значения полей: {odd}; гости видят их пустыми (cabinet_upstream_odd_values_total)"),
                format!("values of these fields cannot be read: {odd}; guests see them empty (cabinet_upstream_odd_values_total)"),
            );
        }
    }
}

/// How it says that nobody has a phone.
async fn absent(config: &Config, client: &ProBonus, seen: &mut Seen, report: &mut Report<'_>) {
    let Some(nobody) = Phone::from_e164(NO_PHONE) else {
        return;
    };
    let operation = Operation::FindByPhone;
    match seen.ask(client, Question::Guest(&nobody)).await {
        Ok(Impression {
            meaning: Ok(Meaning::Absent),
            absent: Some(form),
            ..
        }) => report.add(
            Mark::Good,
            format!(
                "find_by_phone отвечает понятно; «такого гостя нет» выглядит так: {}",
                form.name()
            ),
            format!(
                "find_by_phone answers as expected; \"no such guest\" looks like this: {}",
                form.name()
            ),
        ),
        Ok(Impression { meaning: Ok(_), .. }) => report.add(
            Mark::Good,
            "find_by_phone отвечает понятно",
            "find_by_phone answers as expected",
        ),
        Ok(Impression {
            absent: Some(form),
            status,
            ..
        }) => {
            let setting = setting_with(config, form);
            report.add(
                Mark::Bad,
                format!("find_by_phone: на телефон без гостя ответ {status}, который может значить и «нет такого адреса» ({}); если операция там есть, поставьте {setting}", form.name()),
                format!("find_by_phone: a phone without a guest is answered with a {status} that may mean \"no such address\", too ({}); when the operation is there, set {setting}", form.name()),
            );
        }
        Ok(Impression {
            meaning: Err(error), ..
        })
        | Err(error) => report.add(
            Mark::Bad,
            why(operation, config, error, true),
            why(operation, config, error, false),
        ),
    }
}

/// The setting that believes `form`, too.
fn setting_with(config: &Config, form: AbsentForm) -> String {
    let forms = config.probonus.forms.absent.iter().copied().chain([form]);
    let names: Vec<String> = forms.map(|form| format!("\"{}\"", form.name())).collect();
    format!("probonus.absent = [{}]", names.join(", "))
}

/// How it refuses what nobody has.
async fn refusal(config: &Config, client: &ProBonus, seen: &mut Seen, report: &mut Report<'_>) {
    let (Ok(account), Ok(check)) = (AccountId::parse(NO_ID), CheckId::parse(NO_ID)) else {
        return;
    };
    for question in [
        Question::Balance(&account),
        Question::History(&account),
        Question::Check(&check),
    ] {
        let name = question.operation().name();
        match seen.ask(client, question).await {
            Ok(Impression {
                meaning: Ok(Meaning::Told),
                ..
            }) if matches!(question, Question::Balance(_)) => report.add(
                Mark::Look,
                format!("{name}: на счёт, которого нет, отвечает балансом"),
                format!("{name}: an account that does not exist is answered with a balance"),
            ),
            Ok(Impression { meaning: Ok(_), .. }) => {}
            Ok(Impression {
                meaning: Err(UpstreamError::Refused { status: told }),
                status,
                ..
            }) => report.add(
                Mark::Good,
                format!("{name}: отказ выглядит так: {}", looks(status, told, true)),
                format!("{name}: a refusal looks like this: {}", looks(status, told, false)),
            ),
            Ok(Impression {
                meaning: Err(error),
                status,
                ..
            }) => report.add(
                Mark::Look,
                format!(
                    "{name}: на то, чего нет, ответ {status}, а это не отказ ({})",
                    why(question.operation(), config, error, true)
                ),
                format!(
                    "{name}: what does not exist is answered with {status}, which is no refusal ({})",
                    why(question.operation(), config, error, false)
                ),
            ),
            Err(error) => report.add(
                Mark::Look,
                why(question.operation(), config, error, true),
                why(question.operation(), config, error, false),
            ),
        }
    }
}

fn looks(status: u16, told: u16, russian: bool) -> String {
    match (status, told, russian) {
        (200..=299, 200, true) => format!("{status}, отказ в теле"),
        (200..=299, 200, false) => format!("{status}, the refusal inside the body"),
        (200..=299, _, true) => format!("{status}, в теле {told}"),
        (200..=299, _, false) => format!("{status}, {told} inside the body"),
        _ => status.to_string(),
    }
}

/// The guest and the account that the operator names.
async fn named(config: &Config, questions: &Questions, client: &ProBonus, seen: &mut Seen, report: &mut Report<'_>) {
    let policy = PhonePolicy::default();
    let phone = questions
        .phone
        .as_deref()
        .and_then(|phone| Phone::parse(phone, &policy).ok());
    let account = questions.account.as_deref().and_then(|id| AccountId::parse(id).ok());
    let asked = [
        phone.as_ref().map(Question::Guest),
        account.as_ref().map(Question::Balance),
        account.as_ref().map(Question::History),
    ];
    for question in asked.into_iter().flatten() {
        let name = question.operation().name();
        let meaning = seen
            .ask(client, question)
            .await
            .and_then(|impression| impression.meaning);
        match meaning {
            Ok(Meaning::Told) => report.add(Mark::Good, format!("{name}: читается"), format!("{name}: is read")),
            Ok(_) => report.add(
                Mark::Look,
                format!("{name}: пусто"),
                format!("{name}: nothing is there"),
            ),
            Err(error) => report.add(
                Mark::Bad,
                why(question.operation(), config, error, true),
                why(question.operation(), config, error, false),
            ),
        }
    }
}
