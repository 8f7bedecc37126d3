//! What people type and paste, and what other programs put around it, is taken as it is meant; what means something else is refused.

use bytes::Bytes;
use guest_cabinet::keys::{hex, sha256};
use http_body::Frame;
use http_body_util::StreamBody;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::cabinet::send;
use crate::support::house::{House, house};
use crate::support::{Answer, TestCabinet};

const ANNA: &str = "+79160000001";
const NOBODY: &str = "+79160000008";
const KEY: &str = "a delivery partner's key for tests";

/// A number as an address book copies it.
const PASTED: &str = "\u{202a}\u{ff0b}7\u{a0}916 000\u{2011}00\u{2011}01\u{202c}\n";

/// Asks for a code for Anna; the challenge's path and the code.
async fn challenge(cabinet: &TestCabinet) -> (String, String) {
    let asked = cabinet.post("/api/v1/auth/challenges", &json!({ "phone": ANNA })).await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.text);
    let id = asked.json()["challenge_id"].as_str().expect("an id").to_owned();
    (
        format!("/api/v1/auth/challenges/{id}"),
        cabinet.receiver.code(ANNA, 1).await,
    )
}

/// Signs Anna in with a cookie; its name and value.
async fn cookie(cabinet: &TestCabinet) -> String {
    let (path, code) = challenge(cabinet).await;
    let body = json!({ "code": code, "session": "cookie" });
    let verified = cabinet.post(&format!("{path}/verify"), &body).await;
    let cookie = verified.header("set-cookie").expect("a cookie").to_owned();
    cookie.split(';').next().expect("a pair").to_owned()
}

/// The first field's name and what is wrong with it.
fn wrong(answer: &Answer) -> (u16, Value, Value) {
    let first = &answer.json()["errors"][0];
    (answer.status.as_u16(), first["field"].clone(), first["code"].clone())
}

impl House {
    async fn sign_up(&self, token: &str, body: &Value) -> Answer {
        let request = self.cabinet.request(Method::POST, "/api/v1/me/registration");
        send(request.bearer_auth(token).json(body)).await
    }
}

#[tokio::test]
async fn a_pasted_phone_is_one_for_guests_partners_and_reviewers() {
    let partner = format!(
        "[partners.delivery]\nkey_sha256 = \"{}\"\nscopes = [\"refills\"]\nmax_refill = 500000\nmax_daily_refill = 600000\n\
         [[auth.test_phones]]\nphone = \"\u{202a}8 916 000\u{2011}00\u{2011}99\u{202c}\"\ncode = \"246810\"\nvalid_until = \"2027-01-31\"\n",
        hex(&sha256(KEY.as_bytes()))
    );
    let house = house(&partner).await;
    let asked = house
        .cabinet
        .post("/api/v1/auth/challenges", &json!({ "phone": PASTED }))
        .await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.text);
    assert_eq!(asked.json()["masked_phone"], "+7 916 ***-**-01");
    let refill = house
        .cabinet
        .request(Method::POST, "/partner/v1/refills")
        .bearer_auth(KEY);
    let refill = refill.header("idempotency-key", "k-1");
    let refilled = send(refill.json(&json!({ "phone": PASTED, "amount": 100 }))).await;
    assert_eq!(refilled.status, StatusCode::CREATED, "{}", refilled.text);
}

#[tokio::test]
async fn a_code_is_read_through_blanks_and_invisible_marks() {
    for (before, between, after) in [
        ("", " ", ""),
        ("\u{200e}", "\u{a0}", "\r\n"),
        ("\t", "\u{2009}\u{200b}", "\u{feff}"),
    ] {
        let house = house("").await;
        let (path, code) = challenge(&house.cabinet).await;
        let pasted = format!("{before}{}{between}{}{after}", &code[..3], &code[3..]);
        let body = json!({ "code": pasted, "session": "bearer" });
        let verified = house.cabinet.post(&format!("{path}/verify"), &body).await;
        assert_eq!(verified.status, StatusCode::OK, "{pasted:?} {}", verified.text);
    }
    let house = house("").await;
    let (path, code) = challenge(&house.cabinet).await;
    for other in [
        format!("{code}0"),
        code.replace(|_: char| true, "１"),
        format!("{}x", &code[..5]),
    ] {
        let body = json!({ "code": other, "session": "bearer" });
        let refused = house.cabinet.post(&format!("{path}/verify"), &body).await;
        assert_eq!(
            wrong(&refused),
            (422, json!("code"), json!("invalid_format")),
            "{other}"
        );
    }
}

#[tokio::test]
async fn a_name_is_composed_and_something_of_it_is_seen() {
    let house = house("[[program.form]]\nname = \"first_name\"\npattern = \"[А-Яа-яЁё -]+\"\nmax_length = 6\n").await;
    let token = house.cabinet.token(NOBODY).await;
    for unseen in [
        "\u{200b}",
        "\u{3164}",
        "\u{2800}",
        "\u{301}\u{308}",
        " \u{a0}",
        "\u{2066}\u{2069}",
    ] {
        let refused = house.sign_up(&token, &json!({ "first_name": unseen })).await;
        assert_eq!(
            wrong(&refused),
            (422, json!("first_name"), json!("required")),
            "{unseen:?}"
        );
    }
    let made = house
        .sign_up(&token, &json!({ "first_name": "\u{200b}Андреи\u{306} " }))
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!(made.json()["first_name"], "Андрей");
    // What was just written is shown for ten seconds whatever ProBonus says; then it is ProBonus that has the composed name.
    house.clock.advance(std::time::Duration::from_mins(2));
    let read = house
        .cabinet
        .request(Method::GET, "/api/v1/me/profile")
        .bearer_auth(&token);
    let profile = send(read.header("cache-control", "no-cache")).await;
    assert_eq!(profile.json()["first_name"], "Андрей", "{}", profile.text);
}

#[tokio::test]
async fn a_guest_of_one_name_signs_up_unless_the_form_asks_for_more() {
    let house = house("").await;
    let form = send(house.cabinet.request(Method::GET, "/api/v1/program")).await.json();
    let required: Vec<&Value> = form["form"]
        .as_array()
        .expect("a form")
        .iter()
        .filter(|f| f["required"] == true)
        .collect();
    assert_eq!(required.len(), 1, "{required:?}");
    let token = house.cabinet.token(NOBODY).await;
    let made = house.sign_up(&token, &json!({ "first_name": "Сукарно" })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!(made.json()["last_name"], Value::Null);

    let strict = crate::support::house::house(
        "[[program.form]]\nname = \"first_name\"\n[[program.form]]\nname = \"last_name\"\nrequired = true\n",
    );
    let strict = strict.await;
    let token = strict.cabinet.token(NOBODY).await;
    let refused = strict.sign_up(&token, &json!({ "first_name": "Сукарно" })).await;
    assert_eq!(wrong(&refused), (422, json!("last_name"), json!("required")));
}

#[tokio::test]
async fn an_address_with_an_invisible_mark_or_too_long_a_part_is_refused_by_its_field() {
    let house = house("").await;
    let token = house.cabinet.token(ANNA).await;
    for address in [
        "an\u{200b}na@example.ru".to_owned(),
        format!("{}@example.ru", "a".repeat(65)),
        format!("anna@{}.ru", "x".repeat(64)),
    ] {
        let request = house
            .cabinet
            .request(Method::PATCH, "/api/v1/me/profile")
            .bearer_auth(&token);
        let refused = send(request.json(&json!({ "email": address }))).await;
        assert_eq!(
            wrong(&refused),
            (422, json!("email"), json!("invalid_format")),
            "{address}"
        );
    }
}

#[tokio::test]
async fn only_our_own_cookie_must_be_well_formed() {
    let house = house("").await;
    let cabinet = &house.cabinet;
    let ours = cookie(cabinet).await;
    let value = |bytes: Vec<u8>| reqwest::header::HeaderValue::from_bytes(&bytes).expect("visible or above ASCII");
    let beside = value(["city=Москва; ".as_bytes(), ours.as_bytes()].concat());
    let before = value([ours.as_bytes(), "; city=Москва; a; =b".as_bytes()].concat());
    let read = || {
        cabinet
            .request(Method::GET, "/api/v1/me/balance")
            .header("x-cabinet", "1")
    };
    for request in [
        read().header("cookie", beside),
        read().header("cookie", before),
        read()
            .header("cookie", value("city=Москва".into()))
            .header("cookie", &ours),
        read().header("cookie", &ours).header("cookie", &ours),
    ] {
        let answer = send(request).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }
    let broken = value("session=Москва".into());
    assert_eq!(send(read().header("cookie", broken)).await.code(), "unauthenticated");
    let two = read().header("cookie", format!("{ours}; session=another"));
    assert_eq!(send(two).await.code(), "ambiguous_credentials");
}

#[tokio::test]
async fn only_a_bearer_competes_with_the_cookie() {
    let house = house("").await;
    let cabinet = &house.cabinet;
    let ours = cookie(cabinet).await;
    let read = || {
        cabinet
            .request(Method::GET, "/api/v1/me/balance")
            .header("x-cabinet", "1")
    };
    let with = |authorization: &'static str| read().header("cookie", &ours).header("authorization", authorization);
    for other in ["Basic dXNlcjpwYXNz", "Digest username=\"u\"", "Negotiate", ""] {
        let answer = send(with(other)).await;
        assert_eq!(answer.status, StatusCode::OK, "{other} {}", answer.text);
    }
    for bearer in ["Bearer x", "bearer x", "Bearer"] {
        assert_eq!(send(with(bearer)).await.code(), "ambiguous_credentials", "{bearer}");
    }
    assert_eq!(send(read().basic_auth("a", Some("b"))).await.code(), "unauthenticated");
    assert_eq!(
        send(read().bearer_auth("x").bearer_auth("y")).await.code(),
        "ambiguous_credentials"
    );
    let token = cabinet.token("+79160000002").await;
    let both = read().basic_auth("a", Some("b")).bearer_auth(token);
    assert_eq!(
        send(both).await.status,
        StatusCode::OK,
        "a proxy's own credentials are not the guest's"
    );
}

#[tokio::test]
async fn json_is_taken_with_a_byte_order_mark_and_under_its_other_names() {
    let house = house("").await;
    let body = "\u{feff}{\"phone\": \"not a phone\"}";
    for kind in [
        "application/json",
        "application/json; charset=utf8",
        "text/json",
        "text/json;charset=UTF-8",
    ] {
        let request = house
            .cabinet
            .request(Method::POST, "/api/v1/auth/challenges")
            .header("content-type", kind);
        assert_eq!(send(request.body(body)).await.code(), "phone_not_supported", "{kind}");
    }
    for kind in [
        "application/json; charset=windows-1251",
        "text/plain",
        "application/javascript",
    ] {
        let request = house
            .cabinet
            .request(Method::POST, "/api/v1/auth/challenges")
            .header("content-type", kind);
        assert_eq!(
            send(request.body(body)).await.code(),
            "unsupported_media_type",
            "{kind}"
        );
    }
}

#[tokio::test]
async fn an_empty_body_in_chunks_is_no_body_where_none_is_needed() {
    let house = house("").await;
    let (path, _) = challenge(&house.cabinet).await;
    let url = house.cabinet.running.url();
    let mut stream = tokio::net::TcpStream::connect(url.trim_start_matches("http://"))
        .await
        .expect("a connection");
    let request = format!(
        "POST {path}/resend HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("it is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    // Sixty seconds have not passed: the body was read, and the pause decides.
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");

    let chunked = |chunks: Vec<&'static str>| {
        let frames = chunks
            .into_iter()
            .map(|chunk| Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(chunk.as_bytes()))));
        reqwest::Body::wrap(StreamBody::new(futures_util::stream::iter(frames)))
    };
    let http = reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .build()
        .expect("a client");
    for chunks in [vec![], vec![""]] {
        let answer = send(http.post(format!("{url}{path}/resend")).body(chunked(chunks))).await;
        assert_eq!(answer.code(), "too_many_requests");
    }
    let untyped = send(http.post(format!("{url}{path}/resend")).body(chunked(vec!["", "{}"]))).await;
    assert_eq!(untyped.code(), "unsupported_media_type");
}

#[tokio::test]
async fn pages_in_apps_and_on_subdomains_may_call() {
    let house = house("[web]\nallowed_origins = [\"capacitor://localhost\", \"https://*.example.ru\"]\n").await;
    let ours = cookie(&house.cabinet).await;
    let from = |origin: &str| {
        let read = house.cabinet.request(Method::GET, "/api/v1/me/balance");
        read.header("x-cabinet", "1")
            .header("cookie", &ours)
            .header("origin", origin)
    };
    for origin in ["capacitor://localhost", "https://lk.example.ru"] {
        let answer = send(from(origin)).await;
        assert_eq!(answer.status, StatusCode::OK, "{origin} {}", answer.text);
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
    }
    for origin in [
        "ionic://localhost",
        "https://a.b.example.ru",
        "https://example.ru",
        "null",
    ] {
        let answer = send(from(origin)).await;
        assert_eq!(answer.code(), "origin_not_allowed", "{origin}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn a_partner_with_a_wrong_key_is_not_told_to_sign_in() {
    let house = house("").await;
    for key in ["", "Bearer wrong", "Basic YTpi"] {
        let request = house
            .cabinet
            .request(Method::GET, "/partner/v1/account-groups")
            .header("authorization", key);
        let refused = send(request).await;
        assert_eq!(refused.code(), "unauthenticated");
        assert_eq!(refused.json()["title"], "Ключ партнёра неверен или не указан");
        assert!(refused.header("www-authenticate").is_some());
    }
    let guest = send(house.cabinet.request(Method::GET, "/api/v1/me/balance")).await;
    assert_eq!(guest.json()["title"], "Нужно войти");
}
