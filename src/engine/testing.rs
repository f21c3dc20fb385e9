//! Specs for tests, which change the fields that they are about.

use crate::service::spec::*;
use std::time::Duration;

/// A service of one replica, with timings of a second.
pub fn service(name: &str, source: Source) -> Spec {
    let second = Duration::from_secs(1);
    Spec {
        name: ServiceName::new(name),
        source,
        routes: Vec::new(),
        health: HealthTiming {
            interval: second,
            timeout: second,
            retries: 1,
            start_period: second,
        },
        bounds: Bounds { min: 1, max: 1 },
        sleep: None,
        spare: 0,
        stop_grace_period: second,
        update: Update::default(),
        pull: Pull::Missing,
        alias: None,
        declared: None,
        manual: None,
        wanted: None,
        forward: Forward::default(),
    }
}

/// A service whose replicas are containers of `NAME:latest`.
pub fn containers(name: &str) -> Spec {
    let template = Template {
        image: format!("{name}:latest"),
        image_id: None,
        port: 80,
        first_port: 8000,
        command: None,
        entrypoint: None,
        environment: Default::default(),
        volumes: Vec::new(),
        networks: Vec::new(),
        user: None,
        secrets: Default::default(),
        nano_cpus: None,
        settings: Default::default(),
        memory_bytes: None,
    };
    service(name, Source::Container(template))
}
