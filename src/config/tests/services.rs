//! One service, and services beside each other.

use super::{check, env, good, spec, stubs, text, web};
use crate::config::{Flags, Overrides, load};
use crate::service::spec::{Bounds, Source};
use crate::service::store::store;
use std::time::Duration;

#[test]
fn a_container_needs_no_more_than_an_image() {
    let config = good("services: {web: {image: web}}");
    let service = &config.services[0];
    let spec = &service.spec;
    let template = spec.template().unwrap();
    assert_eq!((template.port, template.first_port), (80, 8000));
    assert_eq!(spec.bounds, Bounds { min: 1, max: 10 });
    assert_eq!(spec.routes, []);
    assert_eq!(spec.health.interval, Duration::from_secs(1));
    assert_eq!(spec.health.timeout, Duration::from_secs(1));
    assert_eq!(spec.health.retries, 1);
    assert_eq!(spec.health.start_period, Duration::from_secs(30));
    assert_eq!(spec.stop_grace_period, Duration::from_secs(10));
    assert_eq!(spec.forward.connect_timeout, Duration::from_secs(1));
    assert_eq!(spec.forward.read_timeout, Duration::from_secs(60));
    assert_eq!(spec.forward.write_timeout, Duration::from_secs(60));
    assert_eq!(
        spec.forward.tunnel_idle_timeout,
        Duration::from_secs(60 * 60)
    );
    assert_eq!(spec.forward.max_request_body_bytes, 100 << 20);
    assert_eq!(service.probe_plugin.name, "answers");
    assert_eq!(service.scaler_plugins[0].name, "requests");
    assert!(service.scaler.is_some());
}

#[test]
fn fixed_addresses_are_probed_by_tcp_and_not_scaled() {
    let config = good("services: {old: {addresses: ['10.0.0.7:8080', '[::1]:81']}}");
    let service = &config.services[0];
    assert!(matches!(&service.spec.source, Source::Addresses(list) if list.len() == 2));
    assert_eq!(service.spec.bounds, Bounds { min: 2, max: 2 });
    assert_eq!(service.probe_plugin.name, "tcp");
    assert!(service.scaler.is_none() && service.scaler_plugins.is_empty());
}

#[test]
fn any_answer_is_well_until_a_path_is_named() {
    let probe = |text: &str| good(text).services[0].probe_plugin.name.clone();
    for (health, name) in [
        ("{interval: 2s}", "answers"),
        ("{path: /up}", "http"),
        ("{type: answers, path: /up}", "answers"),
    ] {
        assert_eq!(
            probe(&web(&format!("healthcheck: {health}"))),
            name,
            "{health}"
        );
    }
    let addresses = "services: {old: {addresses: ['10.0.0.7:8080'], healthcheck: {path: /up}}}";
    assert_eq!(probe(addresses), "http");
}

#[test]
fn timing_and_limits_are_read() {
    let spec = spec(&web("
healthcheck: {interval: 2s, timeout: 500ms, retries: 3, start_period: 1m, path: /up}
scale: {min: 2, max: 4, requests_per_replica: 7, exclude: [/up]}
stop_grace_period: 0s
connect_timeout: 2s
read_timeout: 3s
write_timeout: 4s
tunnel_idle_timeout: 5m
max_request_body: 1MiB"));
    assert_eq!(spec.health.retries, 3);
    assert_eq!(spec.health.start_period, Duration::from_secs(60));
    assert_eq!(spec.bounds, Bounds { min: 2, max: 4 });
    assert_eq!(spec.stop_grace_period, Duration::ZERO);
    assert_eq!(spec.forward.read_timeout, Duration::from_secs(3));
    assert_eq!(
        spec.forward.tunnel_idle_timeout,
        Duration::from_secs(5 * 60)
    );
    assert_eq!(spec.forward.max_request_body_bytes, 1 << 20);
}

#[test]
fn timing_and_limits_are_checked() {
    check(
        &web("
healthcheck: {interval: 0s, timeout: 5, retries: 0, start_period: -1s}
stop_grace_period: 25h
connect_timeout: 1 fortnight
read_timeout: 0s
write_timeout: true
max_request_body: 0
tunnel_idle_timeout: 2d"),
        "
        edge.yaml:4: services.web.healthcheck.interval: must be longer than zero
          hint: the shortest is `1ms`
        edge.yaml:4: services.web.healthcheck.timeout: expected a duration with a unit, found `5`
          hint: add a unit: `5s` or `5ms`
        edge.yaml:4: services.web.healthcheck.retries: expected a whole number from 1 to 100, found `0`
        edge.yaml:4: services.web.healthcheck.start_period: expected a duration, found `-1s`
          hint: write a number and a unit, as in `500ms`, `10s` or `1m30s`
        edge.yaml:5: services.web.stop_grace_period: expected at most `1day`, found `25h`
        edge.yaml:6: services.web.connect_timeout: expected a duration, found `1 fortnight`
          hint: write a number and a unit, as in `500ms`, `10s` or `1m30s`
        edge.yaml:7: services.web.read_timeout: must be longer than zero
          hint: the shortest is `1ms`
        edge.yaml:8: services.web.write_timeout: expected a duration, found `true`
          hint: write a number and a unit, as in `500ms`, `10s` or `1m30s`
        edge.yaml:9: services.web.max_request_body: expected 1 B to 1.0 TiB, found `0`
        edge.yaml:10: services.web.tunnel_idle_timeout: expected at most `1day`, found `2d`
        ",
    );
}

#[test]
fn bounds_do_not_cross() {
    check(
        &web("scale: {min: 4, max: 2}"),
        "
        edge.yaml:4: services.web.scale: `max` is 2 but `min` is 4
          hint: raise `max` to at least 4, or lower `min`
        ",
    );
    check(
        &web("scale:\n  max: 2\n  min: 4"),
        "
        edge.yaml:5: services.web.scale: `max` is 2 but `min` is 4
          hint: raise `max` to at least 4, or lower `min`
        ",
    );
    check(
        &web("scale:\n  min: 11"),
        "
        edge.yaml:5: services.web.scale: `max` is 10 by default but `min` is 11
          hint: raise `max` to at least 11, or lower `min`
        ",
    );
    check(
        &web("scale: {min: 0, max: 1001}"),
        "
        edge.yaml:4: services.web.scale.min: is 0, and `idle_timeout` is missing
          hint: add `idle_timeout: 5m`, or set `min` to at least 1
        edge.yaml:4: services.web.scale.max: expected a whole number from 1 to 1000, found `1001`
        ",
    );
    check(
        &web("scale: {max: ten, min: 20}"),
        "
        edge.yaml:4: services.web.scale.max: expected a whole number from 1 to 1000, found `ten`
        ",
    );
    check(
        &web("scale: 3"),
        "
        edge.yaml:4: services.web.scale: expected a mapping, found `3`
          hint: as in `{ min: 1, max: 4 }`
        ",
    );
}

#[test]
fn a_service_runs_containers_or_has_addresses() {
    check(
        "services:\n  web: {port: 80}\n",
        "
        edge.yaml:2: services.web: needs an `image` or `addresses`
          hint: `image` for containers that Tidegate runs, `addresses` for servers that run already
        ",
    );
    check(
        "services:\n  web:\n",
        "
        edge.yaml:2: services.web: needs an `image` or `addresses`
          hint: `image` for containers that Tidegate runs, `addresses` for servers that run already
        ",
    );
    check(
        "services:\n  web:\n    addresses: [10.0.0.1:80]\n    image: web\n    scale: {min: 1}\n    port: 1\n",
        "
        edge.yaml:4: services.web.image: is for containers, and this service has fixed `addresses`
          hint: remove `image` or `addresses`
        edge.yaml:5: services.web.scale: is for containers, and this service has fixed `addresses`
          hint: remove `scale` or `addresses`
        edge.yaml:6: services.web.port: is for containers, and this service has fixed `addresses`
          hint: remove `port` or `addresses`
        ",
    );
    check(
        "services: {web: {addresses: []}}",
        r#"
        edge.yaml:1: services.web.addresses: is empty
          hint: write at least one, as in `["10.0.0.7:8080"]`
        "#,
    );
    check(
        "services: {web: {addresses: 10.0.0.1:80}}",
        "
        edge.yaml:1: services.web.addresses: expected a list, found `10.0.0.1:80`
        ",
    );
    check(
        "services: {web: {addresses: [db:80, 10.0.0.1, 10.0.0.1:0, 0.0.0.0:80, 1.1.1.1:1, 1.1.1.1:1]}}",
        "
        edge.yaml:1: services.web.addresses[0]: expected an IP address and a port, found `db:80`
          hint: host names are not resolved: write the address
        edge.yaml:1: services.web.addresses[1]: expected an IP address and a port, found `10.0.0.1`
          hint: add a port, as in `10.0.0.7:8080` or `[::1]:8080`
        edge.yaml:1: services.web.addresses[2]: `10.0.0.1:0` has no usable port
        edge.yaml:1: services.web.addresses[3]: `0.0.0.0:80` is an address to listen on, not to connect to
          hint: for this machine itself: `127.0.0.1:80`
        edge.yaml:1: services.web.addresses[5]: `1.1.1.1:1` is listed twice
        ",
    );
}

#[test]
fn names_are_plain() {
    check(
        "services: {My_App: {image: a}, -x: {image: b, routes: [path: /], first_port: 9000}}",
        "
        edge.yaml:1: services.My_App: `My_App` cannot be the name of a service
          hint: use a-z, 0-9 and `-`, at most 40 characters, as in `my-app`
        edge.yaml:1: services.-x: `-x` cannot be the name of a service
          hint: use a-z, 0-9 and `-`, at most 40 characters, as in `x`
        edge.yaml:1: services.-x.routes[0]: `*/` is claimed by `My_App` already
          hint: give one of the two another `host` or `path`
        ",
    );
    check(
        "services: {'': {image: a}}",
        "
        edge.yaml:1: services.: `` cannot be the name of a service
          hint: use a-z, 0-9 and `-`, at most 40 characters
        ",
    );
    check(
        &format!("services: {{{}: {{image: a}}}}", "x".repeat(41)),
        &format!(
            "edge.yaml:1: services.{0}x: `{0}x` cannot be the name of a service
               hint: use a-z, 0-9 and `-`, at most 40 characters, as in `{0}`",
            "x".repeat(40)
        ),
    );
}

#[test]
fn unknown_keys_of_a_service_come_with_what_was_meant() {
    check(
        &web(
            "imge: x\nmin: 2\nports: ['80:80']\nrestart: always\nfoo: bar\nhealthcheck: {intervall: 1s}\nscale: {mni: 1}",
        ),
        "
        edge.yaml:4: services.web: unknown key `imge`
          hint: did you mean `image`?
        edge.yaml:5: services.web: unknown key `min`
          hint: move it under `scale`
        edge.yaml:6: services.web: unknown key `ports`
          hint: `port` is the port inside the container; host ports start at `first_port`
        edge.yaml:7: services.web: unknown key `restart`
          hint: leave it out: replicas that fail are always replaced
        edge.yaml:8: services.web: unknown key `foo`
          hint: the keys here are `image`, `pull`, `port`, `first_port`, `command`, `entrypoint`, `environment`, `env_file`, `secrets`, `volumes`, `networks`, `user`, `cpus`, `memory`, `logging`, `labels`, `working_dir`, `hostname`, `extra_hosts`, `tmpfs`, `read_only`, `cap_add`, `cap_drop`, `devices`, `shm_size`, `init`, `stop_signal`, `ulimits`, `sysctls`, `security_opt`, `pids_limit`, `gpus`, `balance`, `protocol`, `upstream_tls`, `slow_start`, `container_concurrency`, `connect_timeout`, `read_timeout`, `write_timeout`, `tunnel_idle_timeout`, `max_request_body`, `max_response_body`, `hold`, `waiting_page`, `retries`, `outlier_detection`, `addresses`, `routes`, `healthcheck`, `scale`, `stop_grace_period`, `update_config`, `plugins`
        edge.yaml:9: services.web.healthcheck: unknown key `intervall`
          hint: did you mean `interval`?
        edge.yaml:10: services.web.scale: unknown key `mni`
          hint: did you mean `min`?
        ",
    );
}

#[test]
fn several_mistakes_are_reported_in_one_run() {
    check(
        "listn: []
services:
  web:
    image: web
    port: eighty
    scale: {min: 4, max: 2}
    healthcheck: {type: htpp}
    plugins: [limt]
  api:
    image: [api]
    environment: {SECRET: }
    routes: [{path: api}]
  old:
    addresses: [somewhere]
",
        r#"
        edge.yaml:1: unknown key `listn`
          hint: did you mean `listen`?
        edge.yaml:5: services.web.port: expected a port from 1 to 65535, found `eighty`
        edge.yaml:6: services.web.scale: `max` is 2 but `min` is 4
          hint: raise `max` to at least 4, or lower `min`
        edge.yaml:7: services.web.healthcheck.type: `htpp` is not a health check
          hint: did you mean `http`?
        edge.yaml:8: services.web.plugins[0]: unknown plugin `limt`
          hint: did you mean `limit`?
        edge.yaml:10: services.api.image: expected a single value, found a list
        edge.yaml:11: services.api.environment.SECRET: `SECRET` has no value here, nor in Tidegate's own environment
          hint: set `SECRET` before Tidegate starts, or write a value (`""` for none)
        edge.yaml:12: services.api.routes[0].path: expected a path, found `api`
          hint: begin with a slash: `/api`
        edge.yaml:13: services.old: neither this nor `web` has `routes`: both claim every request
          hint: give at least one of them `routes`, as in `routes: [{ path: /api }]`
        edge.yaml:14: services.old.addresses[0]: expected an IP address and a port, found `somewhere`
          hint: host names are not resolved: write the address
        "#,
    );
}

#[test]
fn what_a_replica_has_at_once_is_limited_and_is_the_scalers_target() {
    let limit = |more: &str| spec(&web(more)).forward.container_concurrency;
    assert_eq!(limit(""), None);
    assert_eq!(limit("container_concurrency: 4"), Some(4));
    let old = good("services: {old: {addresses: ['10.0.0.7:80'], container_concurrency: 2}}");
    assert_eq!(old.services[0].spec.forward.container_concurrency, Some(2));
    let with_policy = |scale: &str| {
        let yaml = web(&format!(
            "container_concurrency: 4\nscale: {{policy: {scale}}}"
        ));
        let registry = stubs::registry().with::<stubs::Concurrency>();
        let overrides = Overrides::new(Flags::default(), env());
        load(&text(&yaml), &overrides, &registry, store().1, None)
    };
    let target = |scale: &str| {
        let config = with_policy(scale).unwrap();
        let plugged = config.services[0].scaler_plugins[0].clone();
        plugged
            .values
            .get("target")
            .and_then(|value| value.as_u64())
    };
    assert_eq!(target("concurrency"), Some(4));
    assert_eq!(target("concurrency, target: 3"), Some(3));
    assert_eq!(target("requests"), None);
    check(
        &web("container_concurrency: 0"),
        "
        edge.yaml:4: services.web.container_concurrency: with `0`, no request could be answered
          hint: leave the key out for no limit
        ",
    );
    let problems = with_policy("concurrency, target: 8")
        .err()
        .expect("too many");
    let shown = problems.to_string();
    assert!(
        shown.contains("scale.target: is 8, but a replica has 4 requests at most"),
        "{shown}"
    );
}
