//! The site: the built-in page or the operator's folder, never in the way of the API.

use guest_cabinet::clock::Clock;
use reqwest::{Method, StatusCode};

use crate::support::cabinet::{Answer, send};
use crate::support::{TestCabinet, TestStore, sqlite};

async fn cabinet(store: &TestStore, more: &str) -> TestCabinet {
    TestCabinet::start("http://127.0.0.1:9", "a token", &store.url, Clock::system(), more).await
}

async fn page(cabinet: &TestCabinet, path: &str) -> Answer {
    send(cabinet.request(Method::GET, path).header("accept", "text/html")).await
}

#[tokio::test]
async fn the_built_in_page_is_served_with_its_name_and_without_what_belongs_to_the_demo() {
    let store = sqlite();
    let cabinet = cabinet(&store, "[program]\nname_ru = \"Борщ & <b>\"\n").await;
    let home = page(&cabinet, "/").await;
    assert_eq!(home.status, StatusCode::OK);
    assert!(home.text.contains("<title>Борщ &amp; &lt;b&gt;</title>"));
    assert!(!home.text.contains("developer"), "the drawer is the demo's");
    let policy = home.header("content-security-policy").expect("a policy");
    assert!(policy.contains("connect-src 'self';"), "{policy}");
    for path in [
        "/developer/drawer.js",
        "/documents/rules.html",
        "/sandbox/index.html",
        "/demo.json",
    ] {
        assert_eq!(page(&cabinet, path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    for path in ["/sign-in", "/history", "/checks/10045", "/sign-in/", "/checks/10045/"] {
        assert_eq!(page(&cabinet, path).await.text, home.text, "{path}");
    }
    let nowhere = page(&cabinet, "/nowhere").await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
    assert_eq!(nowhere.text, home.text, "the page says that there is no such page");
    for path in ["/api/v1/nowhere", "/partner/v1/nowhere", "/nowhere.js"] {
        assert_eq!(page(&cabinet, path).await.code(), "not_found", "{path}");
    }
    let asked = send(cabinet.request(Method::GET, "/nowhere")).await;
    assert_eq!(asked.code(), "not_found", "programs are given a problem");
    let tag = home.header("etag").expect("a tag").to_owned();
    let again = send(cabinet.request(Method::GET, "/").header("if-none-match", tag)).await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    assert!(again.text.is_empty());
}

#[tokio::test]
async fn a_folder_replaces_the_page_and_never_the_api() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, text).expect("written");
    };
    write("index.html", "<title>%NAME%</title>ours");
    write("pictures/a.svg", "<svg/>");
    write("api/v1/program", "stolen");
    write("docs/index.html", "stolen");
    write(".git/config", "secret");
    let store = sqlite();
    let cabinet = cabinet(
        &store,
        &format!("[web]\nstatic_dir = \"{}\"\n", folder.path().display()),
    )
    .await;

    assert!(page(&cabinet, "/").await.text.ends_with("ours"));
    assert_eq!(
        page(&cabinet, "/pictures/a.svg").await.header("content-type"),
        Some("image/svg+xml")
    );
    assert!(page(&cabinet, "/a-screen/of-its-own").await.text.ends_with("ours"));
    assert_eq!(
        page(&cabinet, "/api/v1/program").await.json()["levels"],
        serde_json::json!([])
    );
    for path in [
        "/api/v1/nothing",
        "/partner/v1/nothing",
        "/.git/config",
        "/pictures/b.svg",
        "/css/base.css",
    ] {
        let answer = page(&cabinet, path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.code(), "not_found");
    }
    assert!(!page(&cabinet, "/docs/").await.text.contains("stolen"));
    let data = send(
        cabinet
            .request(Method::GET, "/a-screen")
            .header("accept", "application/json"),
    )
    .await;
    assert_eq!(
        data.status,
        StatusCode::NOT_FOUND,
        "a program that asks for data gets no page"
    );
}

#[tokio::test]
async fn a_page_that_is_switched_off_is_not_there() {
    let store = sqlite();
    let cabinet = cabinet(&store, "[web]\ncabinet = false\n").await;
    assert_eq!(page(&cabinet, "/").await.status, StatusCode::NOT_FOUND);
    assert_eq!(page(&cabinet, "/theme.css").await.status, StatusCode::NOT_FOUND);
    assert_eq!(page(&cabinet, "/api/v1/program").await.status, StatusCode::OK);
}
