//! Back up, book, bring the older state back, send the same again: booked once.

use guest_cabinet::clock::Clock;
use guest_cabinet::keys::{hex, sha256};
use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::support::cabinet::send;
use crate::support::{Answer, ProBonus, TestCabinet, TestStore, postgres, sqlite};

const KEY: &str = "a partner's key for the tests of restores";

async fn start(probonus: &ProBonus, store: &TestStore) -> TestCabinet {
    let more = format!(
        "[partners.delivery]\nkey_sha256 = \"{}\"\nscopes = [\"checks\", \"refills\"]\n[probonus]\ntimeout_ms = 500\nlate_effect_ms = 1000\n",
        hex(&sha256(KEY.as_bytes()))
    );
    let (url, token) = (probonus.sandbox.url(), probonus.sandbox.token());
    TestCabinet::start(&url, token, &store.url, Clock::system(), &more).await
}

/// Books a check and a refill; what the partner is told.
async fn order(cabinet: &TestCabinet, account: i64, number: u128) -> [Answer; 2] {
    let guid = uuid::Uuid::from_u128(0x1000_0000_0000_4000_8000_0000_0000_0000 + number);
    let check = json!({
        "check_guid": guid, "account_id": account.to_string(), "restaurant_code": 1, "unit_code": 1,
        "external_number": format!("D-{number}"), "bonus_spent": 0, "discount": 0, "bonus_accrued": 7_700, "money_spent": 154_000,
    });
    let refill = json!({ "account_id": account.to_string(), "amount": 5_000, "comment": "За отзыв" });
    let checked = cabinet.request(Method::POST, "/partner/v1/checks");
    let refilled = cabinet.request(Method::POST, "/partner/v1/refills");
    let key = format!("k{number}");
    [
        send(checked.bearer_auth(KEY).json(&check)).await,
        send(refilled.bearer_auth(KEY).header("idempotency-key", key).json(&refill)).await,
    ]
}

async fn account(probonus: &ProBonus) -> i64 {
    let guests = probonus.control(Method::GET, "/guests", json!({})).await;
    guests["guests"][0]["account_id"].as_i64().expect("Anna has an account")
}

/// How the older state is brought back.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// A copy of the running state, over the file.
    File,
    /// The whole folder as it was at a stop.
    Folder,
    /// Nothing is left of the state but what stands beside it.
    Nothing,
}

#[tokio::test]
async fn what_was_booked_after_a_backup_is_found_and_not_booked_again() {
    for way in [Way::File, Way::Folder, Way::Nothing] {
        let (probonus, store) = (ProBonus::start(&Clock::system()).await, sqlite());
        let account = account(&probonus).await;
        let folder = store.folder.as_ref().expect("a folder").path().to_owned();
        let copies = tempfile::tempdir().expect("a folder");
        let cabinet = start(&probonus, &store).await;
        for answer in order(&cabinet, account, 1).await {
            assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        }
        back_up(way, &store, &folder, copies.path()).await;
        let cabinet = match way {
            Way::Folder => {
                cabinet.running.stop().await;
                copy_all(&folder, copies.path());
                start(&probonus, &store).await
            }
            Way::File | Way::Nothing => cabinet,
        };
        let before = order(&cabinet, account, 2).await;
        for answer in &before {
            assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        }
        cabinet.running.stop().await;
        bring_back(way, &folder, copies.path());
        let cabinet = start(&probonus, &store).await;
        let again = order(&cabinet, account, 2).await;
        for (answer, before) in again.iter().zip(&before) {
            assert_eq!(answer.json()["state"], "registered", "{way:?} {}", answer.text);
            assert_eq!(answer.header("idempotent-replayed"), Some("true"), "{way:?}");
            assert_eq!(answer.json()["operation_id"], before.json()["operation_id"]);
        }
        let calls = (probonus.calls("register_check").await, probonus.calls("refill").await);
        assert_eq!(calls, (2, 2), "{way:?}");
        // What is new goes on as before.
        for answer in order(&cabinet, account, 3).await {
            assert_eq!(answer.status, StatusCode::CREATED, "{way:?} {}", answer.text);
        }
        cabinet.running.stop().await;
    }
}

async fn back_up(way: Way, store: &TestStore, folder: &std::path::Path, copies: &std::path::Path) {
    if let Way::File = way {
        assert!(folder.join("state.db").exists());
        let mut connection = sqlx::SqliteConnection::connect(&store.url)
            .await
            .expect("the state opens");
        let sql = format!("VACUUM INTO '{}'", copies.join("state.db").display());
        let done = sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await;
        done.expect("a copy");
    }
}

fn copy_all(from: &std::path::Path, to: &std::path::Path) {
    for file in std::fs::read_dir(from).expect("a folder") {
        let file = file.expect("a file");
        std::fs::copy(file.path(), to.join(file.file_name())).expect("copied");
    }
}

fn bring_back(way: Way, folder: &std::path::Path, copies: &std::path::Path) {
    for name in ["state.db-wal", "state.db-shm"] {
        let _ = std::fs::remove_file(folder.join(name));
    }
    match way {
        Way::File => drop(std::fs::copy(copies.join("state.db"), folder.join("state.db")).expect("brought back")),
        Way::Folder => copy_all(copies, folder),
        Way::Nothing => std::fs::remove_file(folder.join("state.db")).expect("removed"),
    }
}

#[tokio::test]
async fn a_postgresql_that_was_brought_back_is_known_too() {
    let Some(store) = postgres().await else { return };
    let probonus = ProBonus::start(&Clock::system()).await;
    let account = account(&probonus).await;
    let mut url = url::Url::parse(&store.url).expect("an address");
    let name = url.path().trim_start_matches('/').to_owned();
    url.set_path("postgres");
    let mut server = PgConnection::connect(url.as_str())
        .await
        .expect("the test server answers");
    let mut run = async |sql: String| {
        let done = sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut server).await;
        done.expect("done");
    };
    start(&probonus, &store).await.running.stop().await;
    run(format!("CREATE DATABASE {name}_copy TEMPLATE {name}")).await;
    let cabinet = start(&probonus, &store).await;
    let before = order(&cabinet, account, 2).await;
    cabinet.running.stop().await;
    run(format!("DROP DATABASE {name}")).await;
    run(format!("ALTER DATABASE {name}_copy RENAME TO {name}")).await;
    let cabinet = start(&probonus, &store).await;
    for (answer, before) in order(&cabinet, account, 2).await.iter().zip(before) {
        assert_eq!(answer.json()["state"], "registered", "{}", answer.text);
        assert_eq!(answer.json()["operation_id"], before.json()["operation_id"]);
    }
    let calls = (probonus.calls("register_check").await, probonus.calls("refill").await);
    assert_eq!(calls, (1, 1));
    cabinet.running.stop().await;
}

#[tokio::test]
async fn a_restart_is_no_restore() {
    let (probonus, store) = (ProBonus::start(&Clock::system()).await, sqlite());
    let account = account(&probonus).await;
    for number in 1..4 {
        let cabinet = start(&probonus, &store).await;
        for answer in order(&cabinet, account, number).await {
            assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        }
        cabinet.running.stop().await;
    }
    // One read before the first write learns how ids are written; none looks for an order.
    assert_eq!(probonus.calls("transactions").await, 3);
}
