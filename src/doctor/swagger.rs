//! What the vendor's own Swagger says of our assumptions: paths, methods, names of arguments, the header of the token.

use std::time::Duration;

use serde_json::Value;

use super::{Mark, Report};
use crate::config::{Config, CredentialConfig};
use crate::probonus::Operation;

/// Where servers usually keep it.
const PLACES: [&str; 6] = [
    "swagger/v0/swagger.json",
    "swagger/v1/swagger.json",
    "swagger/docs/v1",
    "swagger.json",
    "openapi.json",
    "api/v0/swagger.json",
];

/// The longest document that is read, in bytes.
const MOST: usize = 8 * 1024 * 1024;

pub(super) async fn compare(config: &Config, given: Option<&str>, report: &mut Report<'_>) {
    let Some(document) = find(config, given).await else {
        if given.is_some() {
            report.add(
                Mark::Bad,
                "--swagger: документ не читается",
                "--swagger: the document cannot be read",
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

async fn find(config: &Config, given: Option<&str>) -> Option<Value> {
    if let Some(given) = given
        && !given.starts_with("http")
    {
        let text = std::fs::read(given).ok().filter(|text| text.len() <= MOST)?;
        return document(&text);
    }
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(5))
        .build()
        .ok()?;
    let mut base = config.probonus.url.clone();
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    let addresses: Vec<url::Url> = match given {
        Some(given) => vec![given.parse().ok()?],
        None => PLACES.iter().filter_map(|place| base.join(place).ok()).collect(),
    };
    for address in addresses {
        let Ok(answer) = client.get(address).send().await else {
            continue;
        };
        if !answer.status().is_success() || answer.content_length().is_some_and(|length| length > MOST as u64) {
            continue;
        }
        if let Some(found) = answer.bytes().await.ok().and_then(|text| document(&text)) {
            return Some(found);
        }
    }
    None
}

/// A Swagger or OpenAPI document, and nothing else that happens to be JSON.
fn document(text: &[u8]) -> Option<Value> {
    let value: Value = serde_json::from_slice(text).ok()?;
    (value.get("paths")?.is_object() && (value.get("openapi").is_some() || value.get("swagger").is_some()))
        .then_some(value)
}

fn one(config: &Config, document: &Value, operation: Operation, report: &mut Report<'_>) {
    let name = operation.name();
    let wanted = format!("/{}", operation.path());
    let paths = document["paths"].as_object();
    let found = paths.and_then(|paths| {
        let same = |path: &str| path.trim_end_matches('/').to_ascii_lowercase().ends_with(&wanted);
        paths.iter().find(|(path, _)| same(path))
    });
    let Some((_, item)) = found else {
        report.add(
            Mark::Look,
            format!("{name}: пути {wanted} нет в Swagger; проверьте probonus.url (нет ли в нём лишнего пути)"),
            format!("{name}: the Swagger has no path {wanted}; see whether probonus.url has a path too many"),
        );
        return;
    };
    let method = config.probonus.methods.get(name).cloned();
    let method = method.unwrap_or_else(|| operation.usual_method());
    let lower = method.as_str().to_ascii_lowercase();
    let Some(described) = item.get(&lower) else {
        let other = if lower == "get" { "POST" } else { "GET" };
        report.add(
            Mark::Bad,
            format!("{name}: метода {method} нет в Swagger; поставьте probonus.methods.{name} = \"{other}\""),
            format!("{name}: the Swagger has no {method}; set probonus.methods.{name} = \"{other}\""),
        );
        return;
    };
    let known = names(document, described);
    let missing: Vec<&str> = operation
        .arguments()
        .iter()
        .copied()
        .filter(|argument| !known.iter().any(|name| name.eq_ignore_ascii_case(argument)))
        .collect();
    if missing.is_empty() {
        report.add(Mark::Good, format!("{name}: совпадает"), format!("{name}: confirmed"));
    } else {
        let list = missing.join(", ");
        report.add(
            Mark::Look,
            format!("{name}: в Swagger нет аргументов {list}; эта настройка пока не меняется, сообщите нам"),
            format!(
                "{name}: the Swagger does not know the arguments {list}; no setting changes that yet, please tell us"
            ),
        );
    }
}

/// Names of an operation's parameters and of its body's members.
fn names(document: &Value, described: &Value) -> Vec<String> {
    let mut names = Vec::new();
    for parameter in described["parameters"].as_array().into_iter().flatten() {
        let parameter = resolved(document, parameter);
        names.extend(parameter["name"].as_str().map(str::to_owned));
        members(document, &parameter["schema"], &mut names);
    }
    for content in described["requestBody"]["content"].as_object().into_iter().flatten() {
        members(document, &content.1["schema"], &mut names);
    }
    names
}

fn members(document: &Value, schema: &Value, names: &mut Vec<String>) {
    let schema = resolved(document, schema);
    for part in schema["allOf"].as_array().into_iter().flatten() {
        let part = resolved(document, part);
        names.extend(
            part["properties"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, _)| name.clone()),
        );
    }
    names.extend(
        schema["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone()),
    );
}

/// What a `$ref` of the same document points at.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let target = value["$ref"].as_str().and_then(|path| path.strip_prefix('#'));
    target.and_then(|path| document.pointer(path)).unwrap_or(value)
}

/// The header that carries the token, when the Swagger names one.
fn header(config: &Config, document: &Value, report: &mut Report<'_>) {
    let schemes = document
        .pointer("/components/securitySchemes")
        .or_else(|| document.get("securityDefinitions"));
    let named = schemes.and_then(Value::as_object).and_then(|schemes| {
        let keys = schemes
            .values()
            .filter(|scheme| scheme["type"] == "apiKey" && scheme["in"] == "header");
        keys.filter_map(|scheme| scheme["name"].as_str())
            .find(|name| !name.eq_ignore_ascii_case("authorization"))
    });
    let Some(named) = named else { return };
    let configured = config.probonus.token_header.as_ref().map(http::HeaderName::as_str);
    if configured.is_some_and(|configured| configured.eq_ignore_ascii_case(named)) {
        report.add(
            Mark::Good,
            format!("ключ идёт в заголовке {named}"),
            format!("the token goes in the header {named}"),
        );
    } else if matches!(config.probonus.credential, CredentialConfig::Token(_)) {
        report.add(
            Mark::Look,
            format!("Swagger называет заголовок {named} для ключа; если ключ не принят, поставьте probonus.token_header = \"{named}\""),
            format!("the Swagger names the header {named} for the token; if it is refused, set probonus.token_header = \"{named}\""),
        );
    }
}
