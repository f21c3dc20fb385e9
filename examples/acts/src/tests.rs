//! The API, called without a network. Signals, exits and shared files are in `tests/processes.rs`.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::act::{IMAGE_LIMIT, Timestamp};
use crate::app::App;
use crate::body::BODY_LIMIT;
use crate::gate::REPLICA;
use crate::store::Store;
use crate::switches::Switches;

struct Acts {
    router: Router,
    data: TempDir,
}

impl Acts {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(environment: &[(&str, &str)]) -> Self {
        let data = TempDir::new().unwrap();
        let switches = switches(environment).unwrap();
        let store = Store::open(data.path()).await.unwrap();
        Self {
            router: crate::api::router(Arc::new(App::new(store, switches))),
            data,
        }
    }

    async fn call(&self, method: &str, path: &str, body: impl Into<Body>) -> Response {
        let request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(if path.starts_with('/') {
                path.into()
            } else {
                format!("/api/v1/{path}")
            })
            .body(body.into())
            .unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// The status and the JSON of an answer; null when there is no body.
    async fn ask(&self, method: &str, path: &str, body: impl Into<Body>) -> (u16, Value) {
        let response = self.call(method, path, body).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let json = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&body).unwrap()
        };
        (status, json)
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.ask("GET", path, "").await
    }

    async fn post(&self, path: &str, body: Value) -> u16 {
        self.ask("POST", path, body.to_string()).await.0
    }

    /// The status and the message of a request that should fail.
    async fn refusal(&self, method: &str, path: &str, body: impl Into<Body>) -> (u16, String) {
        let (status, body) = self.ask(method, path, body).await;
        let message = body["error"]
            .as_str()
            .unwrap_or_else(|| panic!("{status} {body}"));
        (status, message.to_owned())
    }
}

fn switches(environment: &[(&str, &str)]) -> Result<Switches, String> {
    Switches::from(|name| {
        environment
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.to_string())
    })
}

fn act(id: i64) -> Value {
    json!({
        "actId": id,
        "username": "ada",
        "timestamp": "29-02-2024:05-04-03",
        "caption": "planted a tree",
        "categoryName": "trees",
        "imgB64": STANDARD.encode(b"a tree"),
    })
}

fn act_with(field: &str, value: impl Into<Value>) -> String {
    let mut act = act(1);
    act[field] = value.into();
    act.to_string()
}

#[tokio::test]
async fn a_new_service_is_healthy_and_empty() {
    let acts = Acts::start().await;
    assert_eq!(acts.get("_health").await, (200, Value::Null));
    assert_eq!(acts.get("categories").await, (200, json!({})));
    assert_eq!(acts.get("acts/count").await, (200, json!([0])));
}

#[tokio::test]
async fn categories_are_added_once_counted_and_removed_with_their_acts() {
    let acts = Acts::start().await;
    assert_eq!(
        acts.ask("POST", "categories", r#"["trees"]"#).await,
        (201, json!({}))
    );
    assert_eq!(
        acts.ask("POST", "categories", r#"["a b/c?"]"#).await,
        (201, json!({}))
    );
    assert_eq!(acts.post("categories", json!(["trees"])).await, 400);
    assert_eq!(acts.post("acts", act(1)).await, 201);
    assert_eq!(
        acts.get("categories").await,
        (200, json!({"a b/c?": 0, "trees": 1}))
    );
    assert_eq!(
        acts.get("categories/a%20b%2Fc%3F/acts/size").await,
        (200, json!([0]))
    );

    assert_eq!(
        acts.ask("DELETE", "categories/trees", "").await,
        (200, json!({}))
    );
    assert_eq!(acts.ask("DELETE", "categories/trees", "").await.0, 404);
    assert_eq!(acts.get("acts/count").await, (200, json!([0])));
}

#[tokio::test]
async fn a_category_is_a_list_of_one_proper_name() {
    let acts = Acts::start().await;
    let long = json!(["x".repeat(300)]).to_string();
    for body in [
        "",
        "[]",
        "trees",
        r#"["a","b"]"#,
        "[1]",
        "{}",
        r#"[""]"#,
        "\u{1}",
        &long,
    ] {
        assert_eq!(
            acts.refusal("POST", "categories", body.to_owned()).await.0,
            400,
            "{body:?}"
        );
    }
    assert_eq!(acts.get("categories").await, (200, json!({})));
}

#[tokio::test]
async fn acts_are_listed_newest_first_and_by_range() {
    let acts = Acts::start().await;
    acts.post("categories", json!(["trees"])).await;
    let days = ["03-01-2024", "01-02-2024", "02-01-2025"];
    for (id, day) in days.iter().enumerate() {
        let mut act = act(id as i64);
        act["timestamp"] = json!(format!("{day}:00-00-00"));
        assert_eq!(acts.post("acts", act).await, 201);
    }
    let ids = async |path: &str| {
        let (status, list) = acts.get(path).await;
        assert_eq!(status, 200, "{list}");
        list.as_array()
            .unwrap()
            .iter()
            .map(|act| act["actId"].as_i64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids("categories/trees/acts").await, [2, 1, 0]);
    assert_eq!(ids("categories/trees/acts?start=1&end=2").await, [2, 1]);
    assert_eq!(ids("categories/trees/acts?start=3&end=3").await, [0]);
    assert_eq!(ids("categories/trees/acts?start=2&end=50").await, [1, 0]);
    let far = i64::MAX as u64 + 10;
    assert!(
        ids(&format!("categories/trees/acts?start={far}&end={far}"))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn an_act_comes_back_as_it_was_posted() {
    let acts = Acts::start().await;
    acts.post("categories", json!(["trees"])).await;
    acts.post("acts", act(7)).await;
    assert_eq!(acts.post("acts/upvote", json!([7])).await, 200);
    assert_eq!(acts.post("acts/upvote", json!([8])).await, 404);

    let (_, listed) = acts.get("categories/trees/acts").await;
    let mut expected = act(7);
    expected["upvotes"] = json!(1);
    expected.as_object_mut().unwrap().remove("categoryName");
    assert_eq!(listed, json!([expected]));

    assert_eq!(acts.ask("DELETE", "acts/7", "").await, (200, json!({})));
    assert_eq!(
        acts.refusal("DELETE", "acts/7", "").await,
        (404, "there is no act 7".into())
    );
    assert_eq!(acts.ask("DELETE", "acts/seven", "").await.0, 404);
}

#[tokio::test]
async fn a_range_that_makes_no_sense_is_refused() {
    let acts = Acts::start().await;
    acts.post("categories", json!(["trees"])).await;
    for range in [
        "start=0&end=1",
        "start=2&end=1",
        "start=1",
        "end=1",
        "start=a&end=b",
        "start=-1&end=1",
    ] {
        let path = format!("categories/trees/acts?{range}");
        assert_eq!(acts.refusal("GET", &path, "").await.0, 400, "{range}");
    }
    assert_eq!(acts.refusal("GET", "categories/none/acts", "").await.0, 404);
    assert_eq!(
        acts.refusal("GET", "categories/none/acts/size", "").await.0,
        404
    );
}

#[tokio::test]
async fn more_than_a_hundred_acts_take_a_range() {
    let acts = Acts::start().await;
    acts.post("categories", json!(["trees"])).await;
    for id in 0..100 {
        assert_eq!(acts.post("acts", act(id)).await, 201);
    }
    assert_eq!(acts.get("categories/trees/acts").await.0, 200);
    acts.post("acts", act(100)).await;
    assert_eq!(
        acts.refusal("GET", "categories/trees/acts", "").await.0,
        413
    );
    assert_eq!(
        acts.get("categories/trees/acts?start=1&end=100").await.0,
        200
    );
    assert_eq!(
        acts.refusal("GET", "categories/trees/acts?start=1&end=101", "")
            .await
            .0,
        413
    );
    assert_eq!(
        acts.get("categories/trees/acts/size").await,
        (200, json!([101]))
    );
}

#[tokio::test]
async fn photos_that_would_not_fit_one_answer_are_refused_not_gathered() {
    let acts = Acts::start().await;
    acts.post("categories", json!(["trees"])).await;
    let image = STANDARD.encode(vec![0; IMAGE_LIMIT]);
    for id in 1..=5 {
        let mut act = act(id);
        act["imgB64"] = json!(image);
        assert_eq!(acts.post("acts", act).await, 201);
    }
    assert_eq!(acts.get("categories/trees/acts?start=1&end=3").await.0, 200);
    assert_eq!(
        acts.refusal("GET", "categories/trees/acts", "").await.0,
        413
    );
}

#[tokio::test]
async fn a_bad_act_is_refused_with_the_reason() {
    let acts = Acts::start().await;
    acts.post("categories", json!(["trees"])).await;
    acts.post("acts", act(2)).await;
    let table = [
        (act(2).to_string(), "act 2 exists already"),
        (
            act_with("categoryName", "none"),
            "there is no category \"none\"",
        ),
        (
            act_with("timestamp", "2024-02-29 03:04:05"),
            "DD-MM-YYYY:SS-MM-HH",
        ),
        (
            act_with("timestamp", "29-02-2023:00-00-00"),
            "DD-MM-YYYY:SS-MM-HH",
        ),
        (act_with("imgB64", "not base64!"), "not base64"),
        (act_with("imgB64", "YQ"), "not base64"),
        (act_with("username", ""), "a username has"),
        (act_with("actId", "1"), "expected i64"),
        (act_with("actId", 1.5), "expected i64"),
        (act_with("caption", Value::Null), "expected a string"),
        ("{}".into(), "missing field"),
        ("[".repeat(100_000), "reading the body"),
        (r#""\ud800""#.into(), "reading the body"),
    ];
    for (body, reason) in table {
        let (status, message) = acts.refusal("POST", "acts", body.clone()).await;
        assert_eq!(status, 400, "{message}");
        assert!(
            message.contains(reason),
            "{message:?} does not say {reason:?}"
        );
    }
    assert_eq!(acts.get("acts/count").await, (200, json!([1])));
}

#[tokio::test]
async fn an_image_of_ten_mebibytes_is_taken_and_a_larger_one_is_not() {
    let acts = Acts::start().await;
    acts.post("categories", json!(["trees"])).await;
    let largest = act_with("imgB64", STANDARD.encode(vec![0; IMAGE_LIMIT]));
    assert_eq!(acts.ask("POST", "acts", largest).await.0, 201);
    let larger = act_with("imgB64", STANDARD.encode(vec![0; IMAGE_LIMIT + 1]));
    assert_eq!(acts.refusal("POST", "acts", larger).await.0, 413);
    assert_eq!(
        acts.refusal("POST", "acts", vec![b' '; BODY_LIMIT + 1])
            .await
            .0,
        413
    );
    assert_eq!(
        acts.refusal("POST", "_echo", vec![b' '; BODY_LIMIT * 6])
            .await
            .0,
        413
    );
}

#[test]
fn a_timestamp_is_a_real_time_and_sorts_by_age() {
    let read = |text: &str| Timestamp::try_from(text.to_owned());
    for text in [
        "29-02-2000:59-58-23",
        "31-12-9999:00-00-00",
        "01-01-0001:00-00-00",
    ] {
        assert_eq!(read(text).unwrap().to_string(), text);
    }
    for text in [
        "29-02-1900:00-00-00",
        "31-04-2024:00-00-00",
        "00-01-2024:00-00-00",
        "01-13-2024:00-00-00",
        "01-01-2024:60-00-00",
        "01-01-2024:00-60-00",
        "01-01-2024:00-00-24",
        "1-1-2024:00-00-00",
        "01-01-2024:00-00-0",
        "01-01-2024:00-00-000",
        "01/01/2024:00-00-00",
        "+1-01-2024:00-00-00",
        "",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
    // Seconds, minutes, hours: the hour is written last and weighs most.
    assert!(read("01-01-2024:00-00-02").unwrap() > read("01-01-2024:59-59-01").unwrap());
}

#[tokio::test]
async fn requests_are_counted_except_those_about_the_process() {
    let acts = Acts::start().await;
    for path in [
        "categories",
        "acts/count",
        "nowhere",
        "_echo",
        "_health",
        "_count",
        "/elsewhere",
    ] {
        acts.get(path).await;
    }
    assert_eq!(acts.get("_count").await, (200, json!([4])));
    assert_eq!(acts.ask("DELETE", "_count", "").await.0, 200);
    assert_eq!(acts.get("_count").await, (200, json!([0])));
}

#[tokio::test]
async fn after_a_crash_every_route_answers_500() {
    let acts = Acts::start().await;
    assert_eq!(acts.post("_crash", json!({})).await, 200);
    assert_eq!(acts.get("_health").await, (500, Value::Null));
    for path in [
        "categories",
        "_count",
        "nowhere",
        "_crash",
        "/",
        "/app/ping",
    ] {
        assert_eq!(acts.refusal("GET", path, "").await.0, 500, "{path}");
    }
    let page = acts.call("GET", "/app", "").await;
    assert_eq!(page.status(), 500);
    let body = page.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert!(text.contains("http-equiv=\"refresh\""), "{text}");
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_say_so_in_json() {
    let acts = Acts::start().await;
    for path in [
        "/",
        "/api/v1",
        "/api/v2/categories",
        "nowhere",
        "categories/",
        "acts/1/2",
        "/%2e%2e/",
    ] {
        assert_eq!(acts.refusal("GET", path, "").await.0, 404, "{path}");
    }
    for (method, path) in [
        ("GET", "_crash"),
        ("PUT", "categories"),
        ("DELETE", "acts/count"),
        ("BREW", "acts"),
        ("GET", "acts/1"),
    ] {
        assert_eq!(
            acts.refusal(method, path, "").await.0,
            405,
            "{method} {path}"
        );
    }
    let wrong = acts.call("PUT", "categories", "").await;
    assert_eq!(wrong.headers()["allow"], "GET,HEAD,POST");
    assert_eq!(acts.refusal("DELETE", "categories/%ff", "").await.0, 400);
}

#[tokio::test]
async fn every_answer_says_who_gave_it() {
    let acts = Acts::start().await;
    for path in ["_health", "categories", "nowhere", "_sleep"] {
        assert!(
            !acts.call("GET", path, "").await.headers()[REPLICA].is_empty(),
            "{path}"
        );
    }
}

#[tokio::test]
async fn echo_tells_what_arrived() {
    let acts = Acts::start().await;
    let request = Request::builder()
        .method("PROPFIND")
        .uri("/api/v1/_echo?a=%20b")
        .header("x-twice", "one")
        .header("X-Twice", "two")
        .body(Body::from(vec![0, 255, 10]))
        .unwrap();
    let response = acts.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(
        serde_json::from_slice::<Value>(&body).unwrap(),
        json!({
            "method": "PROPFIND",
            "uri": "/api/v1/_echo?a=%20b",
            "headers": {"x-twice": ["one", "two"]},
            "bodyLength": 3,
            "body": "AP8K",
        })
    );
}

#[tokio::test]
async fn sleep_answers_late_but_not_later_than_a_minute() {
    let acts = Acts::start().await;
    let started = Instant::now();
    assert_eq!(acts.get("_sleep?ms=50").await.0, 200);
    assert!(started.elapsed() >= Duration::from_millis(50));
    for query in ["", "?ms=60001", "?ms=-1", "?ms=soon"] {
        assert_eq!(
            acts.refusal("GET", &format!("_sleep{query}"), "").await.0,
            400,
            "{query}"
        );
    }
}

#[tokio::test]
async fn answers_can_be_delayed_except_that_of_the_health_check() {
    let acts = Acts::start_with(&[("ACTS_ANSWER_DELAY_MS", "1000")]).await;
    let started = Instant::now();
    assert_eq!(acts.get("_health").await.0, 200);
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(acts.get("categories").await.0, 200);
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn health_can_be_made_to_fail() {
    let acts = Acts::start_with(&[("ACTS_FAIL_HEALTH", "1")]).await;
    assert_eq!(acts.get("_health").await, (500, Value::Null));
    assert_eq!(acts.get("categories").await.0, 200);
}

#[tokio::test]
async fn a_hung_service_answers_nothing() {
    let acts = Acts::start_with(&[("ACTS_HANG_AFTER_MS", "200")]).await;
    let in_flight = acts.get("_sleep?ms=300");
    assert!(
        tokio::time::timeout(Duration::from_millis(700), in_flight)
            .await
            .is_err()
    );
    let health = acts.get("_health");
    assert!(
        tokio::time::timeout(Duration::from_millis(200), health)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn health_checks_do_not_grow_the_database() {
    let acts = Acts::start().await;
    acts.get("_health").await;
    let file = acts.data.path().join("acts.db");
    let before = std::fs::metadata(&file).unwrap().len();
    // Enough to pass SQLite's checkpoint, which is every 1000 pages.
    for _ in 0..2500 {
        assert_eq!(acts.get("_health").await.0, 200);
    }
    let wal = std::fs::metadata(acts.data.path().join("acts.db-wal"))
        .unwrap()
        .len();
    assert!(wal < 8 << 20, "{wal}");
    assert!(std::fs::metadata(&file).unwrap().len() <= before.max(64 << 10));
}

#[test]
fn a_switch_that_cannot_be_read_is_named() {
    let error = switches(&[("ACTS_START_DELAY_MS", "1s")]).unwrap_err();
    assert_eq!(
        error,
        "ACTS_START_DELAY_MS is `1s`, expected a number of milliseconds"
    );
    assert!(switches(&[("ACTS_LISTEN", "80")]).is_err());
    let unset = switches(&[("ACTS_FAIL_HEALTH", ""), ("ACTS_DATA", "")]).unwrap();
    assert_eq!(
        (unset.fail_health, unset.data.to_str()),
        (false, Some("/data"))
    );
}

/// The first bytes of a PNG, and some that no other test has.
fn png() -> Vec<u8> {
    [&b"\x89PNG\r\n\x1a\n"[..], b"not shown by anyone"].concat()
}

fn photos(acts: &Acts) -> usize {
    let folder = acts.data.path().join("photos");
    std::fs::read_dir(folder).unwrap().count()
}

#[tokio::test]
async fn a_photo_comes_back_as_it_was_sent_and_may_be_kept_under_its_digest() {
    let acts = Acts::start().await;
    acts.post("categories", json!(["trees"])).await;
    let sent = act_with("imgB64", STANDARD.encode(png()));
    assert_eq!(acts.ask("POST", "acts", sent).await.0, 201);

    let (_, cards) = acts.get("acts").await;
    let digest = cards[0]["imgSha256"].as_str().unwrap().to_owned();
    let named = acts
        .call("GET", &format!("acts/1/image?v={digest}"), "")
        .await;
    assert_eq!(named.headers()["content-type"], "image/png");
    assert!(
        named.headers()["cache-control"]
            .to_str()
            .unwrap()
            .contains("immutable")
    );
    let body = named.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, png());

    // Under any other name it is asked for again each time.
    for path in ["acts/1/image", "acts/1/image?v=0"] {
        let plain = acts.call("GET", path, "").await;
        assert_eq!(plain.headers()["cache-control"], "no-cache");
        assert_eq!(plain.headers()["etag"], format!("\"{digest}\""));
    }
    let request = Request::get("/api/v1/acts/1/image")
        .header("if-none-match", format!("\"{digest}\""))
        .body(Body::empty())
        .unwrap();
    let known = acts.router.clone().oneshot(request).await.unwrap();
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);

    for path in ["acts/2/image", "acts/one/image"] {
        assert_eq!(acts.refusal("GET", path, "").await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn what_is_no_photo_is_never_shown_as_anything() {
    let acts = Acts::start().await;
    acts.post("categories", json!(["trees"])).await;
    let page = b"<script>alert(1)</script>";
    let sent = act_with("imgB64", STANDARD.encode(page));
    assert_eq!(acts.ask("POST", "acts", sent).await.0, 201);
    let image = acts.call("GET", "acts/1/image", "").await;
    for (name, value) in [
        ("content-type", "application/octet-stream"),
        ("content-disposition", "attachment"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox"),
    ] {
        assert_eq!(image.headers()[name], value);
    }
}

#[tokio::test]
async fn a_photo_that_is_not_what_it_is_said_to_be_is_refused() {
    let acts = Acts::start().await;
    acts.post("categories", json!(["trees"])).await;
    let mut act = act(1);
    act["imgB64"] = json!(STANDARD.encode(png()));
    for said in ["image/jpeg", "text/html", ""] {
        act["imgType"] = json!(said);
        let (status, why) = acts.refusal("POST", "acts", act.to_string()).await;
        assert_eq!((status, why), (400, format!("the image is not {said}")));
    }
    assert_eq!(photos(&acts), 0);
    act["imgType"] = json!("image/png");
    assert_eq!(acts.post("acts", act).await, 201);
}

#[tokio::test]
async fn cards_are_acts_of_one_or_of_all_categories_without_their_photos() {
    let acts = Acts::start().await;
    acts.post("categories", json!(["trees"])).await;
    acts.post("categories", json!(["a b&c"])).await;
    for id in 0..3 {
        let mut act = act(id);
        act["timestamp"] = json!(format!("0{}-01-2024:00-00-00", id + 1));
        act["categoryName"] = json!(["trees", "a b&c"][id as usize % 2]);
        assert_eq!(acts.post("acts", act).await, 201);
    }
    let ids = async |path: &str| {
        let (status, list) = acts.get(path).await;
        assert_eq!(status, 200, "{list}");
        let list = list.as_array().unwrap();
        assert!(list.iter().all(|card| card.get("imgB64").is_none()));
        list.iter()
            .map(|card| card["actId"].as_i64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids("acts").await, [2, 1, 0]);
    assert_eq!(ids("acts?start=2&end=9").await, [1, 0]);
    assert_eq!(ids("acts?category=trees").await, [2, 0]);
    assert_eq!(ids("acts?category=a%20b%26c&start=1&end=1").await, [1]);
    let (status, why) = acts.refusal("GET", "acts?category=none", "").await;
    assert_eq!((status, why), (404, "there is no category \"none\"".into()));
    assert_eq!(acts.refusal("GET", "acts?start=0&end=1", "").await.0, 400);
    assert_eq!(acts.refusal("GET", "acts?start=1&end=101", "").await.0, 413);
}

#[tokio::test]
async fn a_photo_goes_with_its_act_and_one_that_was_refused_leaves_nothing() {
    let acts = Acts::start().await;
    acts.post("categories", json!(["trees"])).await;
    acts.post("categories", json!(["birds"])).await;
    for id in 1..=3 {
        assert_eq!(acts.post("acts", act(id)).await, 201);
    }
    let birds = act_with("categoryName", "birds");
    assert_eq!(acts.refusal("POST", "acts", birds).await.0, 400, "known");
    let lost = act_with("categoryName", "none").replace(r#""actId":1"#, r#""actId":9"#);
    assert_eq!(acts.refusal("POST", "acts", lost).await.0, 400);
    assert_eq!(photos(&acts), 3);
    acts.ask("DELETE", "acts/2", "").await;
    assert_eq!(photos(&acts), 2);
    acts.ask("DELETE", "categories/trees", "").await;
    assert_eq!(photos(&acts), 0);
}

#[tokio::test]
async fn an_act_that_lost_its_photo_is_our_fault_and_says_so() {
    let acts = Acts::start().await;
    acts.post("categories", json!(["trees"])).await;
    acts.post("acts", act(1)).await;
    let folder = acts.data.path().join("photos");
    let file = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap();
    std::fs::remove_file(file.path()).unwrap();
    for path in ["acts/1/image", "categories/trees/acts"] {
        assert_eq!(acts.refusal("GET", path, "").await.0, 500, "{path}");
    }
    assert_eq!(acts.ask("DELETE", "acts/1", "").await.0, 200);
}

#[tokio::test]
async fn photos_without_an_act_are_swept_once_no_upload_can_be_waiting_for_them() {
    let acts = Acts::start().await;
    acts.post("categories", json!(["trees"])).await;
    acts.post("acts", act(1)).await;
    let folder = acts.data.path().join("photos");
    let kept = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap();
    let age = |path: &std::path::Path, minutes: u64| {
        let file = std::fs::File::options().append(true).open(path).unwrap();
        let then = std::time::SystemTime::now() - Duration::from_secs(minutes * 60);
        file.set_modified(then).unwrap();
    };
    for (name, minutes) in [("2-orphan", 11), ("3-under-way", 9)] {
        std::fs::write(folder.join(name), "a killed process wrote this").unwrap();
        age(&folder.join(name), minutes);
    }
    age(&kept.path(), 60);
    let store = Store::open(acts.data.path()).await.unwrap();
    assert_eq!(store.sweep().await.unwrap(), 1);
    assert!(!folder.join("2-orphan").exists());
    assert_eq!(photos(&acts), 2);
    assert_eq!(acts.call("GET", "acts/1/image", "").await.status(), 200);
}

#[tokio::test]
async fn a_database_from_before_photos_were_files_is_moved_over() {
    let data = TempDir::new().unwrap();
    let old = rusqlite::Connection::open(data.path().join("acts.db")).unwrap();
    old.execute_batch(
        "CREATE TABLE categories (name TEXT PRIMARY KEY) WITHOUT ROWID;
         CREATE TABLE acts (
            id INTEGER PRIMARY KEY, username TEXT NOT NULL, posted INTEGER NOT NULL,
            caption TEXT NOT NULL,
            category TEXT NOT NULL REFERENCES categories ON DELETE CASCADE,
            image BLOB NOT NULL, upvotes INTEGER NOT NULL DEFAULT 0);
         CREATE INDEX acts_by_age ON acts (category, posted, id);
         CREATE TABLE heartbeat (id INTEGER PRIMARY KEY, beats INTEGER NOT NULL);
         INSERT INTO categories VALUES ('trees');
         INSERT INTO acts VALUES (7, 'ada', 20240229030405, 'an oak', 'trees', x'6f616b', 4);",
    )
    .unwrap();
    drop(old);
    for _ in 0..2 {
        let store = Store::open(data.path()).await.unwrap();
        let switches = switches(&[]).unwrap();
        let router = crate::api::router(Arc::new(App::new(store, switches)));
        let request = Request::get("/api/v1/categories/trees/acts")
            .body(Body::empty())
            .unwrap();
        let body = router.oneshot(request).await.unwrap().into_body();
        let body = body.collect().await.unwrap().to_bytes();
        assert_eq!(
            serde_json::from_slice::<Value>(&body).unwrap(),
            json!([{
                "actId": 7, "username": "ada", "timestamp": "29-02-2024:05-04-03",
                "caption": "an oak", "upvotes": 4, "imgB64": "b2Fr",
            }])
        );
    }
}

#[tokio::test]
async fn the_page_is_one_document_that_runs_nothing_but_its_own() {
    let acts = Acts::start().await;
    for path in ["/app", "/app/"] {
        let page = acts.call("GET", path, "").await;
        assert_eq!(page.status(), 200);
        assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
        assert_eq!(page.headers()["cache-control"], "no-cache");
        let policy = page.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let body = page.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        for foreign in ["src=\"http", "href=\"http", "url(", "@import", "innerHTML"] {
            assert!(!text.contains(foreign), "{foreign}");
        }
        assert!(!text.contains("/*style*/") && !text.contains("/*script*/"));
    }
    for (path, kind) in [
        ("/app/worker.js", "text/javascript"),
        ("/app/manifest.webmanifest", "application/manifest+json"),
        ("/app/icon.svg", "image/svg+xml"),
        ("/app/icon-192.png", "image/png"),
        ("/app/icon-512.png", "image/png"),
    ] {
        let file = acts.call("GET", path, "").await;
        assert_eq!((file.status().as_u16(), path), (200, path));
        assert_eq!(file.headers()["content-type"], kind);
    }
}

#[tokio::test]
async fn a_ping_tells_whether_anything_has_changed() {
    let acts = Acts::start().await;
    let revision = async || acts.get("/app/ping").await.1["revision"].as_u64().unwrap();
    let mut before = revision().await;
    let changes = [
        ("POST", "categories", json!(["trees"])),
        ("POST", "acts", act(1)),
        ("POST", "acts/upvote", json!([1])),
        ("DELETE", "acts/1", Value::Null),
        ("DELETE", "categories/trees", Value::Null),
    ];
    for (method, path, body) in changes {
        assert!(acts.ask(method, path, body.to_string()).await.0 < 300);
        let after = revision().await;
        assert_ne!(after, before, "{method} {path}");
        before = after;
    }
    acts.get("_health").await;
    acts.get("categories").await;
    assert_eq!(revision().await, before);
}
