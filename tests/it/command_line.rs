//! The command line as a careful operator uses it: pipes that close early, words it does not know, signals, an image's own defaults.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use crate::support::receiver::SECRET;
use crate::support::{TestStore, sqlite};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_guest-cabinet"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Variables of a sound server over `store`; ProBonus is not there.
fn settings(store: &TestStore) -> Vec<(&'static str, String)> {
    vec![
        ("CABINET_SECRET", "a master secret for tests of enough bytes".into()),
        ("CABINET_STORE__URL", store.url.clone()),
        ("CABINET_PROBONUS__URL", "http://127.0.0.1:9".into()),
        ("CABINET_PROBONUS__TOKEN", "t".into()),
        ("CABINET_DELIVERY__GATEWAYS", "webhook".into()),
        ("CABINET_DELIVERY__WEBHOOK__URL", "http://127.0.0.1:9/codes".into()),
        ("CABINET_DELIVERY__WEBHOOK__SECRET", SECRET.into()),
    ]
}

#[test]
fn who_reads_only_the_beginning_of_what_the_doctor_says_gets_no_panic() {
    let store = sqlite();
    let mut doctor = program()
        .arg("doctor")
        .envs(settings(&store))
        .spawn()
        .expect("the program runs");
    let mut lines = BufReader::new(doctor.stdout.take().expect("a pipe"));
    let mut first = String::new();
    lines.read_line(&mut first).expect("a line");
    assert!(!first.is_empty());
    drop(lines);
    let (status, said) = ended(doctor);
    assert_eq!(status, Some(1), "ProBonus is not there");
    assert_eq!(said, "", "nothing is said about the pipe");
}

/// Waits for the end; its exit status and what stands on standard error.
fn ended(mut child: Child) -> (Option<i32>, String) {
    let mut said = String::new();
    child
        .stderr
        .take()
        .expect("a pipe")
        .read_to_string(&mut said)
        .expect("text");
    (child.wait().expect("it ends").code(), said)
}

#[test]
fn operations_in_a_state_that_does_not_exist_are_a_wrong_use() {
    let store = sqlite();
    let mut command = program();
    let command = command
        .args(["operations", "list", "--state", "nonsense"])
        .envs(settings(&store));
    let (status, said) = ended(command.spawn().expect("the program runs"));
    assert_eq!(status, Some(2));
    assert!(said.contains("nonsense") && said.contains("unknown"), "{said}");
}

/// A server that is up, with its log read as far as that.
fn serving(
    command: &mut Command,
    arguments: &[&std::ffi::OsStr],
) -> (Child, BufReader<std::process::ChildStderr>, String) {
    let mut child = command.arg("serve").args(arguments).spawn().expect("the program runs");
    let mut log = BufReader::new(child.stderr.take().expect("a pipe"));
    let line = line_with(&mut log, "serving");
    (child, log, line)
}

/// The next line of the log that holds `part`.
fn line_with(log: &mut impl BufRead, part: &str) -> String {
    let mut line = String::new();
    while !line.contains(part) {
        line.clear();
        assert_ne!(
            log.read_line(&mut line).expect("text"),
            0,
            "the log ends before «{part}»"
        );
    }
    line
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .status();
    assert!(sent.expect("kill runs").success());
}

#[test]
fn a_server_that_is_hung_up_on_goes_on_and_says_what_that_changes() {
    let store = sqlite();
    let listening = [
        ("CABINET_LISTEN", "127.0.0.1:0"),
        ("CABINET_ADMIN_LISTEN", "127.0.0.1:0"),
    ];
    let (mut child, mut log, _) = serving(program().envs(settings(&store)).envs(listening), &[]);
    signal(&child, "HUP");
    line_with(&mut log, "SIGHUP changes nothing");
    signal(&child, "TERM");
    line_with(&mut log, "stopping");
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn what_an_image_takes_for_granted_lies_under_the_file_and_the_environment() {
    let store = sqlite();
    let folder = tempfile::tempdir().expect("a folder");
    let defaults = folder.path().join("defaults.toml");
    std::fs::write(
        &defaults,
        "listen = \"203.0.113.7:1\"\nadmin_listen = \"127.0.0.2:0\"\n",
    )
    .expect("a file");
    let file = folder.path().join("cabinet.toml");
    std::fs::write(&file, "listen = \"127.0.0.3:0\"\n").expect("a file");
    let mut command = program();
    command.env("GUEST_CABINET_DEFAULTS", &defaults).envs(settings(&store));
    let (mut child, _log, line) = serving(&mut command, &["--config".as_ref(), file.as_os_str()]);
    assert!(line.contains("127.0.0.3:"), "the file counts: {line}");
    assert!(
        line.contains("127.0.0.2:"),
        "what it does not say is taken from the defaults: {line}"
    );
    signal(&child, "TERM");
    assert!(child.wait().expect("it ends").success());
}
