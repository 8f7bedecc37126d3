//! The doctor says in plain words whether serving makes sense, and which setting would change what is wrong.

use guest_cabinet::clock::Clock;
use guest_cabinet::config::{Config, ConfigError, read_sources};
use guest_cabinet::doctor::{Line, Mark, Questions, examine};
use guest_cabinet::entropy::Entropy;
use reqwest::Method;
use serde_json::json;

use crate::support::cabinet::send;
use crate::support::{Emulator, Mood, ProBonus, StandIn, TestCabinet, TestStore, courier, sqlite, stand_in};

const TOKEN: &str = "sandbox-token";

fn config(probonus: &ProBonus, store: &TestStore, more: &str) -> Result<Config, ConfigError> {
    let text = format!(
        "secret = \"a master secret for tests of enough bytes\"\n[store]\nurl = \"{}\"\n[delivery]\ngateways = [\"webhook\"]\n\
         [delivery.webhook]\nurl = \"http://127.0.0.1:9/codes\"\nsecret = \"{}\"\n[probonus]\nurl = \"{}\"\ntoken = \"{TOKEN}\"\n{more}",
        store.url,
        crate::support::receiver::SECRET,
        probonus.sandbox.url(),
    );
    let mut sources = read_sources(None, std::iter::empty());
    sources.tree = text.parse().expect("TOML");
    Config::read(sources, false)
}

async fn examined(config: Result<Config, ConfigError>, russian: bool) -> (bool, Vec<Line>) {
    let mut lines = Vec::new();
    let questions = Questions {
        russian,
        ..Questions::default()
    };
    let sense = examine(config, &questions, Clock::system(), Entropy::system(), &mut |line| {
        lines.push(line.clone());
    })
    .await;
    let all = lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for secret in [TOKEN, "master secret", "whsec_"] {
        assert!(!all.contains(secret), "{all}");
    }
    (sense, lines)
}

fn says(lines: &[Line], mark: Mark, part: &str) -> bool {
    lines.iter().any(|line| line.mark == mark && line.text.contains(part))
}

#[tokio::test]
async fn a_sound_installation_makes_sense() {
    let probonus = ProBonus::start(&Clock::system()).await;
    let store = sqlite();
    for russian in [true, false] {
        let (sense, lines) = examined(config(&probonus, &store, ""), russian).await;
        assert!(sense, "{lines:#?}");
        let confirmed = if russian { "совпадает" } else { "confirmed" };
        let count = lines.iter().filter(|line| line.text.contains(confirmed)).count();
        assert_eq!(
            count, 9,
            "the sandbox' own description confirms each assumption: {lines:#?}"
        );
    }
}

#[tokio::test]
async fn each_wrong_setting_is_named() {
    let probonus = ProBonus::start(&Clock::system()).await;
    let store = sqlite();
    for (more, part) in [
        (
            "account_group_id = \"1\"",
            "probonus.account_group_id: group 1 has no template; these have one: 3",
        ),
        ("account_group_id = \"77\"", "there is no group 77"),
        (
            "[probonus.methods]\nfind_by_phone = \"POST\"",
            "set probonus.methods.find_by_phone = \"GET\"",
        ),
        ("listem = 5", "probonus.listem: is not a setting"),
    ] {
        let (sense, lines) = examined(config(&probonus, &store, more), false).await;
        assert!(!sense && says(&lines, Mark::Bad, part), "{part} {lines:#?}");
    }
    probonus
        .control(Method::PUT, "/credential", json!({ "revoked": true }))
        .await;
    let (sense, lines) = examined(config(&probonus, &store, ""), false).await;
    assert!(
        !sense && says(&lines, Mark::Bad, "refuses the credential"),
        "{lines:#?}"
    );
    probonus.heal().await;
    probonus.fault(json!({ "kind": "html" })).await;
    let (sense, lines) = examined(config(&probonus, &store, ""), false).await;
    assert!(!sense && says(&lines, Mark::Bad, "is it really ProBonus"), "{lines:#?}");
    let mut nowhere = config(&probonus, &store, "").expect("sound");
    nowhere.probonus.url = "http://127.0.0.1:9/".parse().expect("an address");
    let (sense, lines) = examined(Ok(nowhere), false).await;
    assert!(!sense && says(&lines, Mark::Bad, "nobody answers"), "{lines:#?}");
    let mut unwritable = config(&probonus, &store, "").expect("sound");
    unwritable.store_url = "sqlite:///nowhere/state.db".into();
    let (sense, lines) = examined(Ok(unwritable), false).await;
    assert!(!sense && says(&lines, Mark::Bad, "store.url"), "{lines:#?}");
}

#[tokio::test]
async fn gateways_are_asked_for_their_balance_and_one_that_works_is_enough() {
    let probonus = ProBonus::start(&Clock::system()).await;
    let (smsru, smsc, telegram) = tokio::join!(Emulator::smsru(), Emulator::smsc(), Emulator::telegram());
    let through = |gateways: &[&str]| {
        let store = sqlite();
        let mut sources = read_sources(None, std::iter::empty());
        sources.tree = format!(
            "secret = \"a master secret for tests of enough bytes\"\nstore.url = \"{}\"\nprobonus.url = \"{}\"\n\
             probonus.token = \"{TOKEN}\"\n[delivery]\n{}",
            store.url,
            probonus.sandbox.url(),
            courier::settings(&smsru, &smsc, &telegram),
        )
        .parse()
        .expect("TOML");
        sources.tree["delivery"]["gateways"] = toml::Value::from(gateways.to_vec());
        (Config::read(sources, false), store)
    };
    let (sound, _folder) = through(&["smsru", "smsc"]);
    let (sense, lines) = examined(sound, false).await;
    assert!(
        sense
            && says(
                &lines,
                Mark::Good,
                "smsru: the credential is accepted, the balance is 4122.56"
            )
    );
    smsru.is(Mood::Says(200, json!({ "status": "ERROR", "status_code": 300 })));
    let (one_left, _folder) = through(&["smsru", "smsc"]);
    let (sense, lines) = examined(one_left, false).await;
    assert!(sense && says(&lines, Mark::Look, "delivery.smsru: the gateway refuses the credential"));
    let (none_left, _folder) = through(&["smsru"]);
    let (sense, lines) = examined(none_left, true).await;
    assert!(!sense && says(&lines, Mark::Bad, "delivery.smsru: шлюз не принимает ключ"));
    assert!(smsru.calls("/sms/send").is_empty());
}

/// What the doctor says of a stand-in, asked about Anna and her account.
async fn of_stand_in(probonus: &StandIn, more: &str) -> (bool, Vec<Line>) {
    let sandbox = ProBonus::start(&Clock::system()).await;
    let store = sqlite();
    let mut config = config(&sandbox, &store, more).expect("sound");
    config.probonus.url = probonus.url.parse().expect("an address");
    let questions = Questions {
        account: Some("5012".into()),
        phone: Some("+7 916 000-00-01".into()),
        ..Questions::default()
    };
    let mut lines = Vec::new();
    let mut tell = |line: &Line| lines.push(line.clone());
    let sense = Box::pin(examine(
        Ok(config),
        &questions,
        Clock::system(),
        Entropy::system(),
        &mut tell,
    ))
    .await;
    assert!(lines.iter().all(|line| !line.text.contains("9160000001")), "{lines:#?}");
    (sense, lines)
}

#[tokio::test]
async fn how_this_probonus_answers_is_told() {
    let probonus = StandIn::start().await;
    let mut account = stand_in::account();
    account["gender"] = json!(true);
    account["coupons"] = json!([null]);
    probonus.says(
        "find_by_phone",
        200,
        &json!({ "success": true, "data": { "items": [account] } }),
    );
    probonus.says(
        "get_by_id",
        200,
        &json!({ "success": false, "message": "Чек не найден" }),
    );
    let (sense, lines) = of_stand_in(&probonus, "").await;
    // A phone that nobody has is answered with Anna's account, which says whose it is.
    for (mark, part) in [
        (Mark::Good, "these answer: account_groups"),
        (Mark::Good, "answers come in an envelope: data.items"),
        (
            Mark::Good,
            "get_by_id: a refusal looks like this: 200, the refusal inside the body",
        ),
        (Mark::Look, "an account that does not exist is answered with a balance"),
        (Mark::Look, "find_by_phone.coupons, find_by_phone.gender"),
        (Mark::Good, "find_by_phone: is read"),
        (Mark::Good, "transactions: is read"),
    ] {
        assert!(says(&lines, mark, part), "{part} {lines:#?}");
    }
    assert!(!sense, "{lines:#?}");
    probonus.says("find_by_phone", 200, &json!([stand_in::account(), { "id": 5013 }]));
    let (_, lines) = of_stand_in(&probonus, "").await;
    assert!(says(&lines, Mark::Bad, "this phone has several accounts"), "{lines:#?}");
}

#[tokio::test]
async fn an_unsure_form_of_absence_is_told_with_the_setting_that_believes_it() {
    let probonus = StandIn::start().await;
    for (status, body, form) in [
        (404, "", "not_found_empty"),
        (404, "<html>404</html>", "not_found_page"),
        (200, "{\"success\":false}", "refusal"),
    ] {
        probonus.sends("find_by_phone", status, &[], body);
        let (sense, lines) = of_stand_in(&probonus, "").await;
        let setting = format!(
            "set probonus.absent = [\"not_found\", \"no_content\", \"empty\", \"null\", \"object\", \"array\", \"{form}\"]"
        );
        assert!(!sense && says(&lines, Mark::Bad, &setting), "{lines:#?}");
        let (_, lines) = of_stand_in(&probonus, &format!("absent = [\"{form}\"]")).await;
        let looks = format!("\"no such guest\" looks like this: {form}");
        assert!(says(&lines, Mark::Good, &looks), "{lines:#?}");
    }
}

#[tokio::test]
async fn redirects_and_heads_that_cannot_be_read_are_named() {
    let probonus = StandIn::start().await;
    let location = "https://probonus.example.ru/bonus/api/v0/account_groups/list?x=79160000001";
    probonus.sends("list", 301, &[("location", location)], "");
    let (sense, lines) = of_stand_in(&probonus, "").await;
    assert!(
        !sense
            && says(
                &lines,
                Mark::Bad,
                "set probonus.url = \"https://probonus.example.ru/bonus\""
            ),
        "{lines:#?}"
    );
    probonus.sends("list", 302, &[("location", "/Account/Login?ReturnUrl=%2F")], "");
    let (_, lines) = of_stand_in(&probonus, "").await;
    assert!(
        says(&lines, Mark::Bad, "/Account/Login, which is not its API"),
        "{lines:#?}"
    );
    let many: Vec<(String, String)> = (0..1500).map(|number| (format!("x-{number}"), "1".into())).collect();
    let many: Vec<(&str, &str)> = many
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    probonus.sends("list", 200, &many, "[]");
    let (_, lines) = of_stand_in(&probonus, "").await;
    assert!(says(&lines, Mark::Bad, "more than a thousand headers"), "{lines:#?}");
}

/// A document as a vendor's server gives it, with methods, names, types and a header of its own.
fn otherwise() -> serde_json::Value {
    let get = |arguments: &[&str]| {
        let named = |name: &&str| json!({ "name": name, "in": "query", "type": "string" });
        json!({ "get": { "parameters": arguments.iter().map(named).collect::<Vec<_>>(), "responses": {} } })
    };
    let found =
        json!({ "parameters": [{ "name": "phone", "in": "query", "x-example": "+79160000001" }], "responses": {} });
    let mut balance = get(&["accountId"]);
    balance["get"]["responses"]["200"]["schema"] =
        json!({ "properties": { "balance": { "type": "number" }, "burned": {} } });
    json!({
        "swagger": "2.0", "basePath": "/api/v0",
        "securityDefinitions": { "key": { "type": "apiKey", "in": "header", "name": "X-Api-Key" } },
        "paths": {
            "/account_groups/list": get(&[]),
            "/accounts/find_by_phone": { "post": found, "get": found },
            "/accounts/transactions": { "post": {} },
            "/checks/get_by_id": get(&["checkId"]),
            "/accounts/get_balance_extended": balance,
        },
    })
}

#[tokio::test]
async fn each_assumption_that_the_vendors_document_contradicts_is_named_with_its_setting() {
    let probonus = ProBonus::start(&Clock::system()).await;
    let store = sqlite();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("swagger.json");
    std::fs::write(&file, otherwise().to_string()).expect("a file");
    let questions = Questions {
        swagger: Some(file.display().to_string()),
        ..Questions::default()
    };
    let mut lines = Vec::new();
    let mut tell = |line: &Line| lines.push(line.clone());
    let config = config(&probonus, &store, "");
    let sense = examine(config, &questions, Clock::system(), Entropy::system(), &mut tell).await;
    assert!(!sense, "{lines:#?}");
    for (mark, part) in [
        (Mark::Good, "account_groups: confirmed"),
        (Mark::Good, "find_by_phone: confirmed"),
        (Mark::Bad, "set probonus.methods.transactions = \"POST\""),
        (Mark::Look, "get_by_id: the Swagger does not know the names id"),
        (
            Mark::Look,
            "get_balance_extended: the Swagger does not know the names details",
        ),
        (Mark::Look, "set probonus.sums = \"rubles\""),
        (Mark::Look, "set probonus.phone_format = \"e164\""),
        (Mark::Look, "set probonus.token_header = \"X-Api-Key\""),
        (Mark::Look, "refill: the Swagger has no path /api/v0/accounts/refill"),
        (Mark::Look, "delivery.webhook.url: the receiver cannot be reached"),
    ] {
        assert!(says(&lines, mark, part), "{part} {lines:#?}");
    }
}

#[tokio::test]
async fn an_address_that_is_taken_or_open_to_everyone_is_told() {
    let probonus = ProBonus::start(&Clock::system()).await;
    let store = sqlite();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address");
    let mut sound = config(&probonus, &store, "").expect("sound settings");
    sound.listen = address;
    sound.admin_listen = "0.0.0.0:0".parse().expect("an address");
    let (sense, lines) = examined(Ok(sound), false).await;
    assert!(sense, "{lines:#?}");
    assert!(
        says(&lines, Mark::Look, &format!("listen: {address} is in use")),
        "{lines:#?}"
    );
    assert!(
        says(&lines, Mark::Look, "admin_listen: health and metrics are open"),
        "{lines:#?}"
    );

    let mut elsewhere = config(&probonus, &store, "").expect("sound settings");
    elsewhere.listen = "203.0.113.7:8080".parse().expect("an address");
    let (sense, lines) = examined(Ok(elsewhere), false).await;
    assert!(!sense);
    assert!(
        says(&lines, Mark::Bad, "listen: 203.0.113.7:8080 cannot be listened on"),
        "{lines:#?}"
    );
}

#[tokio::test]
async fn files_with_secrets_that_everybody_can_read_are_named() {
    use std::os::unix::fs::PermissionsExt;

    let probonus = ProBonus::start(&Clock::system()).await;
    let store = sqlite();
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    std::fs::write(&token, format!("{TOKEN}\n")).expect("a file");
    for (mode, exposed) in [(0o644, true), (0o640, false), (0o600, false)] {
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(mode)).expect("a mode");
        let mut sound = config(&probonus, &store, "").expect("sound");
        sound.secret_files = vec![token.clone()];
        let (sense, lines) = examined(Ok(sound), false).await;
        let told = format!(
            "{}: holds secrets, and everybody on this machine can read it",
            token.display()
        );
        assert_eq!(says(&lines, Mark::Look, &told), exposed, "{lines:#?}");
        assert!(sense);
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_named_is_told_by_the_settings_and_by_what_the_running_cabinet_has_seen() {
    let clock = Clock::system();
    let probonus = ProBonus::start(&clock).await;
    let store = sqlite();
    let (url, token) = (probonus.sandbox.url(), probonus.sandbox.token().to_owned());
    let cabinet = TestCabinet::start(&url, &token, &sqlite().url, clock, "").await;
    let admin: url::Url = cabinet.running.admin_url().parse().expect("an address");
    let address = format!("127.0.0.1:{}", admin.port().expect("a port"));
    let examined = async |root: &str, proxies: &str| {
        let mut config = config(&probonus, &store, proxies).expect("sound");
        config.admin_listen = address.parse().expect("an address");
        config.public_url = root.parse().expect("an address");
        examined(Ok(config), false).await.1
    };
    let (https, http) = ("https://lk.example.ru", "http://127.0.0.1:8080");
    assert!(!says(&examined(http, "").await, Mark::Look, "trusted_proxies"));
    assert!(says(
        &examined(https, "").await,
        Mark::Look,
        "web.trusted_proxies: empty"
    ));
    let named = "[web]\ntrusted_proxies = [\"10.0.0.0/8\"]";
    assert!(!says(&examined(https, named).await, Mark::Look, "trusted_proxies"));
    for _ in 0..3 {
        let request = cabinet.request(Method::GET, "/api/v1/program");
        send(request.header("x-forwarded-for", "192.0.2.1")).await;
    }
    assert!(says(&examined(https, named).await, Mark::Look, "has got 3 requests"));
}
