//! Mistakes that newcomers made in their first file, each with the answer that it gets.

use super::super::{Flags, Overrides, load};
use super::{compare, env, text};
use crate::service::store::store;

/// Problems of `yaml`, with the plugins that there are.
#[track_caller]
fn check(yaml: &str, expected: &str) {
    let overrides = Overrides::new(Flags::default(), env());
    let registry = crate::plugins::standard();
    let loaded = load(&text(yaml), &overrides, &registry, store().1, None);
    let Err(problems) = loaded else {
        panic!("nothing is wrong with\n{yaml}");
    };
    if std::env::var_os("SHOW").is_some() {
        println!(
            "=== {}\n{problems}",
            yaml.lines().take(3).collect::<Vec<_>>().join("|")
        );
        return;
    }
    compare(&problems, yaml, expected);
}

/// A shop with `keys`, each on a line of its own from line 4 on.
fn shop(keys: &str) -> String {
    format!("services:\n  shop:\n    image: shop:1\n{keys}")
}

#[test]
fn a_port_alone_to_listen_on() {
    check("listen: 8080\nservices: {shop: {image: shop}}\n", "");
    check("listen: ':80'\nservices: {shop: {image: shop}}\n", "");
}

#[test]
fn an_image_that_is_missing() {
    check("services:\n  shop:\n    port: 8080\n", "");
}

#[test]
fn ports_and_dependencies_as_in_compose() {
    check(
        &shop(
            "    ports: ['8080:80']\n    restart: always\n    depends_on: [db]\n    replicas: 2\n",
        ),
        "",
    );
}

#[test]
fn tabs() {
    check("services:\n\tshop:\n\t\timage: shop\n", "");
}

#[test]
fn the_top_of_a_compose_file() {
    check(
        "version: '3'\nservices: {shop: {image: shop}}\nnetworks: {back: {}}\nvolumes: {data: {}}\n",
        "",
    );
}

#[test]
fn variables_that_nobody_set() {
    check(
        &shop("    user: ${NAME}\n    environment:\n      A: $PASSWORD\n"),
        "",
    );
}

#[test]
fn numbers_without_units() {
    check(
        &shop(
            "    stop_grace_period: 5\n    healthcheck: { path: /, interval: 2, timeout: 500 }\n    memory: 256\n    cpus: 250m\n",
        ),
        "",
    );
}

#[test]
fn bounds_the_wrong_way_round() {
    check(&shop("    scale: { min: 6, max: 2 }\n"), "");
}

#[test]
fn two_services_for_one_host() {
    check(
        "services:\n  a: {image: a, routes: [{host: shop.example.com}]}\n  b: {image: b, routes: [{host: SHOP.example.com}]}\n",
        "",
    );
    check("services:\n  a: {image: a}\n  b: {image: b}\n", "");
}

#[test]
fn a_name_with_an_underscore() {
    check("services: {My_Shop: {image: shop}}\n", "");
}

#[test]
fn a_host_that_is_a_url() {
    check(
        &shop(
            "    routes:\n    - host: https://shop.example.com:443/cart\n    - host: http://shop.example.com\n    - host: http://shop.example.com:81\n",
        ),
        "",
    );
}

#[test]
fn paths_without_a_slash_and_a_star_for_every_host() {
    check(
        &shop("    routes: [{ path: cart }, /shop, { host: '*' }]\n"),
        "",
    );
}

#[test]
fn volumes_relative_to_the_file() {
    check(
        &shop("    volumes: [./data:/data, data, /a:/b:rw, data:below]\n"),
        "",
    );
}

#[test]
fn a_health_check_that_is_a_path() {
    check(&shop("    healthcheck: /up\n"), "");
}

#[test]
fn a_health_check_that_is_a_command() {
    check(
        &shop(
            "    healthcheck:\n      test: [CMD, curl, -f, 'http://localhost:80/up']\n      interval: 5s\n      start_interval: 1s\n",
        ),
        "",
    );
    check(
        &shop("    healthcheck:\n      test: pg_isready\n      disable: true\n"),
        "",
    );
}

#[test]
fn variables_of_every_kind() {
    check(
        &shop(
            "    environment:\n      DEBUG: true\n      N: 3\n      LIST: [1, 2]\n      EMPTY:\n",
        ),
        "",
    );
}

#[test]
fn secrets_that_are_not_there() {
    check(
        &shop("    secrets: { A: ./none.txt, B: /nowhere/at/all }\n"),
        "",
    );
}

#[test]
fn slips_in_keys() {
    check(
        "services:\n  shop:\n    imgae: shop\n    enviroment: { A: 1 }\n    heathcheck: { path: / }\n    scale: { polcy: rps, maximum: 3 }\n",
        "",
    );
    check(&shop("    scale: { policy: concurency, target: 4 }\n"), "");
}

#[test]
fn a_way_to_balance_that_there_is_not() {
    check(
        "services:\n  a: {image: a, balance: leastconn}\n  b: {image: b, routes: [path: /b], balance: {hash: cookie}}\n",
        "",
    );
}

#[test]
fn a_first_port_where_tidegate_listens() {
    check(
        "services:\n  a: {image: a}\n  b: {image: b, routes: [path: /b]}\n  c: {image: c, routes: [path: /c], first_port: 9180}\n",
        "",
    );
}

#[test]
fn services_as_a_list() {
    check("services:\n- name: shop\n  image: shop\n", "");
    check("services: shop\n", "");
}

#[test]
fn an_empty_file() {
    check("", "");
}

#[test]
fn a_service_at_the_top() {
    check("shop:\n  image: shop\n  port: 80\n", "");
}

#[test]
fn addresses_that_are_names() {
    check(
        "services:\n  a:\n    addresses: ['app.internal:8080', '10.0.0.1', 'http://10.0.0.2:80']\n    image: a\n",
        "",
    );
}

#[test]
fn addresses_of_the_edge_as_text() {
    check(
        "admin: 0.0.0.0:9180\nlisten: ['80', ':8080', 'localhost:8081', '0.0.0.0:99999']\ntls: {cert: a, key: b}\nservices: {shop: {image: shop}}\n",
        "",
    );
}

#[test]
fn a_quote_that_is_not_closed() {
    check("services:\n  shop:\n    image: \"shop\n    port: 80\n", "");
}

#[test]
fn sleep_without_a_time() {
    check(&shop("    scale: { min: 0 }\n"), "");
}

#[test]
fn plugins_that_there_are_not() {
    check(
        "plugins:\n- rate-limit: {rps: 10}\n- access-log: {format: combined, file: /tmp/a.log}\n- basicAuth\nservices: {shop: {image: shop}}\n",
        "",
    );
}

#[test]
fn a_pair_of_ports_and_the_hosts_network() {
    check(
        &shop("    port: '80:8080'\n    networks: host\n    user: 1000\n    entrypoint:\n"),
        "",
    );
    check(&shop("    port: 8080/tcp\n    networks: front\n"), "");
    check(&shop("    networks: {front: {}, back: {}}\n"), "");
}

#[test]
fn an_image_in_capitals() {
    check("services: {shop: {image: 'My Shop:latest'}}\n", "");
}

#[test]
fn keys_of_other_programs() {
    check(
        &shop(
            "    tls: {}\n    labels: {a: b}\n    depends_on: [db]\n    auth: x\n    redirect: x\n    gpus: all\n    build: .\n    container_name: x\n    deploy: {replicas: 3}\n    expose: [80]\n    network_mode: host\n    profiles: [a]\n    timeout: 5s\n    rate_limit: 5\n    host: a.example.com\n    weight: 3\n    sticky: true\n    strip_prefix: /a\n    privileged: true\n    dns: [1.1.1.1]\n",
        ),
        "",
    );
}

#[test]
fn a_pattern_to_include() {
    check(
        "include: conf.d/*.yaml\nservices: {shop: {image: shop}}\n",
        "",
    );
}
