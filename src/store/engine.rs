//! The two engines behind one handle: opening, migrating, and running the same statement on either.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqlStr};

use super::claims_file::ClaimsFile;
use super::hints::HintBus;

/// State in SQLite or PostgreSQL.
pub struct Store {
    pub(super) pool: Pool,
    pub(super) bus: HintBus,
    /// Beside an embedded store in a file.
    pub(super) claims: Option<ClaimsFile>,
}

/// The engine's connections.
#[derive(Clone)]
pub(super) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// The store could not be asked, or did not answer. Everything that needs it fails closed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The engine said no, or nothing in time.
    #[error("the store cannot be used: {}", cause(.0))]
    Unavailable(#[from] sqlx::Error),
    /// It did not answer in time.
    #[error("the store does not answer in time")]
    Silent,
    /// The tables could not be brought up to date.
    #[error("the store cannot be migrated: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// What stands in a row cannot be what was written.
    #[error("a row of the store cannot be read")]
    Corrupt,
}

/// What the engine says, in one line without the address: that may hold a password.
fn cause(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(refusal) => refusal.message().to_owned(),
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::PoolTimedOut => "no connection in time".into(),
        sqlx::Error::Configuration(_) => "the address cannot be read".into(),
        sqlx::Error::Tls(_) => "the connection cannot be encrypted".into(),
        _ => "the connection broke".into(),
    }
}

/// Runs one body with `$pool` bound to the engine's pool; the text of a statement is written once and serves both. How long it took is
/// measured when it did not fail.
macro_rules! on_pool {
    ($store:expr, |$pool:ident| $body:expr) => {{
        let started = tokio::time::Instant::now();
        let done = match &$store.pool {
            $crate::store::engine::Pool::Sqlite($pool) => $body,
            $crate::store::engine::Pool::Postgres($pool) => $body,
        };
        metrics::histogram!("cabinet_store_seconds").record(started.elapsed().as_secs_f64());
        done
    }};
}
pub(super) use on_pool;

/// How long a request waits for a connection: it is how long it hangs when the database is down.
const ACQUIRE: Duration = Duration::from_secs(2);

impl Store {
    /// Opens `url` (`sqlite:///path`, `sqlite::memory:` or `postgres://…`) and brings the tables up to date.
    ///
    /// # Errors
    /// When the address cannot be used or the tables cannot be migrated.
    pub async fn open(url: &SecretString) -> Result<Self, StoreError> {
        let url = url.expose_secret();
        let (pool, claims) = if url.starts_with("sqlite:") {
            let state = SqliteConnectOptions::from_str(url)?;
            let claims = ClaimsFile::beside(state.get_filename());
            (Pool::Sqlite(sqlite(url).await?), claims)
        } else {
            (Pool::Postgres(postgres(url).await?), None)
        };
        migrate(&pool).await?;
        let bus = HintBus::start(&pool);
        Ok(Self { pool, bus, claims })
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        on_pool!(self, |pool| sqlx::query("SELECT 1").execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Whether several replicas may share this store.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self.pool, Pool::Postgres(_))
    }

    /// The clock of a store that several replicas share, in microseconds; `None` when this process has it alone.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn clock_us(&self) -> Result<Option<i64>, StoreError> {
        let Pool::Postgres(pool) = &self.pool else {
            return Ok(None);
        };
        let told = sqlx::query_scalar("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)");
        Ok(Some(told.fetch_one(pool).await?))
    }

    /// Closes all connections; what was written is flushed.
    pub async fn close(&self) {
        self.bus.stop();
        on_pool!(self, |pool| pool.close().await);
    }
}

async fn sqlite(url: &str) -> Result<SqlitePool, StoreError> {
    let options = SqliteConnectOptions::from_str(url)?;
    make_folder(options.get_filename());
    let options = options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // FULL flushes the log at every commit: an acknowledged partner operation or session survives power loss.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(ACQUIRE)
        .foreign_keys(true)
        .disable_statement_logging();
    // SQLite writes one at a time anyway: one connection queues fairly where several would race for the lock and time out.
    Ok(SqlitePoolOptions::new()
        .max_connections(1)
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(ACQUIRE)
        .connect_with(options)
        .await?)
}

/// Makes the folder of a first start, inside one that exists and not in the root: a slip of the pen builds no tree. What fails here is
/// told when the file is opened.
fn make_folder(file: &Path) {
    let folder = file.parent().filter(|folder| !folder.exists());
    if let Some(folder) = folder
        && folder.parent().is_some_and(|above| above.parent().is_some())
    {
        let _ = std::fs::create_dir(folder);
    }
}

async fn postgres(url: &str) -> Result<PgPool, StoreError> {
    let options = PgConnectOptions::from_str(url)?
        .application_name("guest-cabinet")
        // A statement that hangs must not hang whoever waits for it.
        .options([("statement_timeout", "5000"), ("lock_timeout", "3000")])
        .disable_statement_logging();
    Ok(PgPoolOptions::new()
        .max_connections(16)
        .acquire_timeout(ACQUIRE)
        .connect_with(options)
        .await?)
}

/// Each room's tables in a file of their own, in the order they came.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "sign in", include_str!("../../migrations/0001_sign_in.sql")),
    (2, "delivery", include_str!("../../migrations/0002_delivery.sql")),
    (3, "views", include_str!("../../migrations/0003_views.sql")),
    (4, "operations", include_str!("../../migrations/0004_operations.sql")),
    (5, "views asked", include_str!("../../migrations/0005_views_asked.sql")),
    (
        6,
        "operations compaction",
        include_str!("../../migrations/0006_operations_compaction.sql"),
    ),
    (7, "ledger keys", include_str!("../../migrations/0007_ledger_keys.sql")),
    (
        9,
        "session accounts",
        include_str!("../../migrations/0009_session_accounts.sql"),
    ),
    (10, "sign-ups", include_str!("../../migrations/0010_sign_ups.sql")),
    (11, "generations", include_str!("../../migrations/0011_generations.sql")),
    (12, "edits", include_str!("../../migrations/0012_edits.sql")),
    (
        13,
        "operations proof",
        include_str!("../../migrations/0013_operations_proof.sql"),
    ),
    (
        14,
        "restore watch",
        include_str!("../../migrations/0014_restore_watch.sql"),
    ),
    (15, "devices", include_str!("../../migrations/0015_devices.sql")),
    (16, "askers", include_str!("../../migrations/0016_askers.sql")),
];

async fn migrate(pool: &Pool) -> Result<(), StoreError> {
    let migrations = MIGRATIONS
        .iter()
        .map(|&(version, name, sql)| {
            Migration::new(
                version,
                name.into(),
                MigrationType::Simple,
                SqlStr::from_static(sql),
                false,
            )
        })
        .collect();
    let migrator = Migrator::with_migrations(migrations);
    match pool {
        Pool::Sqlite(pool) => migrator.run(pool).await?,
        Pool::Postgres(pool) => migrator.run(pool).await?,
    }
    Ok(())
}
