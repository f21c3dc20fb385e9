//! The OpenAPI description.
//!
//! Schemas are derived from the types of the answers. Paths are written here; a test compares them with
//! the router and with answers of a real server.

use super::view;
use axum::Json;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// `GET /api/v1/openapi.json`
pub async fn document() -> Json<Value> {
    Json(describe())
}

fn describe() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|to| {
        to.definitions_path = "/components/schemas".into();
        to.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let paths = paths(&mut schemas);
    // Stands for itself where a stream is described, which has no schema.
    schemas.subschema_for::<view::StateJson>();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidegate",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What runs, what happened and why, and what may be asked for. Reading \
                            never changes anything. Writing needs the token, or the unix socket \
                            `admin.sock` in the state folder.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "http://127.0.0.1:9180" }],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "TIDEGATE_ADMIN_TOKEN, or the file `admin-token` in the state \
                                    folder",
                },
            },
        },
    })
}

fn paths(schemas: &mut SchemaGenerator) -> Value {
    let of_service = [parameter(
        "name",
        "path",
        json!({ "type": "string" }),
        "The service",
    )];
    let of_events = [
        query(
            "service",
            json!({ "type": "string" }),
            "Only events of this service",
        ),
        query("after", id_schema(), "Only later events"),
        query(
            "last",
            json!({ "type": "integer", "minimum": 0 }),
            "No more than the newest of these",
        ),
        query(
            "follow",
            json!({ "type": "boolean" }),
            "As a stream of new events",
        ),
        query(
            "state",
            json!({ "type": "boolean" }),
            "The stream has messages `state`, too",
        ),
        parameter(
            "Last-Event-ID",
            "header",
            id_schema(),
            "Continues the stream after this event",
        ),
    ];
    let mut paths = Map::new();
    let mut add = |path: &str, method: &str, operation: Value| {
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        methods[method] = operation;
    };

    let overview = answer::<view::Overview>(schemas, "Every service and its replicas");
    add(
        "/api/v1/services",
        "get",
        read("services", "What runs", &[], vec![(200, overview)], schemas),
    );
    let service = answer::<view::ServiceJson>(schemas, "The service");
    let answers = vec![(200, service), (404, problem(schemas))];
    add(
        "/api/v1/services/{name}",
        "get",
        read(
            "service",
            "One service and its replicas",
            &of_service,
            answers,
            schemas,
        ),
    );
    let decisions = answer::<view::DecisionsJson>(schemas, "The newest first");
    let answers = vec![(200, decisions), (404, problem(schemas))];
    add(
        "/api/v1/services/{name}/decisions",
        "get",
        read(
            "decisions",
            "Decisions on the number of replicas",
            &of_service,
            answers,
            schemas,
        ),
    );
    let certificates = answer::<view::CertificatesJson>(
        schemas,
        "Certificates that are served, and names that have none yet",
    );
    add(
        "/api/v1/certificates",
        "get",
        read(
            "certificates",
            "Certificates, and their next orders",
            &[],
            vec![(200, certificates)],
            schemas,
        ),
    );
    let mut events = answer::<view::EventsJson>(
        schemas,
        "A list, or a stream of messages with `Told` \
                                            as data; messages named `state` have `State`, and \
                                            one named `missed` says that something is lost",
    );
    events["content"]["text/event-stream"] = json!({ "schema": { "type": "string" } });
    let answers = vec![
        (200, events),
        (404, problem(schemas)),
        (503, problem(schemas)),
    ];
    add(
        "/api/v1/events",
        "get",
        read(
            "events",
            "What happened, and why",
            &of_events,
            answers,
            schemas,
        ),
    );
    let lately =
        answer::<view::RecentSeries>(schemas, "A point every two seconds, for five minutes");
    add(
        "/api/v1/numbers",
        "get",
        read(
            "numbers",
            "What services were like in the last minutes",
            &[],
            vec![(200, lately)],
            schemas,
        ),
    );
    let version = answer::<view::VersionJson>(schemas, "The version");
    add(
        "/api/v1/version",
        "get",
        read("version", "The version", &[], vec![(200, version)], schemas),
    );
    let this = json!({
        "description": "This document",
        "content": { "application/json": { "schema": { "type": "object" } } },
    });
    add(
        "/api/v1/openapi.json",
        "get",
        read("openapi", "This document", &[], vec![(200, this)], schemas),
    );

    let scaled = answer::<view::ScaleResult>(schemas, "So many are wanted now");
    let answers = vec![(200, scaled), (404, problem(schemas))];
    add(
        "/api/v1/services/{name}/scale",
        "post",
        write::<view::ScaleRequest>(
            "scale",
            "Hold a number of replicas, or let the policy decide again",
            &of_service,
            answers,
            schemas,
        ),
    );
    let deployed = answer::<view::DeployResult>(schemas, "Every replica runs this image already");
    let begun = answer::<view::DeployResult>(
        schemas,
        "The rollout has begun; the service shows its progress",
    );
    let answers = vec![(200, deployed), (202, begun), (404, problem(schemas))];
    add(
        "/api/v1/services/{name}/deploy",
        "post",
        write::<view::DeployRequest>(
            "deploy",
            "Run another image, replica by replica",
            &of_service,
            answers,
            schemas,
        ),
    );
    let drained = answer::<view::DrainResult>(schemas, "The replacement has begun");
    let answers = vec![(202, drained), (404, problem(schemas))];
    add(
        "/api/v1/services/{name}/drain",
        "post",
        write::<view::DrainRequest>(
            "drain",
            "Replace one replica without losing a request",
            &of_service,
            answers,
            schemas,
        ),
    );
    let reloaded = answer::<view::ReloadResult>(schemas, "The configuration is in use");
    let what = "Read the configuration again";
    let mut reload =
        write::<view::ReloadRequest>("reload", what, &[], vec![(200, reloaded)], schemas);
    reload["requestBody"]["required"] = false.into();
    add("/api/v1/reload", "post", reload);
    let valid = answer::<view::TokenJson>(schemas, "It is right");
    let what = "Whether the token is right; changes nothing";
    let mut token = write::<view::DrainRequest>("token", what, &[], vec![(200, valid)], schemas);
    if let Some(operation) = token.as_object_mut() {
        operation.remove("requestBody");
    }
    add("/api/v1/token", "post", token);

    for (path, id, what) in [
        ("/", "dashboard", "The dashboard"),
        ("/metrics", "metrics", "Metrics for Prometheus"),
        ("/healthz", "healthz", "200 while the process lives"),
        (
            "/readyz",
            "readyz",
            "200 while each service that wants replicas has one in rotation",
        ),
    ] {
        let kind = if path == "/" {
            "text/html"
        } else {
            "text/plain"
        };
        let text = json!({
            "description": what,
            "content": { kind: { "schema": { "type": "string" } } },
        });
        let mut answers = vec![(200, text)];
        if path == "/readyz" {
            answers.push((503, problem(schemas)));
        }
        add(path, "get", read(id, what, &[], answers, schemas));
    }
    let name = parameter("file", "path", json!({ "type": "string" }), "Its name");
    let file = json!({
        "description": "The file, with an ETag",
        "content": {
            "text/css": { "schema": { "type": "string" } },
            "text/javascript": { "schema": { "type": "string" } },
        },
    });
    let answers = vec![(200, file), (404, problem(schemas))];
    let what = "What the dashboard loads";
    add(
        "/dashboard/{file}",
        "get",
        read("file", what, &[name], answers, schemas),
    );
    Value::Object(paths)
}

fn id_schema() -> Value {
    json!({ "type": "integer", "minimum": 0, "format": "int64" })
}

fn parameter(name: &str, place: &str, schema: Value, what: &str) -> Value {
    json!({
        "name": name,
        "in": place,
        "required": place == "path",
        "description": what,
        "schema": schema,
    })
}

fn query(name: &str, schema: Value, what: &str) -> Value {
    parameter(name, "query", schema, what)
}

fn answer<T: JsonSchema>(schemas: &mut SchemaGenerator, what: &str) -> Value {
    json!({
        "description": what,
        "content": { "application/json": { "schema": schemas.subschema_for::<T>() } },
    })
}

fn problem(schemas: &mut SchemaGenerator) -> Value {
    answer::<view::ProblemJson>(schemas, "The problem and its remedy")
}

fn read(
    id: &str,
    what: &str,
    parameters: &[Value],
    answers: Vec<(u16, Value)>,
    schemas: &mut SchemaGenerator,
) -> Value {
    let answers = answers.into_iter();
    let mut answers: Map<String, Value> = answers
        .map(|(status, answer)| (status.to_string(), answer))
        .collect();
    answers.insert("default".to_owned(), problem(schemas));
    json!({
        "operationId": id,
        "summary": what,
        "parameters": parameters,
        "responses": answers,
    })
}

fn write<T: JsonSchema>(
    id: &str,
    what: &str,
    parameters: &[Value],
    mut answers: Vec<(u16, Value)>,
    schemas: &mut SchemaGenerator,
) -> Value {
    for status in [401, 403, 422, 503] {
        answers.push((status, problem(schemas)));
    }
    let mut operation = read(id, what, parameters, answers, schemas);
    operation["security"] = json!([{ "token": [] }]);
    operation["requestBody"] = json!({
        "required": true,
        "content": { "application/json": { "schema": schemas.subschema_for::<T>() } },
    });
    operation
}
