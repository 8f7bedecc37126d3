//! What the program does with what the system gives it: sockets handed over or shared, few descriptors, clients that take nothing.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use guest_cabinet::clock::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{TestCabinet, postgres};

const PROGRAM: &str = "GET /api/v1/program HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const DOCUMENT: &str = "GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n";

/// A running program with a configuration of its own.
struct Program {
    child: Child,
    listen: SocketAddr,
    admin: SocketAddr,
    _folder: tempfile::TempDir,
}

fn free_address() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("an address")
}

impl Program {
    /// Starts it by way of a shell that runs `before`, with `input` as its standard input.
    fn start(before: &str, listen: SocketAddr, input: Stdio) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let admin = free_address();
        let file = folder.path().join("cabinet.toml");
        let config = format!(
            r#"
            listen = "{listen}"
            admin_listen = "{admin}"
            secret = "a master secret for tests of enough bytes"
            [store]
            url = "sqlite://{}/state.db"
            [probonus]
            url = "http://127.0.0.1:9"
            token = "a token"
            [delivery]
            gateways = ["webhook"]
            [delivery.webhook]
            url = "http://127.0.0.1:9/codes"
            secret = "{}"
            "#,
            folder.path().display(),
            crate::support::receiver::SECRET,
        );
        std::fs::write(&file, config).expect("written");
        let child = Command::new("sh")
            .args(["-c", &format!("{before} exec \"$0\" serve --config \"$1\" </dev/null")])
            .arg(env!("CARGO_BIN_EXE_guest-cabinet"))
            .arg(&file)
            .stdin(input)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = child.expect("the program starts");
        Self {
            child,
            listen,
            admin,
            _folder: folder,
        }
    }

    async fn is_ready(&self) {
        let ready = async {
            while !is_healthy(self.admin).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), ready).await;
        waited.expect("it starts");
    }

    async fn ask_to_stop(&mut self) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(asked.expect("a signal is sent").success());
        let exited = async {
            while self.child.try_wait().expect("a child").is_none() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(30), exited).await;
        waited.expect("it stops");
    }

    /// Bytes of memory in use.
    fn resident(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).expect("it runs");
        let pages: u64 = text.split(' ').nth(1).expect("a number").parse().expect("a number");
        pages * 4096
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn is_healthy(admin: SocketAddr) -> bool {
    let request = "GET /health/ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    exchange(admin, request)
        .await
        .is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 "))
}

/// Sends a request over a connection of its own and reads all that comes back.
async fn exchange(address: SocketAddr, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn a_socket_that_was_handed_over_refuses_nobody_over_a_restart() {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let listen = socket.local_addr().expect("an address");
    let handed = || Stdio::from(OwnedFd::from(socket.try_clone().expect("a copy")));
    let before = "exec 3<&0; LISTEN_FDS=1 LISTEN_PID=$$; export LISTEN_FDS LISTEN_PID;";
    // What the configuration names is not listened on.
    let mut first = Program::start(before, free_address(), handed());
    first.is_ready().await;
    let elsewhere = TcpStream::connect(first.listen).await;
    assert!(elsewhere.is_err(), "only the socket that was handed over is served");
    let asking = tokio::spawn(async move {
        for _ in 0..200 {
            let answer = exchange(listen, PROGRAM).await.expect("nobody is refused or cut off");
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    first.ask_to_stop().await;
    let second = Program::start(before, free_address(), handed());
    second.is_ready().await;
    asking.await.expect("every request was answered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_port_is_served_by_the_next_process_before_the_last_one_stops() {
    let Some(store) = postgres().await else { return };
    let listen = free_address();
    let more = format!("listen = \"{listen}\"\n[web]\nreuse_port = true\n");
    let start = || TestCabinet::start("http://127.0.0.1:9", "a token", &store.url, Clock::system(), &more);
    let old = start().await;
    let new = start().await;
    let asking = tokio::spawn(async move {
        for _ in 0..200 {
            let answer = exchange(listen, PROGRAM).await.expect("nobody is refused or cut off");
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    old.running.stop().await;
    asking.await.expect("every request was answered");
    new.running.stop().await;
}

#[tokio::test]
async fn with_few_descriptors_our_own_calls_are_left_some() {
    let program = Program::start("ulimit -n 300;", free_address(), Stdio::null());
    program.is_ready().await;
    let mut crowd = Vec::new();
    for _ in 0..280 {
        crowd.push(
            TcpStream::connect(program.listen)
                .await
                .expect("the kernel's queue takes it"),
        );
    }
    assert!(is_healthy(program.admin).await, "health answers at capacity");
    drop(crowd);
    let answer = exchange(program.listen, PROGRAM).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn readers_who_take_nothing_share_one_copy() {
    let program = Program::start("", free_address(), Stdio::null());
    program.is_ready().await;
    let first = exchange(program.listen, &PROGRAM.replace("/api/v1/program", "/openapi.json")).await;
    let length = first.expect("an answer").len() as u64;
    let before = program.resident();
    let mut readers = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(program.listen).await.expect("a connection");
        stream.write_all(DOCUMENT.as_bytes()).await.expect("it is read");
        readers.push(stream);
    }
    for reader in &mut readers {
        let mut beginning = [0; 12];
        reader.read_exact(&mut beginning).await.expect("an answer begins");
        assert_eq!(&beginning, b"HTTP/1.1 200");
    }
    let grown = program.resident().saturating_sub(before);
    assert!(grown < 200 * length / 4, "{grown} bytes for 200 readers of {length}");
}
