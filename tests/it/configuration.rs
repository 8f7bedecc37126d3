//! Bad configuration stops the start with one plain line per problem, all at once, and shows no secret.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use guest_cabinet::app;
use guest_cabinet::clock::Clock;
use guest_cabinet::config::{Config, ConfigError, Scope, read_sources};
use guest_cabinet::entropy::Entropy;

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

/// What a file and variables make of it, in this process.
fn read(file: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cabinet.toml");
    std::fs::write(&path, file).expect("a file");
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::read(read_sources(Some(&path), environment), false)
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
fn each_gateway_says_what_is_wrong_with_its_settings() {
    let told = lines(&serve(
        r#"
        secret = "a master secret for tests of enough bytes"
        [store]
        url = "sqlite::memory:"
        [probonus]
        url = "http://127.0.0.1:9"
        token = "t0ps3cret"
        [delivery]
        gateways = ["smsru", "smsc", "telegram", "webhook"]
        android_hash = "eleven char"
        brand = "two\nlines"
        [delivery.smsru]
        api_id = "an id"
        url = "https://user:pa55w0rd@sms.ru/?json=1"
        [delivery.smsc]
        api_key = "a key"
        login = "l0gin"
        callback_path = "un/guessable"
        [delivery.telegram]
        token = "two words"
        [delivery.webhook]
        url = "https://codes.example.ru"
        secret = "whsec_n0t+base64"
        report_secret = "whsec_"
        report_secret_previous = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"
        [[auth.test_phones]]
        phone = "+79160000077"
        code = "246810"
        valid_until = "2026-11-21"
        [[auth.test_phones]]
        phone = "8 916 000-00-77"
        code = "135791"
        valid_until = "2026-11-21"
        "#,
        &[],
    ));
    let mut expected = [
        "delivery.android_hash: must have 11 characters, each a letter, a digit, + or /",
        "delivery.brand: must be one line",
        "delivery.smsru.url: must end with a host or a path, and hold no credentials",
        "delivery.smsc.api_key: is missing: give api_key, or login and password, not both",
        "delivery.smsc.callback_path: goes together with callback_secret: give both, or neither for no reports",
        "delivery.smsc.callback_path: must hold no / ? #: it is one part of an address",
        "delivery.telegram.token: must be one word of Latin letters, digits and signs",
        "delivery.webhook.secret: must be whsec_ and bytes in base64",
        "delivery.webhook.report_secret: must be whsec_ and bytes in base64",
        "delivery.webhook.report_secret_previous: must be whsec_ and bytes in base64",
        "auth.test_phones: +7 916 ***-**-77 stands there twice",
    ];
    let mut told: Vec<&str> = told.iter().map(String::as_str).collect();
    told.sort_unstable();
    expected.sort_unstable();
    assert_eq!(told, expected);
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
            "probonus.token_file (CABINET_PROBONUS__TOKEN_FILE): /nowhere/token cannot be read: No such file or directory (os error 2)",
            "auth.limits.sends_per_ip_hour (CABINET_AUTH__LIMITS__SENDS_PER_IP_HOUR): must be a whole number from 0 to 1000000000",
            "web.trusted_proxies (CABINET_WEB__TRUSTED_PROXIES): nonsense is not an address or network such as 10.0.0.0/8",
        ]
    );
}

#[test]
fn the_environment_alone_says_everything_lists_and_tables_too() {
    let key = "ab".repeat(32);
    let config = read(
        "",
        &[
            ("CABINET_SECRET", "a master secret for tests of enough bytes"),
            ("CABINET_LISTEN", "localhost:8081"),
            ("CABINET_STORE__URL", "sqlite::memory:"),
            ("CABINET_PROBONUS__URL", "http://127.0.0.1:9"),
            ("CABINET_PROBONUS__TOKEN", "t0ps3cret"),
            ("CABINET_PROBONUS__METHODS__FIND_BY_PHONE", "post"),
            ("CABINET_DELIVERY__GATEWAYS", r#"["webhook", "telegram"]"#),
            (
                "CABINET_DELIVERY__WEBHOOK",
                r#"{url = "http://127.0.0.1:9/codes", secret = "a secret"}"#,
            ),
            ("CABINET_DELIVERY__TELEGRAM__TOKEN", "t0ken"),
            ("CABINET_AUTH__LIMITS", r#"{"sends_per_ip_hour": 7}"#),
            ("CABINET_AUTH__TEST_PHONES__0__PHONE", "+79160000099"),
            ("CABINET_AUTH__TEST_PHONES__0__CODE", "012345"),
            ("CABINET_AUTH__TEST_PHONES__0__VALID_UNTIL", "2027-01-31"),
            ("CABINET_PARTNERS__SHOP__KEY_SHA256", &key),
            ("CABINET_PARTNERS__SHOP__SCOPES", "checks, refills"),
            (
                "CABINET_PROGRAM__RESTAURANTS",
                r#"[{"code": 1, "name": "На Мясницкой"}]"#,
            ),
            (
                "CABINET_PROGRAM__LEVELS",
                r#"[{name = "Второй", from_turnover = 5}, {name = "Первый"}]"#,
            ),
        ],
    );
    let config = config.expect("sound");
    assert_eq!(config.listen.to_string(), "127.0.0.1:8081");
    assert_eq!(config.probonus.methods["find_by_phone"], "POST");
    assert_eq!(config.delivery.gateways.len(), 2);
    assert_eq!(config.auth.limits.sends_per_ip_hour, 7);
    assert_eq!(config.auth.test_phones.len(), 1);
    assert_eq!(config.partners["shop"].scopes, [Scope::Checks, Scope::Refills]);
    assert_eq!(config.program.restaurants[0].code, "1");
    let levels: Vec<&str> = config.program.levels.iter().map(|level| level.name.as_str()).collect();
    assert_eq!(levels, ["Первый", "Второй"]);
}

#[test]
fn the_programme_is_told_in_whatever_way_comes_to_mind() {
    let program = r#"
        [program]
        name = "Трапеза"
        unit = { scale = 100, forms = ["балл", "балла", "баллов"] }
        restaurants = [{ code = 1, name = "На Мясницкой", address = "Мясницкая, 1", time_zone = "Asia/Omsk" }]
        documents = [{ id = "rules", version = 1, title = "Правила", url = "https://example.ru/rules", required = false }]
        [[program.form]]
        name = "email"
        type = "text"
        required = false
        editable = true
        max_length = 50
        pattern = "[^@]+@[^@]+"
        label = "Почта"
        [[program.form]]
        name = "gender"
        type = "enum"
    "#;
    let program = read(&format!("{SOUND}{program}"), &[]).expect("sound").program;
    assert_eq!(
        (program.name.ru.as_str(), program.name.en.as_str()),
        ("Трапеза", "Трапеза")
    );
    assert_eq!(program.unit_forms_ru, ["балл", "балла", "баллов"]);
    assert_eq!(program.documents[0].version, "1");
    assert_eq!(program.form[0].label.ru, "Почта");
}

#[test]
fn an_unreadable_secret_is_one_problem_and_an_unused_gateway_is_checked_too() {
    let told = lines(&serve(
        &SOUND.replace(
            "secret = \"a master secret for tests of enough bytes\"",
            "secret_file = \"/nowhere/secret\"",
        ),
        &[("CABINET_DELIVERY__SMSRU__NAME", "x")],
    ));
    assert_eq!(
        told,
        [
            "secret_file: /nowhere/secret cannot be read: No such file or directory (os error 2)",
            "delivery.smsru.name (CABINET_DELIVERY__SMSRU__NAME): is not a setting",
        ]
    );
}

#[test]
fn the_longest_time_of_a_late_effect_is_a_setting_and_the_one_before_it_is_refused_by_name() {
    let with = |more: &str, environment: &[(&str, &str)]| read(&format!("{SOUND}{more}"), environment);
    let sound = with("", &[]).expect("sound");
    assert_eq!(sound.probonus.late_effect.as_millis(), 90_000);
    let told = with("", &[("CABINET_PROBONUS__LATE_EFFECT_MS", "1000")]).expect("sound");
    assert_eq!(told.probonus.late_effect.as_millis(), 1000);
    let refused = "settling.wait_ms: is no setting any more: probonus.late_effect_ms takes its place";
    let told = with("[settling]\nwait_ms = 10000", &[]).expect_err("refused");
    assert_eq!(told.0, [refused]);
    let variable = "CABINET_SETTLING__WAIT_MS";
    let told = with("", &[(variable, "10000")]).expect_err("refused");
    assert_eq!(told.0, [refused.replace("wait_ms:", &format!("wait_ms ({variable}):"))]);
    let told = with("[settling]\nwait_m = 1", &[]).expect_err("refused");
    assert_eq!(told.0, ["settling: is not a setting"]);
}

#[test]
fn a_file_that_cannot_be_read_is_the_only_problem_told() {
    let broken = lines(&serve("[probonus\ntoken = \"t0ps3cret\"", &[]));
    assert_eq!(broken.len(), 1, "{broken:#?}");
    assert!(
        broken[0].contains("line 1: not TOML") && !broken[0].contains("t0ps3cret"),
        "{}",
        broken[0]
    );
}

#[test]
fn the_stores_password_is_not_told_when_it_does_not_open() {
    let told = lines(&serve(
        SOUND,
        &[
            ("CABINET_STORE__URL", "postgres://cabinet:p4ssw0rd@127.0.0.1:9/cabinet"),
            ("CABINET_LISTEN", "127.0.0.1:0"),
            ("CABINET_ADMIN_LISTEN", "127.0.0.1:0"),
        ],
    ));
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(
        told[0].starts_with("store.url: the store cannot be used: ") && !told[0].contains("p4ssw0rd"),
        "{}",
        told[0]
    );
}

#[test]
fn the_folder_of_a_first_start_is_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let opens = |path: &str| {
        let url = format!("sqlite://{}/{path}", folder.path().display());
        let opened = runtime.block_on(guest_cabinet::store::Store::open(&url.into()));
        opened.map(|store| runtime.block_on(store.close())).is_ok()
    };
    assert!(opens("new/state.db"));
    assert!(!opens("a/whole/tree/state.db"));
}

#[test]
fn the_console_gateway_is_refused_outside_the_demo() {
    let told = lines(&serve(SOUND, &[("CABINET_DELIVERY__GATEWAYS", "console")]));
    assert!(
        told.iter()
            .any(|line| line.starts_with("delivery.gateways (CABINET_DELIVERY__GATEWAYS): ")),
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

#[tokio::test]
async fn health_and_metrics_do_not_stand_in_the_demos_way() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let text = format!(
        "listen = \"127.0.0.1:0\"\nadmin_listen = \"{}\"\n{SOUND}",
        taken.local_addr().expect("an address")
    );
    let config = |demo| {
        let mut sources = read_sources(None, std::iter::empty());
        sources.tree = text.parse().expect("TOML");
        Config::read(sources, demo).expect("sound")
    };
    let start = async |demo| app::start(config(demo), None, Clock::system(), Entropy::system()).await;
    assert!(start(false).await.is_err());
    let running = start(true).await.expect("it starts");
    assert!(running.admin_url().starts_with("http://127.0.0.1:"));
    running.stop().await;
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
        ("telegram", "a token"),
        (
            "webhook-reports-previous",
            "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        ),
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
    if let Err(problems) = read(&uncommented, &[]) {
        panic!("{problems}");
    }
}

/// The keys that the sources of `src/config` ask for are those that the example shows.
#[test]
fn the_example_file_shows_every_setting() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    let example = std::fs::read_to_string(format!("{root}cabinet.example.toml")).expect("the example");
    let words: BTreeSet<&str> = example
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .collect();
    let asked = regex::Regex::new(r#"(?:section|root|entry|unit|table|positive|limit|cap|codes|bilingual|choice|address|needed|channels)(?:\.(?:text|required_text|secret|required_secret|number|millis|flag|list|parsed|section|sections))?\(\s*(?:&mut \w+,\s*|root,\s*)?"([a-z0-9_]+)""#)
        .expect("an expression");
    let mut missing = BTreeSet::new();
    for file in std::fs::read_dir(format!("{root}src/config")).expect("a folder") {
        let source = std::fs::read_to_string(file.expect("a file").path()).expect("text");
        for key in asked.captures_iter(&source) {
            let key = key.get(1).expect("a key").as_str();
            if !words.contains(key) && !words.contains(format!("{key}_file").as_str()) {
                missing.insert(key.to_owned());
            }
        }
    }
    assert!(missing.is_empty(), "not in cabinet.example.toml: {missing:?}");
}

/// The lines about a sound configuration with `more` before its first table.
fn problems_of(more: &str) -> Vec<String> {
    match read(&format!("{more}\n{SOUND}"), &[]) {
        Ok(_) => Vec::new(),
        Err(ConfigError(problems)) => problems,
    }
}

#[test]
fn a_public_address_is_an_origin_and_nothing_else() {
    for (url, part) in [
        ("https://example.ru/lk", "a path"),
        ("https://example.ru/lk/", "a path"),
        ("https://example.ru/?a=1", "a query"),
        ("https://example.ru/?", "a query"),
        ("https://example.ru/#a", "a fragment"),
        ("https://user:pass@example.ru", "a user and password"),
        ("http://127.0.0.1:8080/lk", "a path"),
    ] {
        let told = problems_of(&format!("public_url = \"{url}\""));
        assert_eq!(told.len(), 1, "{url} {told:?}");
        assert!(
            told[0].starts_with("public_url: ") && told[0].contains(part),
            "{}",
            told[0]
        );
        assert!(!told[0].contains("pass@"), "{}", told[0]);
    }
    for url in [
        "https://lk.example.ru",
        "https://lk.example.ru/",
        "https://lk.example.ru:8443",
        "http://localhost:8080",
    ] {
        assert_eq!(
            problems_of(&format!("public_url = \"{url}\"")),
            Vec::<String>::new(),
            "{url}"
        );
    }
}

#[test]
fn one_socket_cannot_be_both_addresses() {
    for both in [
        "listen = \"127.0.0.1:9090\"",
        "listen = \"0.0.0.0:9090\"\npublic_url = \"https://lk.example.ru\"",
        "listen = \"127.0.0.1:8081\"\nadmin_listen = \"[::]:8081\"",
    ] {
        let told = problems_of(both);
        assert_eq!(told.len(), 1, "{both} {told:?}");
        assert!(
            told[0].starts_with("admin_listen: ") && told[0].contains("listen"),
            "{}",
            told[0]
        );
    }
    let apart = "listen = \"127.0.0.1:8081\"\nadmin_listen = \"127.0.0.2:8081\"";
    assert_eq!(problems_of(apart), Vec::<String>::new());
    assert_eq!(
        problems_of("listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\""),
        Vec::<String>::new()
    );
}

#[test]
fn what_is_no_origin_is_one_line() {
    let told = problems_of(
        "web.allowed_origins = [\"capacitor://localhost\", \"https://*.example.ru\", \"https://*\", \"app://x\"]",
    );
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told.iter().all(|line| line.starts_with("web.allowed_origins: ")),
        "{told:?}"
    );
}

#[test]
fn beside_a_kubernetes_service_of_our_name_the_program_starts() {
    let service = [
        ("CABINET_PORT", "tcp://10.0.0.7:8080"),
        ("CABINET_SERVICE_HOST", "10.0.0.7"),
        ("CABINET_SERVICE_PORT", "8080"),
        ("CABINET_SERVICE_PORT_HTTP", "8080"),
        ("CABINET_PORT_8080_TCP", "tcp://10.0.0.7:8080"),
        ("CABINET_PORT_8080_TCP_PORT", "8080"),
        ("CABINET_PORT_8080_TCP_PROTO", "tcp"),
        ("CABINET_PORT_8080_TCP_ADDR", "10.0.0.7"),
    ];
    assert!(read(SOUND, &service).is_ok());
    let ConfigError(told) = read(SOUND, &[("CABINET_PORT", "8080")]).expect_err("no setting");
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(
        told[0].starts_with("port (CABINET_PORT): is not a setting"),
        "{told:#?}"
    );
}

/// The bytes of `text` in UTF-16, little or big end first, with its mark or without.
fn utf16(text: &str, big: bool, mark: bool) -> Vec<u8> {
    let marked = if mark {
        format!("\u{feff}{text}")
    } else {
        text.to_owned()
    };
    let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
    marked.encode_utf16().flat_map(bytes).collect()
}

#[test]
fn a_configuration_in_utf_16_is_told_in_one_line_and_a_mark_before_utf_8_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cabinet.toml");
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("a file");
        Config::read(read_sources(Some(&path), std::iter::empty()), false)
    };
    for (big, mark) in [(false, true), (true, true), (false, false), (true, false)] {
        let ConfigError(told) = read(&utf16(SOUND, big, mark)).expect_err("not UTF-8");
        assert_eq!(told, [format!("{}: is in UTF-16: save it as UTF-8", path.display())]);
    }
    let ConfigError(told) = read(b"# \xd1\xe5\xea\xf0\xe5\xf2\n").expect_err("not UTF-8");
    assert_eq!(told, [format!("{}: is not in UTF-8: save it as UTF-8", path.display())]);
    assert!(read(format!("\u{feff}{SOUND}").as_bytes()).is_ok());
}

#[test]
fn a_secrets_file_may_begin_with_a_mark_and_end_with_blank_lines() {
    use secrecy::ExposeSecret;

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    let plain = SOUND.replace("secret = \"a master secret for tests of enough bytes\"\n", "");
    let read = |bytes: &[u8]| {
        std::fs::write(&file, bytes).expect("a file");
        read(&plain, &[("CABINET_SECRET_FILE", &file.display().to_string())])
    };
    for end in ["", "\n", "\r\n", "\n\n\n", "\r\n \r\n"] {
        for mark in ["", "\u{feff}"] {
            let config = read(format!("{mark}a secret of at least thirty-two bytes{end}").as_bytes());
            let config = config.expect("the settings are right");
            assert_eq!(config.secret.expose_secret(), "a secret of at least thirty-two bytes");
            // Secrets stand in the configuration file as well.
            assert_eq!(config.secret_files.len(), 2);
            assert_eq!(config.secret_files[1], file);
        }
    }
    let ConfigError(told) = read(&utf16("a secret of at least thirty-two bytes", false, true)).expect_err("not UTF-8");
    assert!(
        told.iter()
            .any(|line| line.ends_with("secret is in UTF-16: save it as UTF-8")),
        "{told:#?}"
    );
}
