//! Bad configuration stops the start with one plain line per problem, all at once, and shows no secret.

use std::process::{Command, Output};

fn serve(config: &str, environment: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("cabinet.toml");
    std::fs::write(&file, config).expect("a file");
    Command::new(env!("CARGO_BIN_EXE_guest-cabinet"))
        .args(["serve", "--config"])
        .arg(file)
        .envs(environment.iter().copied())
        .output()
        .expect("the program runs")
}

fn lines(output: &Output) -> Vec<String> {
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let text = String::from_utf8(output.stderr.clone()).expect("text");
    text.lines().map(str::to_owned).collect()
}

const SOUND: &str = r#"
secret = "a master secret for tests of enough bytes"
[store]
url = "sqlite::memory:"
[probonus]
url = "http://127.0.0.1:9"
token = "t0ps3cret"
[delivery]
gateways = ["webhook"]
[delivery.webhook]
url = "http://127.0.0.1:9/codes"
secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
"#;

#[test]
fn every_problem_is_one_line_and_all_are_told_at_once() {
    let told = lines(&serve(
        r#"
        listem = "127.0.0.1:1"
        secret = "short"
        time_zone = "Mars/Olympus"
        [probonus]
        url = "ftp://x"
        token = "t0ps3cret"
        login = "l0gin"
        [auth]
        resend_ms = -1
        [cache]
        balance_fresh = 5
        "#,
        &[],
    ));
    for (start, part) in [
        ("listem", "did you mean listen?"),
        ("secret", "at least 32 bytes"),
        ("time_zone", "IANA"),
        ("probonus.url", "http"),
        ("probonus.token", "not both"),
        ("auth.resend_ms", "whole number"),
        ("cache.balance_fresh", "did you mean cache.balance_fresh_ms?"),
        ("delivery.gateways", "missing"),
    ] {
        let found: Vec<&String> = told
            .iter()
            .filter(|line| line.starts_with(&format!("{start}: ")))
            .collect();
        assert_eq!(found.len(), 1, "{start}: {told:#?}");
        assert!(found[0].contains(part), "{}", found[0]);
    }
    assert_eq!(told.len(), 8, "{told:#?}");
    let all = told.join("\n");
    for secret in ["short\"", "t0ps3cret", "l0gin"] {
        assert!(!all.contains(secret), "{all}");
    }
}

#[test]
fn the_environment_lies_over_the_file_and_is_checked_like_it() {
    let told = lines(&serve(
        SOUND,
        &[
            ("CABINET_AUTH__LIMITS__SENDS_PER_IP_HOUR", "many"),
            ("CABINET_PROBONUS__TOKEN_FILE", "/nowhere/token"),
            ("CABINET_WEB__TRUSTED_PROXIES", "10.0.0.0/8,nonsense"),
        ],
    ));
    assert_eq!(
        told,
        [
            "probonus.token: is given twice, also by token_file: keep one",
            "auth.limits.sends_per_ip_hour: must be a whole number from 0 to 1000000000",
            "web.trusted_proxies: nonsense is not an address or network such as 10.0.0.0/8",
        ]
    );
}

#[test]
fn the_console_gateway_is_refused_outside_the_demo() {
    let told = lines(&serve(SOUND, &[("CABINET_DELIVERY__GATEWAYS", "console")]));
    assert!(
        told.iter().any(|line| line.starts_with("delivery.gateways: ")),
        "{told:#?}"
    );
}

#[test]
fn an_address_in_use_is_told_in_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let told = lines(&serve(SOUND, &[("CABINET_LISTEN", address.as_str())]));
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].starts_with("listen: cannot listen on"), "{}", told[0]);
}

#[test]
fn a_partners_key_is_hashed_as_the_configuration_wants_it() {
    let output = Command::new(env!("CARGO_BIN_EXE_guest-cabinet"))
        .args(["hash-key", "a partner's key of enough characters"])
        .output()
        .expect("the program runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(text.trim().len(), 64);
    assert!(text.trim().bytes().all(|byte| byte.is_ascii_hexdigit()));
}

#[test]
fn the_example_file_shows_only_settings_that_exist() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/cabinet.example.toml")).expect("the example");
    let folder = tempfile::tempdir().expect("a folder");
    for (name, secret) in [
        ("secret", "a master secret for tests of enough bytes"),
        ("secret-previous", "another master secret of enough bytes"),
        ("probonus-token", "a token"),
        ("smsru", "an id"),
        ("smsc", "a key"),
        ("smsc-path", "an unguessable path"),
        ("smsc-secret", "a secret"),
        ("telegram", "a token"),
        ("webhook", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="),
        ("webhook-reports", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="),
        (
            "webhook-reports-previous",
            "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        ),
    ] {
        std::fs::write(folder.path().join(name), secret).expect("a secret's file");
    }
    let uncommented: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => format!("{setting}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let uncommented = uncommented.replace("/etc/guest-cabinet", &folder.path().display().to_string());
    let mut sources = guest_cabinet::config::read_sources(None, std::iter::empty());
    sources.tree = uncommented.parse().expect("the example is TOML");
    if let Err(problems) = guest_cabinet::config::Config::read(sources, false) {
        panic!("{problems}");
    }
}
