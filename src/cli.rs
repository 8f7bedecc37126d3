//! The command line: what an operator types.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::{self, Running};
use crate::clock::Clock;
use crate::config::{Config, ConfigError, Sources, read_by_others, read_sources};
use crate::demo;
use crate::doctor::{self, Questions};
use crate::entropy::Entropy;
use crate::http;
use crate::keys::{Secrets, hex};
use crate::partner;
use crate::sandbox::{Sandbox, SandboxConfig};
use crate::store::Store;
use crate::telemetry;

/// A restaurant guest's personal cabinet over ProBonus.
#[derive(Parser)]
#[command(name = "guest-cabinet", version, about, arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve guests: the configuration file, overridden by environment variables CABINET_<SECTION>__<KEY>
    Serve(ConfigFile),
    /// Try everything on this machine: sandbox and cabinet together, nothing to set up
    Demo {
        #[command(flatten)]
        file: ConfigFile,
        /// Where the sandbox listens [default: 127.0.0.1:8090, or a free port]
        #[arg(long)]
        sandbox_listen: Option<SocketAddr>,
    },
    /// The ProBonus stand-in alone
    Sandbox {
        /// Where it listens [default: 127.0.0.1:8090, or a free port]
        #[arg(long)]
        listen: Option<SocketAddr>,
    },
    /// Say in plain words whether serving makes sense, and what to change
    Doctor {
        #[command(flatten)]
        file: ConfigFile,
        /// The vendor's Swagger: a file or an address; else it is looked for at the usual places
        #[arg(long, value_name = "FILE|URL")]
        swagger: Option<String>,
        /// An account with a few movements, to see what its history shows
        #[arg(long, value_name = "ID")]
        account: Option<String>,
        /// The phone of a guest, to see how their account is told
        #[arg(long, value_name = "PHONE")]
        phone: Option<String>,
    },
    /// Print the OpenAPI document
    Openapi,
    /// Partner operations whose outcome nobody could prove: look at them, decide them
    Operations {
        #[command(subcommand)]
        act: Operations,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Print the hash of a partner's key, for `partners.<name>.key_sha256`
    HashKey {
        /// The key; without it, the first line of standard input is read
        key: Option<String>,
        /// Make a new key and print both
        #[arg(long, conflicts_with = "key")]
        generate: bool,
    },
}

#[derive(Subcommand)]
enum Operations {
    /// List operations
    List {
        /// In which state
        #[arg(long, default_value = "unknown", value_parser = ["pending", "sent", "registered", "rejected", "unknown"])]
        state: String,
    },
    /// Show one
    Show {
        /// Its id: a check's GUID, a refill's operation id
        id: String,
    },
    /// Decide an unknown one, after looking into ProBonus
    Resolve {
        /// Its id
        id: String,
        /// What you saw in ProBonus
        #[arg(value_parser = ["registered", "rejected"])]
        outcome: String,
    },
}

#[derive(clap::Args)]
struct ConfigFile {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

impl ConfigFile {
    fn sources(&self) -> Sources {
        sources(self.config.as_deref())
    }
}

/// Names a TOML file whose settings lie under the configuration file's: how an image or a package says where it listens.
const DEFAULTS: &str = "GUEST_CABINET_DEFAULTS";

fn sources(file: Option<&Path>) -> Sources {
    // What is not Unicode cannot be one of ours: the names are ASCII and the values text.
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let sources = read_sources(file, environment);
    match std::env::var_os(DEFAULTS) {
        Some(defaults) => sources.over(read_sources(Some(Path::new(&defaults)), std::iter::empty())),
        None => sources,
    }
}

/// Writes a line to standard output. Whoever reads only the beginning (`| head`) has seen enough.
fn print_line(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Runs the command; what went wrong is told on standard error, one line per problem.
#[must_use]
pub fn run() -> ExitCode {
    match execute(Arguments::parse().command) {
        Ok(code) => code,
        Err(lines) => {
            eprintln!("{lines}");
            ExitCode::from(2)
        }
    }
}

fn execute(command: Command) -> Result<ExitCode, String> {
    match command {
        Command::Serve(file) => {
            Entropy::warm_up();
            let config = Config::read(file.sources(), false).map_err(|error| error.to_string())?;
            let _telemetry = telemetry::start(&config.telemetry)?;
            block_on(serve(config))
        }
        Command::Demo { file, sandbox_listen } => {
            Entropy::warm_up();
            block_on(run_demo(file.sources(), sandbox_listen))
        }
        Command::Sandbox { listen } => block_on(run_sandbox(listen)),
        Command::Doctor {
            file,
            swagger,
            account,
            phone,
        } => {
            let russian = std::env::vars().any(|(name, value)| name == "LANG" && value.starts_with("ru"));
            let questions = Questions {
                swagger,
                account,
                phone,
                russian,
            };
            block_on(examine(Config::read(file.sources(), false), questions))
        }
        Command::Openapi => match std::io::stdout().write_all(http::document_text().as_bytes()) {
            // Whoever reads only its beginning has seen enough.
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(format!("standard output: {error}")),
            _ => Ok(ExitCode::SUCCESS),
        },
        Command::Operations { act, file } => {
            let config = Config::read(file.sources(), false).map_err(|error| error.to_string())?;
            block_on(operations(act, config))
        }
        Command::HashKey { key, generate } => hash_key(key, generate),
    }
}

fn block_on(work: impl Future<Output = Result<ExitCode, String>>) -> Result<ExitCode, String> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the asynchronous runtime does not start: {error}"))?
        .block_on(work)
}

async fn serve(config: Config) -> Result<ExitCode, String> {
    let stop = Stop::new(false)?;
    let secret_files = config.secret_files.clone();
    let running = app::start(config, None, Clock::system(), Entropy::system())
        .await
        .map_err(|error| error.to_string())?;
    tracing::info!(guests = running.url(), admin = running.admin_url(), "serving");
    for (file, mode) in read_by_others(&secret_files) {
        tracing::warn!(
            file = %file.display(),
            mode,
            "everybody on this machine can read this file, and it holds secrets: chmod 600"
        );
    }
    until_told_to_stop(running, stop).await
}

async fn until_told_to_stop(running: Running, stop: Stop) -> Result<ExitCode, String> {
    stop.told().await;
    tracing::info!("stopping");
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// SIGTERM and SIGINT, listened for before anything is served: whoever stops us a moment after the start is heard, too.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    /// Whether SIGHUP ends the program: what runs in a terminal goes with it, a server does not.
    ends_with_terminal: bool,
}

impl Stop {
    fn new(ends_with_terminal: bool) -> Result<Self, String> {
        let listen = |kind| signal(kind).map_err(|error| format!("signals cannot be listened for: {error}"));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
            ends_with_terminal,
        })
    }

    /// Returns when the program is to end.
    async fn told(mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => {
                    if self.ends_with_terminal {
                        return;
                    }
                    tracing::warn!("SIGHUP changes nothing: settings are read at the start; restart to change them");
                }
            }
        }
    }
}

async fn run_demo(sources: Sources, listen: Option<SocketAddr>) -> Result<ExitCode, String> {
    let stop = Stop::new(true)?;
    let entropy = Entropy::system();
    let folder = demo::Folder::new(&entropy).map_err(|error| format!("the folder for the demo's state: {error}"))?;
    let sandbox = start_sandbox(listen).await?;
    let config = demo::config(sources, &folder, &sandbox.url(), sandbox.token(), &entropy);
    let config = config.map_err(|error| error.to_string())?;
    // The exporter of traces brings a runtime of its own, which must not start inside this one.
    let _telemetry = tokio::task::block_in_place(|| telemetry::start(&config.telemetry))?;
    let running = app::start(config, Some(demo::described(&sandbox)), Clock::system(), entropy)
        .await
        .map_err(|error| error.to_string())?;
    print_line(demo::greeting(&running.url(), &running.admin_url(), &sandbox));
    let ended = until_told_to_stop(running, stop).await;
    drop(folder);
    ended
}

async fn run_sandbox(listen: Option<SocketAddr>) -> Result<ExitCode, String> {
    let stop = Stop::new(true)?;
    let sandbox = start_sandbox(listen).await?;
    print_line(demo::sandbox_greeting(&sandbox));
    stop.told().await;
    sandbox.stop();
    Ok(ExitCode::SUCCESS)
}

/// A sandbox where it was asked for; else at the usual place or, when that is taken, on a free port.
async fn start_sandbox(listen: Option<SocketAddr>) -> Result<Sandbox, String> {
    let at = |listen| SandboxConfig {
        listen,
        ..SandboxConfig::default()
    };
    let usual = SocketAddr::from(([127, 0, 0, 1], 8090));
    let started = match Sandbox::start(at(listen.unwrap_or(usual))).await {
        Err(_) if listen.is_none() => Sandbox::start(at(SocketAddr::new(usual.ip(), 0))).await,
        started => started,
    };
    let place = listen.unwrap_or(usual);
    started.map_err(|error| format!("the sandbox cannot listen on {place}: {error}"))
}

async fn examine(config: Result<Config, ConfigError>, questions: Questions) -> Result<ExitCode, String> {
    let mut tell = |line: &doctor::Line| print_line(line);
    let sense = doctor::examine(config, &questions, Clock::system(), Entropy::system(), &mut tell).await;
    Ok(if sense { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn operations(act: Operations, config: Config) -> Result<ExitCode, String> {
    let told = |error: crate::store::StoreError| format!("store.url: {error}");
    let store = Store::open(&config.store_url).await.map_err(told)?;
    let done = match act {
        Operations::List { state } => {
            let lines = partner::list(&store, &state).await.map_err(told)?;
            print_line(format_args!("{} {state}", lines.len()));
            for line in lines {
                print_line(line);
            }
            true
        }
        Operations::Show { id } => {
            let secrets = Secrets::derive(&config.secret, config.secret_previous.as_ref());
            let (keys, _) = store.read_keys(secrets, &Entropy::system()).await.map_err(told)?;
            let line = partner::show(&store, &keys, &id).await.map_err(told)?;
            print_line(line.as_deref().unwrap_or("there is no such operation"));
            line.is_some()
        }
        Operations::Resolve { id, outcome } => {
            let clock = Clock::system();
            let resolved = partner::resolve(&store, &clock, &id, outcome == "registered")
                .await
                .map_err(told)?;
            print_line(if resolved {
                outcome.as_str()
            } else {
                "it is not unknown; see `operations show`"
            });
            resolved
        }
    };
    store.close().await;
    Ok(if done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn hash_key(key: Option<String>, generate: bool) -> Result<ExitCode, String> {
    if generate {
        let key = format!("gck_{}", hex(&Entropy::system().bytes::<32>()));
        let hash = hex(&crate::keys::sha256(key.as_bytes()));
        print_line(format_args!("key        {key}\nkey_sha256 {hash}"));
        return Ok(ExitCode::SUCCESS);
    }
    let key = if let Some(key) = key {
        key
    } else {
        let input = std::io::stdin();
        if input.is_terminal() {
            eprintln!("Type the key and press Enter, or use --generate for a new one.");
        }
        let mut line = String::new();
        input
            .read_line(&mut line)
            .map_err(|error| format!("standard input: {error}"))?;
        line
    };
    let key = key.trim();
    if key.is_empty() {
        return Err("there is no key to hash; --generate makes one".into());
    }
    if key.len() < 16 {
        eprintln!("This key is short enough to be guessed; --generate makes a good one.");
    }
    print_line(hex(&crate::keys::sha256(key.as_bytes())));
    Ok(ExitCode::SUCCESS)
}
