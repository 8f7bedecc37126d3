//! The only wiring place: configuration → store, clients, rooms → routes → listeners → graceful stop.

mod time;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::cabinet::{Cabinet, CabinetConfig, CallTimes};
use crate::clock::{Clock, Deadline};
use crate::config::Config;
use crate::delivery::Delivery;
use crate::entropy::Entropy;
use crate::http::{App, Demo, Edge, Inherited, Rooms, Server, connections_that_fit, serve_admin};
use crate::keys::{Keys, Secrets};
use crate::model::{AccountBinding, Guest};
use crate::partner::{Partner, Rules, Tools};
use crate::probonus::ProBonus;
use crate::sign_in::{AccountProbe, SignIn, rekey_guests};
use crate::store::{LedgerFound, Store, StoreError};
use crate::telemetry;
use time::Timekeeper;

/// Why the program does not start, in one plain line.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error(
        "{key}: cannot listen on {address}: {reason}. End the program that uses it, or set {key} (CABINET_{}) to another address",
        key.to_ascii_uppercase()
    )]
    Listen {
        /// The setting.
        key: &'static str,
        /// Its value.
        address: SocketAddr,
        /// What the system says.
        reason: std::io::Error,
    },
    /// The store cannot be opened or migrated.
    #[error(
        "store.url: {0}. See that the folder exists and is writable, or that PostgreSQL is up and lets this user in"
    )]
    Store(#[from] StoreError),
    /// Something else.
    #[error("{0}")]
    Other(String),
}

/// A running server.
pub struct Running {
    app: App,
    server: Server,
    admin_address: SocketAddr,
    admin_stop: CancellationToken,
    admin: tokio::task::JoinHandle<std::io::Result<()>>,
    upkeep: tokio::task::JoinHandle<()>,
    timekeeper: tokio::task::JoinHandle<()>,
}

/// Starts everything. When it returns, guests are served.
///
/// # Errors
/// One plain line for the operator.
pub async fn start(
    mut config: Config,
    demo: Option<Demo>,
    clock: Clock,
    entropy: Entropy,
) -> Result<Running, StartError> {
    let metrics = telemetry::metrics();
    let wanted = config.web.max_connections;
    config.web.max_connections = connections_that_fit(wanted);
    let mut sockets = Inherited::from_environment();
    let is_shared = config.web.reuse_port;
    let told = |key, address| move |reason| StartError::Listen { key, address, reason };
    let guests = sockets
        .guests(config.listen, is_shared)
        .map_err(told("listen", config.listen))?;
    let admin = match sockets.admin(config.admin_listen, is_shared) {
        // Whoever tries the demo does not look at health and metrics: they need not stand in its way.
        Err(_) if config.demo => sockets.admin(SocketAddr::new(config.admin_listen.ip(), 0), false),
        admin => admin,
    };
    let admin = admin.map_err(told("admin_listen", config.admin_listen))?;
    let address = guests.address().map_err(|error| StartError::Other(error.to_string()))?;
    let admin_address = admin
        .local_addr()
        .map_err(|error| StartError::Other(error.to_string()))?;
    if config.public_url.port() == Some(0) {
        // The port was left to the system: on this machine guests use the one it chose.
        let _ = config.public_url.set_port(Some(address.port()));
    }
    let (app, timekeeper) = rooms(config, demo, clock, entropy).await?;
    let edge = Edge::new(app.clone());
    let server =
        Server::start(guests, edge.clone(), &app.config.web).map_err(|error| StartError::Other(error.to_string()))?;
    tell_of_limits(&app.config, wanted);
    let admin_stop = CancellationToken::new();
    let upkeep = metrics.clone();
    Ok(Running {
        admin: tokio::spawn(serve_admin(admin, app.clone(), edge, metrics, admin_stop.clone())),
        upkeep: tokio::spawn(async move {
            // The recorder gathers samples until they are drained into buckets.
            let mut beat = tokio::time::interval(Duration::from_secs(5));
            loop {
                beat.tick().await;
                upkeep.run_upkeep();
            }
        }),
        timekeeper: tokio::spawn(timekeeper.run()),
        app,
        server,
        admin_address,
        admin_stop,
    })
}

/// What an operator may want to change, said once everything stands: a start that fails says only why.
fn tell_of_limits(config: &Config, wanted: usize) {
    if config.web.max_connections < wanted {
        tracing::warn!(
            wanted,
            connections = config.web.max_connections,
            "web.max_connections is lowered: so few files may be open (LimitNOFILE in systemd, ulimit -n in a shell)"
        );
    }
    if config.admin_listen.ip().is_unspecified() {
        tracing::warn!(
            admin_listen = %config.admin_listen,
            "health and metrics are on every address of this machine; see that only your own network reaches them"
        );
    }
}

/// The rooms, each given what it needs and nothing else.
async fn rooms(
    config: Config,
    demo: Option<Demo>,
    clock: Clock,
    entropy: Entropy,
) -> Result<(App, Timekeeper), StartError> {
    let store = Arc::new(Store::open(&config.store_url).await?);
    let timekeeper = Timekeeper::start(store.clone(), clock.clone()).await;
    let keys = Arc::new(load_keys(&config, &store, &clock, &entropy).await?);
    let probonus = ProBonus::new(
        &config.probonus,
        config.time_zone.clone(),
        clock.clone(),
        entropy.clone(),
    )
    .map_err(|error| StartError::Other(format!("probonus: {error}")))?;
    let probonus = Arc::new(probonus);
    let delivery = Delivery::start(
        &config.delivery,
        &config.public_url,
        store.clone(),
        keys.clone(),
        clock.clone(),
        entropy.clone(),
    )
    .map_err(StartError::Other)?;
    let cabinet = Cabinet::start(
        CabinetConfig {
            cache: config.cache,
            program: config.program.clone(),
            group: config.probonus.account_group_id.clone(),
            time_zone: config.time_zone.clone(),
            day_start: config.business_day_start,
            // Of the calls that ProBonus takes at once, watching needs one in so many at most: a call takes a fraction of a second.
            looks_per_second: config.probonus.max_concurrency,
            fetch_time: config.probonus.timeout * 2 + Duration::from_millis(500),
            sign_up_call: CallTimes {
                timeout: config.probonus.timeout,
                late_effect: config.probonus.late_effect,
            },
        },
        probonus.clone(),
        store.clone(),
        keys.clone(),
        clock.clone(),
        entropy.clone(),
    );
    let partner = Partner::start(
        Rules {
            partners: config.partners.clone(),
            late_effect: config.probonus.late_effect,
            zone: config.time_zone.clone(),
            day_start: config.business_day_start,
        },
        Tools {
            ledger: probonus.clone(),
            store: store.clone(),
            keys: keys.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
        },
    )
    .await?;
    let sign_in = SignIn::start(
        config.auth.clone(),
        store.clone(),
        delivery.clone(),
        keys,
        clock.clone(),
        entropy.clone(),
        Arc::new(Probe(cabinet.clone())),
    );
    let app = App::new(Rooms {
        own_origins: config.own_origins(),
        partner,
        sign_in,
        delivery,
        cabinet,
        config,
        demo,
        clock,
        entropy,
        store,
    });
    Ok((app, timekeeper))
}

/// The keys, with what a start under another secret has to say.
async fn load_keys(config: &Config, store: &Store, clock: &Clock, entropy: &Entropy) -> Result<Keys, StoreError> {
    let secrets = Secrets::derive(&config.secret, config.secret_previous.as_ref());
    let (keys, found) = store.load_keys(secrets, clock.now_us(), entropy).await?;
    match found {
        LedgerFound::Unwrapped | LedgerFound::Made => {}
        LedgerFound::Adopted => {
            tracing::info!("the store's rows stay keyed as they are; rotations do not change that any more");
        }
        LedgerFound::Lost => tracing::warn!(
            "secret: opens nothing of what this store holds: guests have to sign in anew, limits begin anew, and orders that partners \
             repeat are answered with what became of them. If it was changed by mistake, put the right one back; if it was rotated, put the one before \
             into secret_previous"
        ),
    }
    rekey_guests(store, &keys).await?;
    Ok(keys)
}

/// Signing in asks which account there is.
struct Probe(Arc<Cabinet>);

#[async_trait]
impl AccountProbe for Probe {
    async fn account_behind(&self, guest: &Guest, deadline: Deadline) -> AccountBinding {
        self.0.account_behind(guest, deadline).await
    }
}

impl Running {
    /// Where guests reach it, as in `http://127.0.0.1:8080`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Where health and metrics are.
    #[must_use]
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.admin_address)
    }

    /// The rooms, for tests that look behind the answers.
    #[must_use]
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Stops in order: readiness turns red, work in flight finishes within the drain time, background work ends, the store is flushed.
    pub async fn stop(self) {
        self.server.stop().await;
        self.upkeep.abort();
        self.timekeeper.abort();
        self.app.partner.stop().await;
        self.app.sign_in.stop();
        self.app.cabinet.stop().await;
        self.app.delivery.stop().await;
        self.app.store.close().await;
        self.admin_stop.cancel();
        let _ = self.admin.await;
    }
}
