//! What the vendor's own Swagger says of our assumptions: paths, methods, names of arguments and answers, the unit of sums, the spelling of
//! phones, the header of the token.

mod document;

use std::time::Duration;

use self::document::{Described, Document};
use super::{Mark, Report};
use crate::config::{Config, CredentialConfig, PhoneFormat, Sums};
use crate::probonus::Operation;

/// Where servers usually keep it.
const PLACES: [&str; 14] = [
    "swagger/v0/swagger.json",
    "swagger/v1/swagger.json",
    "swagger/docs/v0",
    "swagger/docs/v1",
    "swagger/swagger.json",
    "swagger.json",
    "openapi.json",
    "openapi/v1.json",
    "api/v0/swagger.json",
    "api/v0/openapi.json",
    "api/swagger.json",
    "v2/api-docs",
    "v3/api-docs",
    "docs/swagger.json",
];

/// The longest document that is read, in bytes.
const MOST: usize = 8 * 1024 * 1024;

/// Compares what is assumed with the document: the one that is given, or, when somebody answers there, one at the usual places.
pub(super) async fn compare(config: &Config, given: Option<&str>, answers: bool, report: &mut Report<'_>) {
    let found = match given {
        Some(given) => named(given).await,
        None if answers => searched(config).await,
        None => None,
    };
    let Some(document) = found else {
        if given.is_some() {
            report.add(
                Mark::Bad,
                "--swagger: документ не читается; нужен Swagger 2.0 или OpenAPI 3 в JSON",
                "--swagger: the document cannot be read; it must be Swagger 2.0 or OpenAPI 3 in JSON",
            );
        } else {
            report.add(
                Mark::Look,
                "Swagger производителя не найден; если он у вас есть, дайте --swagger ФАЙЛ: предположения сверятся с ним",
                "the vendor's Swagger was not found; if you have it, give --swagger FILE and the assumptions are compared with it",
            );
        }
        return;
    };
    report.add(
        Mark::Good,
        "Swagger производителя найден",
        "the vendor's Swagger was found",
    );
    for operation in Operation::ALL {
        if matches!(config.probonus.credential, CredentialConfig::Token(_))
            && matches!(operation, Operation::Login | Operation::RefreshToken)
        {
            continue;
        }
        one(config, &document, operation, report);
    }
    header(config, &document, report);
}

fn client() -> Option<reqwest::Client> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    client.timeout(Duration::from_secs(5)).build().ok()
}

async fn named(given: &str) -> Option<Document> {
    if !given.starts_with("http://") && !given.starts_with("https://") {
        let text = std::fs::read(given).ok().filter(|text| text.len() <= MOST)?;
        return Document::parse(&text);
    }
    fetched(&client()?, given.parse().ok()?).await
}

/// Beside the base address, and at the root of its server.
async fn searched(config: &Config) -> Option<Document> {
    let client = client()?;
    let mut base = config.probonus.url.clone();
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    let root = base.join("/").ok().filter(|root| *root != base);
    for base in [Some(base), root].into_iter().flatten() {
        for place in PLACES {
            let Ok(address) = base.join(place) else { continue };
            if let Some(found) = fetched(&client, address).await {
                return Some(found);
            }
        }
    }
    None
}

async fn fetched(client: &reqwest::Client, address: url::Url) -> Option<Document> {
    let mut answer = client.get(address).send().await.ok()?;
    if !answer.status().is_success() {
        return None;
    }
    let mut text = Vec::new();
    while let Some(piece) = answer.chunk().await.ok()? {
        text.extend_from_slice(&piece);
        if text.len() > MOST {
            return None;
        }
    }
    Document::parse(&text)
}

fn one(config: &Config, document: &Document, operation: Operation, report: &mut Report<'_>) {
    let name = operation.name();
    let Some(item) = document.path(operation.path()) else {
        let wanted = operation.path();
        report.add(
            Mark::Look,
            format!("{name}: пути /{wanted} нет в Swagger; проверьте probonus.url (нет ли в нём лишнего пути)"),
            format!("{name}: the Swagger has no path /{wanted}; see whether probonus.url has a path too many"),
        );
        return;
    };
    let configured = config.probonus.methods.get(name).cloned();
    let method = configured.unwrap_or_else(|| operation.usual_method());
    let Some(described) = document.operation(item, method.as_str()) else {
        let other = if method == http::Method::GET { "POST" } else { "GET" };
        if document.operation(item, other).is_some() {
            report.add(
                Mark::Bad,
                format!("{name}: метода {method} нет в Swagger; поставьте probonus.methods.{name} = \"{other}\""),
                format!("{name}: the Swagger has no {method}; set probonus.methods.{name} = \"{other}\""),
            );
        } else {
            report.add(
                Mark::Bad,
                format!("{name}: в Swagger нет ни GET, ни POST; такой вызов пока не настраивается, сообщите нам"),
                format!("{name}: the Swagger has neither GET nor POST; no setting changes that yet, please tell us"),
            );
        }
        return;
    };
    let unknown = unknown(operation, &described);
    if unknown.is_empty() {
        report.add(Mark::Good, format!("{name}: совпадает"), format!("{name}: confirmed"));
    } else {
        let list = unknown.join(", ");
        report.add(
            Mark::Look,
            format!("{name}: в Swagger нет имён {list}; эта настройка пока не меняется, сообщите нам"),
            format!("{name}: the Swagger does not know the names {list}; no setting changes that yet, please tell us"),
        );
    }
    match operation {
        Operation::FindByPhone => phones(config, &described, report),
        Operation::Balance => sums(config, &described, report),
        _ => {}
    }
}

/// Arguments we send and members we read that the document does not name. What it does not describe at all is not held against it.
fn unknown(operation: Operation, described: &Described<'_>) -> Vec<&'static str> {
    let arguments = described.arguments();
    let sent = operation.arguments().iter().copied();
    let sent = sent.filter(|name| !arguments.keys().any(|known| known.eq_ignore_ascii_case(name)));
    let answer = described.answer();
    let read = operation.answer().iter().filter(|spellings| {
        let known = |spelling: &&str| answer.keys().any(|known| known.eq_ignore_ascii_case(spelling));
        !answer.is_empty() && !spellings.iter().any(known)
    });
    sent.chain(read.map(|spellings| spellings[0])).collect()
}

/// The spelling of phones, when the document gives an example.
fn phones(config: &Config, described: &Described<'_>, report: &mut Report<'_>) {
    let arguments = described.arguments();
    let Some(phone) = arguments.get("phone") else { return };
    let examples = [&phone["example"], &phone["x-example"], &phone["schema"]["example"]];
    let Some(example) = examples.into_iter().find(|example| !example.is_null()) else {
        return;
    };
    let example = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
    let (format, word) = match example.trim().as_bytes().first() {
        Some(b'+') => (PhoneFormat::E164, "e164"),
        Some(b'8') => (PhoneFormat::National, "national"),
        Some(b'7') => (PhoneFormat::Digits, "digits"),
        _ => return,
    };
    if format == config.probonus.phone_format {
        report.add(
            Mark::Good,
            "телефоны пишутся так, как в примере Swagger",
            "phones are spelled as in the Swagger's example",
        );
    } else {
        report.add(
            Mark::Look,
            format!("телефоны в примере Swagger пишутся иначе; поставьте probonus.phone_format = \"{word}\""),
            format!("the Swagger's example spells phones otherwise; set probonus.phone_format = \"{word}\""),
        );
    }
}

/// The unit of sums: whole numbers look like kopecks, broken ones like roubles.
fn sums(config: &Config, described: &Described<'_>, report: &mut Report<'_>) {
    let answer = described.answer();
    let kind = answer.get("balance").and_then(|balance| balance["type"].as_str());
    let word = match (kind, config.probonus.sums) {
        (Some("number"), Sums::Kopecks) => "rubles",
        (Some("integer"), Sums::Rubles) => "kopecks",
        _ => return,
    };
    report.add(
        Mark::Look,
        format!("тип сумм в Swagger похож на другую единицу; если баланс неверен в 100 раз, поставьте probonus.sums = \"{word}\""),
        format!("the Swagger's type of sums looks like another unit; if a balance is wrong by 100, set probonus.sums = \"{word}\""),
    );
}

/// The header that carries the token, when the Swagger names one.
fn header(config: &Config, document: &Document, report: &mut Report<'_>) {
    let named = document.token_headers();
    let configured = config.probonus.token_header.as_ref();
    let used = configured.map_or("Authorization", http::HeaderName::as_str);
    let by_token = matches!(config.probonus.credential, CredentialConfig::Token(_));
    if !by_token || named.is_empty() {
        return;
    }
    if let Some(known) = named.iter().find(|named| named.eq_ignore_ascii_case(used)) {
        report.add(
            Mark::Good,
            format!("ключ идёт в заголовке {known}"),
            format!("the token goes in the header {known}"),
        );
    }
    match named.iter().find(|named| !named.eq_ignore_ascii_case("authorization")) {
        Some(other) if !other.eq_ignore_ascii_case(used) => report.add(
            Mark::Look,
            format!("Swagger называет заголовок {other} для ключа; если ключ не принят, поставьте probonus.token_header = \"{other}\""),
            format!("the Swagger names the header {other} for the token; if it is refused, set probonus.token_header = \"{other}\""),
        ),
        None if configured.is_some() => report.add(
            Mark::Look,
            "Swagger называет для ключа только Authorization; если ключ не принят, уберите probonus.token_header",
            "the Swagger names Authorization alone for the token; if it is refused, take probonus.token_header away",
        ),
        _ => {}
    }
}
