//! A fresh, empty store per test: a SQLite file in its own folder, a PostgreSQL database of its own.

use std::sync::atomic::{AtomicU32, Ordering};

use guest_cabinet::store::{SharedStore, Store};
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};

/// Where a test's state lives. Dropping it removes a SQLite file; databases go with the throw-away server.
pub struct TestStore {
    /// For `store.url`.
    pub url: String,
    /// `sqlite` or `postgres`, for messages.
    pub engine: &'static str,
    /// The folder of a SQLite file.
    pub folder: Option<tempfile::TempDir>,
}

impl TestStore {
    /// Changes rows behind everybody's back, as an older version or a hand would.
    pub async fn execute(&self, sql: &'static str) {
        let done = if self.folder.is_some() {
            let mut connection = SqliteConnection::connect(&self.url).await.expect("the file opens");
            connection.execute(sql).await.map(drop)
        } else {
            let mut connection = PgConnection::connect(&self.url).await.expect("the database opens");
            connection.execute(sql).await.map(drop)
        };
        done.expect("the statement is right");
    }

    /// Opens it: each call is another replica.
    pub async fn open(&self) -> SharedStore {
        let store = Store::open(&self.url.clone().into())
            .await
            .expect("a fresh store opens");
        std::sync::Arc::new(store)
    }
}

/// A store in a file.
pub fn sqlite() -> TestStore {
    let folder = tempfile::tempdir().expect("a temporary folder");
    TestStore {
        url: format!("sqlite://{}/state.db", folder.path().display()),
        engine: "sqlite",
        folder: Some(folder),
    }
}

/// A database of its own on the server that `TEST_POSTGRES_URL` names; `None`, said aloud, without one.
pub async fn postgres() -> Option<TestStore> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let Some(server) = std::env::vars()
        .find(|(name, _)| name == "TEST_POSTGRES_URL")
        .map(|(_, url)| url)
    else {
        eprintln!("skipped on PostgreSQL: TEST_POSTGRES_URL is not set");
        return None;
    };
    let name = format!("t{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let mut connection = PgConnection::connect(&server).await.expect("the test server answers");
    connection
        .execute(sqlx::AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name}")))
        .await
        .expect("an old database goes");
    connection
        .execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .await
        .expect("a database of our own");
    let mut url = url::Url::parse(&server).expect("an address");
    url.set_path(&name);
    Some(TestStore {
        url: url.into(),
        engine: "postgres",
        folder: None,
    })
}

/// One store per engine that is there.
pub async fn each_engine() -> Vec<TestStore> {
    let mut stores = vec![sqlite()];
    stores.extend(postgres().await);
    stores
}
