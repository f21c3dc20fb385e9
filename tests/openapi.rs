//! The API's own description, held against the router and against a real server's answers.

use crate::support::client::{Answer, get, send};
use crate::support::edge::Edge;
use crate::support::sse::Stream;
use crate::support::upstream::Upstream;
use http::Request;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The document, and what it says of answers.
pub struct Document(Value);

impl Document {
    pub async fn of(edge: &Edge) -> Document {
        let answer = get(edge.admin, "/api/v1/openapi.json").await;
        assert_eq!(answer.status, 200);
        Document(answer.json())
    }

    /// Panics unless the answer is as the document says.
    pub fn allows(&self, method: &str, path: &str, answer: &Answer) {
        let operation = &self.0["paths"][path][method];
        let status = answer.status.as_u16().to_string();
        let responses = &operation["responses"];
        let said = responses.get(&status).unwrap_or(&responses["default"]);
        let kind = answer
            .header("content-type")
            .split(';')
            .next()
            .unwrap_or_default();
        let content = &said["content"][kind];
        assert!(
            content.is_object(),
            "{method} {path}: {status} with {kind} is not described"
        );
        if kind == "application/json" {
            self.fits(&content["schema"], &answer.json());
        }
    }

    /// Panics unless `value` is as the schema, with the components of this document, says.
    pub fn fits(&self, schema: &Value, value: &Value) {
        let mut whole = schema.clone();
        whole["components"] = closed(&self.0["components"]);
        let validator = jsonschema::draft202012::new(&whole).expect("a schema");
        let errors: Vec<String> = validator
            .iter_errors(value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:?} in {value:#}");
    }
}

/// With no properties but those that are named, so that none is forgotten.
fn closed(schema: &Value) -> Value {
    match schema {
        Value::Object(object) => {
            let inner = object
                .iter()
                .map(|(key, value)| (key.clone(), closed(value)));
            let mut object: serde_json::Map<_, _> = inner.collect();
            if object.get("properties").is_some_and(Value::is_object) {
                object.insert("additionalProperties".to_owned(), json!(false));
            }
            Value::Object(object)
        }
        Value::Array(items) => items.iter().map(closed).collect(),
        other => other.clone(),
    }
}

async fn edge(upstream: &Upstream) -> Edge {
    let services = format!(
        "services: {{ legacy: {{ addresses: [\"{}\"], healthcheck: {{ type: http, path: /api/v1/_health, interval: 100ms }} }} }}\n",
        upstream.address
    );
    let edge = Edge::start(&services).await;
    edge.ready().await;
    edge
}

#[tokio::test]
async fn every_path_of_the_router_is_described_and_no_other() {
    let a = Upstream::start("A").await;
    let document = Document::of(&edge(&a).await).await;
    let mut described = BTreeSet::new();
    for (path, methods) in document.0["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            described.insert(format!("{method} {path}"));
        }
    }
    let source = include_str!("../src/admin/router.rs");
    let mut routed = BTreeSet::new();
    for after in source.split(".route(").skip(1) {
        let (_, after) = after.split_once('"').unwrap();
        let (path, after) = after.split_once('"').unwrap();
        let method = after.trim_start_matches([',', ' ', '\n']);
        let method = method.split('(').next().unwrap();
        routed.insert(format!("{method} {path}"));
    }
    assert!(routed.len() > 10, "{routed:?}");
    assert_eq!(described, routed);
}

#[tokio::test]
async fn the_document_holds_together() {
    let a = Upstream::start("A").await;
    let document = Document::of(&edge(&a).await).await.0;
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        assert!(jsonschema::meta::is_valid(schema), "{name}");
    }
    let text = document.to_string();
    for after in text.split("\"$ref\":\"").skip(1) {
        let target = after.split('"').next().unwrap();
        let found = document.pointer(target.strip_prefix('#').unwrap());
        assert!(found.is_some(), "nothing is at {target}");
    }
    let mut ids = BTreeSet::new();
    for methods in document["paths"].as_object().unwrap().values() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(ids.insert(operation["operationId"].to_string()));
            assert_eq!(operation.get("security").is_some(), method == "post");
        }
    }
}

#[tokio::test]
async fn a_real_servers_answers_are_as_described() {
    let a = Upstream::start("A").await;
    let edge = edge(&a).await;
    a.set_healthy(false);
    edge.shows("legacy", "0=sick", std::time::Duration::from_secs(20))
        .await;
    let document = Document::of(&edge).await;
    for path in document.0["paths"].as_object().unwrap().keys() {
        if document.0["paths"][path].get("get").is_none() {
            continue;
        }
        let (here, nowhere) = match path.as_str() {
            "/dashboard/{file}" => (path.replace("{file}", "main.js"), "/dashboard/nope".into()),
            _ => (
                path.replace("{name}", "legacy"),
                path.replace("{name}", "nope"),
            ),
        };
        let answer = get(edge.admin, &here).await;
        document.allows("get", path, &answer);
        if path.contains('{') {
            let answer = get(edge.admin, &nowhere).await;
            assert_eq!(answer.status, 404);
            document.allows("get", path, &answer);
        }
    }
    for (path, status) in [
        ("/api/v1/events?after=x", 400),
        ("/api/v1/events?service=nope", 404),
    ] {
        let answer = get(edge.admin, path).await;
        assert_eq!(answer.status, status);
        document.allows("get", "/api/v1/events", &answer);
    }
    let mut stream = Stream::open(edge.admin, "/api/v1/events?follow&state", &[]).await;
    let of = |name| json!({ "$ref": format!("#/components/schemas/{name}") });
    for _ in 0..3 {
        let message = stream.next().await.unwrap();
        let name = if message.name == "state" {
            "State"
        } else {
            "Told"
        };
        document.fits(&of(name), &message.json());
    }

    let token = std::fs::read_to_string(edge.folder.path().join("admin-token")).unwrap();
    let (token, wrong) = (format!("Bearer {token}"), "Bearer wrong".to_owned());
    for (path, token, body, status) in [
        ("/api/v1/reload", &wrong, "", 401),
        ("/api/v1/reload", &token, "", 200),
        ("/api/v1/token", &wrong, "", 401),
        ("/api/v1/token", &token, "", 200),
        (
            "/api/v1/services/{name}/scale",
            &token,
            r#"{"replicas":2}"#,
            422,
        ),
        (
            "/api/v1/services/{name}/scale",
            &token,
            r#"{"replicas":"auto"}"#,
            422,
        ),
        ("/api/v1/services/{name}/deploy", &token, "{}", 422),
        (
            "/api/v1/services/{name}/drain",
            &token,
            r#"{"slot":0}"#,
            422,
        ),
        (
            "/api/v1/services/{name}/drain",
            &token,
            r#"{"port":0}"#,
            422,
        ),
        ("/api/v1/services/{name}/drain", &token, "slot", 400),
    ] {
        let request = Request::post(path.replace("{name}", "legacy"))
            .header("authorization", token)
            .header("content-type", "application/json");
        let answer = send(edge.admin, request, body).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        document.allows("post", path, &answer);
    }
}
