//! Mistakes that newcomers made in their first file, each with the answer that it gets.

use super::super::{Flags, Overrides, load};
use super::{compare, env, text};
use crate::service::store::store;

/// Problems of `yaml`, with the plugins that there are.
#[track_caller]
pub fn check(yaml: &str, expected: &str) {
    let overrides = Overrides::new(Flags::default(), env());
    let registry = crate::plugins::standard();
    let loaded = load(&text(yaml), &overrides, &registry, store().1, None);
    let Err(problems) = loaded else {
        panic!("nothing is wrong with\n{yaml}");
    };
    compare(&problems, yaml, expected);
}

/// A shop with `keys`, each on a line of its own from line 4 on.
pub fn shop(keys: &str) -> String {
    format!("services:\n  shop:\n    image: shop:1\n{keys}")
}

#[test]
fn a_port_alone_to_listen_on() {
    check(
        "listen: 8080\nservices: {shop: {image: shop}}\n",
        r#"
        edge.yaml:1: listen: expected a list, found `8080`
          hint: write `listen: ["0.0.0.0:8080"]`
        "#,
    );
    check(
        "listen: ':80'\nservices: {shop: {image: shop}}\n",
        r#"
        edge.yaml:1: listen: expected a list, found `:80`
          hint: write `listen: ["0.0.0.0:80"]`
        "#,
    );
}

#[test]
fn an_image_that_is_missing() {
    check(
        "services:\n  shop:\n    port: 8080\n",
        "
        edge.yaml:2: services.shop: needs an `image` or `addresses`
          hint: `image` for containers that Tidegate runs, `addresses` for servers that run already
        ",
    );
}

#[test]
fn tabs() {
    check(
        "services:\n\tshop:\n\t\timage: shop\n",
        "
        edge.yaml:2:2: not valid YAML: tabs disallowed within this context (block indentation)
        ",
    );
}

#[test]
fn variables_that_nobody_set() {
    check(
        &shop("    user: ${NAME}\n    environment:\n      A: $PASSWORD\n"),
        "
        edge.yaml:4: services.shop.user: the variable `NAME` is not set
          hint: set it in the environment or in `.env` beside the file, or give it a default: `${NAME:-…}`; `$$` stands for a dollar
        edge.yaml:6: services.shop.environment.A: the variable `PASSWORD` is not set
          hint: set it in the environment or in `.env` beside the file, or give it a default: `${PASSWORD:-…}`; `$$` stands for a dollar
        ",
    );
}

#[test]
fn numbers_without_units() {
    check(
        &shop(
            "    stop_grace_period: 5\n    healthcheck: { path: /, interval: 2, timeout: 500 }\n    memory: 256\n    cpus: 250m\n",
        ),
        "
        edge.yaml:4: services.shop.stop_grace_period: expected a duration with a unit, found `5`
          hint: add a unit: `5s` or `5ms`
        edge.yaml:5: services.shop.healthcheck.interval: expected a duration with a unit, found `2`
          hint: add a unit: `2s` or `2ms`
        edge.yaml:5: services.shop.healthcheck.timeout: expected a duration with a unit, found `500`
          hint: add a unit: `500s` or `500ms`
        edge.yaml:6: services.shop.memory: expected 6.0 MiB to 1.0 PiB, found `256`
          hint: a number alone counts bytes: write `256MiB`
        edge.yaml:7: services.shop.cpus: expected a number of cores from 0.01 to 1024, found `250m`
          hint: `0.5` is half a core
        ",
    );
}

#[test]
fn bounds_the_wrong_way_round() {
    check(
        &shop("    scale: { min: 6, max: 2 }\n"),
        "
        edge.yaml:4: services.shop.scale: `max` is 2 but `min` is 6
          hint: raise `max` to at least 6, or lower `min`
        ",
    );
}

#[test]
fn two_services_for_one_host() {
    check(
        "services:\n  a: {image: a, routes: [{host: shop.example.com}]}\n  b: {image: b, routes: [{host: SHOP.example.com}]}\n",
        "
        edge.yaml:3: services.b.routes[0]: `shop.example.com/` is claimed by `a` already
          hint: give one of the two another `host` or `path`
        ",
    );
    check(
        "services:\n  a: {image: a}\n  b: {image: b}\n",
        "
        edge.yaml:3: services.b: neither this nor `a` has `routes`: both claim every request
          hint: give at least one of them `routes`, as in `routes: [{ path: /api }]`
        ",
    );
}

#[test]
fn a_name_with_an_underscore() {
    check(
        "services: {My_Shop: {image: shop}}\n",
        "
        edge.yaml:1: services.My_Shop: `My_Shop` cannot be the name of a service
          hint: use a-z, 0-9 and `-`, at most 40 characters, as in `my-shop`
        ",
    );
}

#[test]
fn a_host_that_is_a_url() {
    check(
        &shop(
            "    routes:\n    - host: https://shop.example.com:443/cart\n    - host: http://shop.example.com\n    - host: http://shop.example.com:81\n",
        ),
        "
        edge.yaml:5: services.shop.routes[0].host: expected a host name, found `https://shop.example.com:443/cart`
          hint: write `host: shop.example.com` and `path: /cart`
        edge.yaml:6: services.shop.routes[1].host: expected a host name, found `http://shop.example.com`
          hint: leave the scheme out: `shop.example.com`
        edge.yaml:7: services.shop.routes[2].host: expected a host name, found `http://shop.example.com:81`
          hint: leave scheme and port out: `shop.example.com`
        ",
    );
}

#[test]
fn paths_without_a_slash_and_a_star_for_every_host() {
    check(
        &shop("    routes: [{ path: cart }, /shop, { host: '*' }]\n"),
        "
        edge.yaml:4: services.shop.routes[0].path: expected a path, found `cart`
          hint: begin with a slash: `/cart`
        edge.yaml:4: services.shop.routes[1]: expected a mapping, found `/shop`
          hint: write `{ path: /shop }`
        edge.yaml:4: services.shop.routes[2].host: expected a host name, found `*`
          hint: leave `host` out to claim every host
        ",
    );
}

#[test]
fn a_health_check_that_is_a_path() {
    check(
        &shop("    healthcheck: /up\n"),
        "
        edge.yaml:4: services.shop.healthcheck: expected a mapping, found `/up`
          hint: as in `{ path: /up }`
        ",
    );
}

#[test]
fn variables_of_every_kind() {
    check(
        &shop(
            "    environment:\n      DEBUG: true\n      N: 3\n      LIST: [1, 2]\n      EMPTY:\n",
        ),
        r#"
        edge.yaml:7: services.shop.environment.LIST: expected a single value, found a list
        edge.yaml:8: services.shop.environment.EMPTY: `EMPTY` has no value here, nor in Tidegate's own environment
          hint: set `EMPTY` before Tidegate starts, or write a value (`""` for none)
        "#,
    );
}

#[test]
fn secrets_that_are_not_there() {
    check(
        &shop("    secrets: { A: ./none.txt, B: /nowhere/at/all }\n"),
        "
        edge.yaml:4: services.shop.secrets.A: expected an absolute path, found `./none.txt`
          hint: begin with a slash
        edge.yaml:4: services.shop.secrets.B: cannot open `/nowhere/at/all`: No such file or directory (os error 2)
        ",
    );
}

#[test]
fn a_first_port_where_tidegate_listens() {
    check(
        "services:\n  a: {image: a}\n  b: {image: b, routes: [path: /b]}\n  c: {image: c, routes: [path: /c], first_port: 9180}\n",
        "
        edge.yaml:4: services.c: host ports 9180 to 9183 overlap with `127.0.0.1:9180`, where Tidegate listens
          hint: the next free range: `first_port: 9181`
        ",
    );
}

#[test]
fn an_empty_file() {
    check("", "
        edge.yaml: services: there is no service to run
          hint: write one, as in `services: { web: { image: web } }`, or type `tidegate run --image IMAGE --port 80`
        ");
}

#[test]
fn addresses_that_are_names() {
    check(
        "services:\n  a:\n    addresses: ['app.internal:8080', '10.0.0.1', 'http://10.0.0.2:80']\n    image: a\n",
        "
        edge.yaml:3: services.a.addresses[0]: expected an IP address and a port, found `app.internal:8080`
          hint: host names are not resolved: write the address
        edge.yaml:3: services.a.addresses[1]: expected an IP address and a port, found `10.0.0.1`
          hint: add a port, as in `10.0.0.7:8080` or `[::1]:8080`
        edge.yaml:3: services.a.addresses[2]: expected an IP address and a port, found `http://10.0.0.2:80`
          hint: leave the scheme out, as in `10.0.0.7:8080`
        edge.yaml:4: services.a.image: is for containers, and this service has fixed `addresses`
          hint: remove `image` or `addresses`
        ",
    );
}

#[test]
fn addresses_of_the_edge_as_text() {
    check(
        "admin: 0.0.0.0:9180\nlisten: ['80', ':8080', 'localhost:8081', '0.0.0.0:99999']\ntls: {cert: a, key: b}\nservices: {shop: {image: shop}}\n",
        r#"
        edge.yaml:1: admin: expected a mapping, found `0.0.0.0:9180`
          hint: write `{ listen: "127.0.0.1:9180" }` or `off`
        edge.yaml:2: listen[0]: expected an IP address and a port, found `80`
          hint: for every interface: `0.0.0.0:80`
        edge.yaml:2: listen[1]: expected an IP address and a port, found `:8080`
          hint: for every interface: `0.0.0.0:8080`
        edge.yaml:2: listen[2]: expected an IP address and a port, found `localhost:8081`
          hint: host names are not resolved: write the address
        edge.yaml:2: listen[3]: expected an IP address and a port, found `0.0.0.0:99999`
          hint: as in `10.0.0.7:8080` or `[::1]:8080`
        edge.yaml:3: tls: unknown key `cert`
          hint: write `certificates: [{ cert: a.pem, key: a.key }]`
        edge.yaml:3: tls: unknown key `key`
          hint: write `certificates: [{ cert: a.pem, key: a.key }]`
        "#,
    );
}

#[test]
fn a_quote_that_is_not_closed() {
    check(
        "services:\n  shop:\n    image: \"shop\n    port: 80\n",
        "
        edge.yaml:3:12: not valid YAML: invalid indentation in quoted scalar
        ",
    );
}

#[test]
fn sleep_without_a_time() {
    check(
        &shop("    scale: { min: 0 }\n"),
        "
        edge.yaml:4: services.shop.scale.min: is 0, and `idle_timeout` is missing
          hint: add `idle_timeout: 5m`, or set `min` to at least 1
        ",
    );
}

#[test]
fn a_pair_of_ports_and_the_hosts_network() {
    check(
        &shop("    port: '80:8080'\n    networks: host\n    user: 1000\n    entrypoint:\n"),
        "
        edge.yaml:4: services.shop.port: expected a port from 1 to 65535, found `80:8080`
          hint: write the port inside the container alone: `port: 8080`; clients connect to `listen`
        edge.yaml:5: services.shop.networks: replicas cannot run on the network `host`
          hint: each needs an address of its own: name a bridge network
        ",
    );
    check(
        &shop("    port: 8080/tcp\n    networks: front\n"),
        "
        edge.yaml:4: services.shop.port: expected a port from 1 to 65535, found `8080/tcp`
          hint: write the port inside the container alone: `port: 8080`; clients connect to `listen`
        edge.yaml:5: services.shop.networks: expected a list, found `front`
          hint: as in `networks: [front]`
        ",
    );
    check(
        &shop("    networks: {front: {}, back: {}}\n"),
        "
        edge.yaml:4: services.shop.networks: expected a list, found a mapping
          hint: as in `networks: [front, back]`
        ",
    );
}

#[test]
fn an_image_in_capitals() {
    check(
        "services: {shop: {image: 'My Shop:latest'}}\n",
        "
        edge.yaml:1: services.shop.image: expected an image, found `My Shop:latest`
          hint: as in `web`, `web:1.2` or `registry.example.com/team/web:1.2`
        ",
    );
}
