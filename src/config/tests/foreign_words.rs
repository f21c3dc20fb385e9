//! Words and shapes of other programs in a first file, each with the answer that it gets.

use super::mistakes::{check, shop};

#[test]
fn ports_and_dependencies_as_in_compose() {
    check(
        &shop(
            "    ports: ['8080:80']\n    restart: always\n    depends_on: [db]\n    replicas: 2\n",
        ),
        "
        edge.yaml:4: services.shop: unknown key `ports`
          hint: `port` is the port inside the container; host ports start at `first_port`
        edge.yaml:5: services.shop: unknown key `restart`
          hint: leave it out: replicas that fail are always replaced
        edge.yaml:6: services.shop: unknown key `depends_on`
          hint: leave it out: requests wait until a replica is ready, within `hold`
        edge.yaml:7: services.shop: unknown key `replicas`
          hint: use `scale: { min: …, max: … }`; `update_config` belongs to the service
        ",
    );
}

#[test]
fn the_top_of_a_compose_file() {
    check(
        "version: '3'\nservices: {shop: {image: shop}}\nnetworks: {back: {}}\nvolumes: {data: {}}\n",
        "
        edge.yaml:1: unknown key `version`
          hint: leave it out: this is not a Compose file
        edge.yaml:3: unknown key `networks`
          hint: leave it out here, and name it under the service that uses it
        edge.yaml:4: unknown key `volumes`
          hint: leave it out here, and name it under the service that uses it
        ",
    );
}

#[test]
fn volumes_relative_to_the_file() {
    check(
        &shop("    volumes: [./data:/data, data, /a:/b:rw, data:below]\n"),
        "
        edge.yaml:4: services.shop.volumes[0]: expected a volume, found `./data:/data`
          hint: write the path on the host in full: `/srv/data:/data`
        edge.yaml:4: services.shop.volumes[1]: expected a volume, found `data`
          hint: write `name:/path`, `/host/path:/path` or either with `:ro`
        edge.yaml:4: services.shop.volumes[3]: expected a volume, found `data:below`
          hint: the path inside the container begins with a slash: `/below`
        ",
    );
}

#[test]
fn a_health_check_that_is_a_command() {
    check(
        &shop(
            "    healthcheck:\n      test: [CMD, curl, -f, 'http://localhost:80/up']\n      interval: 5s\n      start_interval: 1s\n",
        ),
        "
        edge.yaml:5: services.shop.healthcheck.test: is a command, and no command is run in containers
          hint: replicas are asked over the network: `path: /up`
        edge.yaml:7: services.shop.healthcheck.start_interval: unknown key `start_interval`
          hint: leave it out: a new replica is checked ten times a second
        ",
    );
    check(
        &shop("    healthcheck:\n      test: pg_isready\n      disable: true\n"),
        "
        edge.yaml:5: services.shop.healthcheck.test: is a command, and no command is run in containers
          hint: replicas are asked over the network: `path: /`
        edge.yaml:6: services.shop.healthcheck.disable: replicas are always checked
          hint: use `type: tcp`, for which a connection is enough
        ",
    );
}

#[test]
fn slips_in_keys() {
    check(
        "services:\n  shop:\n    imgae: shop\n    enviroment: { A: 1 }\n    heathcheck: { path: / }\n    scale: { polcy: rps, maximum: 3 }\n",
        "
        edge.yaml:2: services.shop: needs an `image` or `addresses`
          hint: `image` for containers that Tidegate runs, `addresses` for servers that run already
        edge.yaml:3: services.shop: unknown key `imgae`
          hint: did you mean `image`?
        edge.yaml:4: services.shop: unknown key `enviroment`
          hint: did you mean `environment`?
        edge.yaml:5: services.shop: unknown key `heathcheck`
          hint: did you mean `healthcheck`?
        edge.yaml:6: services.shop.scale: unknown key `polcy`
          hint: did you mean `policy`?
        edge.yaml:6: services.shop.scale: unknown key `maximum`
          hint: the keys here are `policy`, `policies`, `min`, `max`, `spare`, `idle_timeout`, `stop_after`, `target`, `headroom`, `panic_headroom`, `target_utilization`, `stable_window`, `panic_window`, `behavior`
        ",
    );
    check(
        &shop("    scale: { policy: concurency, target: 4 }\n"),
        "
        edge.yaml:4: services.shop.scale.policy: `concurency` is not a scaling policy
          hint: did you mean `concurrency`?
        ",
    );
}

#[test]
fn a_way_to_balance_that_there_is_not() {
    check(
        "services:\n  a: {image: a, balance: leastconn}\n  b: {image: b, routes: [path: /b], balance: {hash: cookie}}\n",
        "
        edge.yaml:2: services.a.balance: expected `round_robin`, `least_request` or `{ hash: … }`, found `leastconn`
          hint: use `least_request`
        edge.yaml:3: services.b.balance.hash: expected `address`, `{ header: … }` or `{ cookie: … }`, found `cookie`
          hint: as in `{ hash: address }`, `{ hash: { header: x-user } }` or `{ hash: { cookie: session } }`
        ",
    );
}

#[test]
fn services_as_a_list() {
    check(
        "services:\n- name: shop\n  image: shop\n",
        "
        edge.yaml:1: services: expected a mapping, found a list
          hint: names are keys: `services: { shop: { image: … } }`
        ",
    );
    check(
        "services: shop\n",
        "
        edge.yaml:1: services: expected a mapping, found `shop`
          hint: as in `services: { web: { image: web } }`
        ",
    );
}

#[test]
fn a_service_at_the_top() {
    check(
        "shop:\n  image: shop\n  port: 80\n",
        "
        edge.yaml:1: unknown key `shop`
          hint: move the service under `services`, as in `services: { shop: { … } }`
        ",
    );
}

#[test]
fn plugins_that_there_are_not() {
    check(
        "plugins:\n- rate-limit: {rps: 10}\n- access-log: {format: combined, file: /tmp/a.log}\n- basicAuth\nservices: {shop: {image: shop}}\n",
        "
        edge.yaml:2: plugins[0]: unknown plugin `rate-limit`
          hint: the plugins of this build: `replica-header`, `request-id`, `answers`, `grpc`, `http`, `tcp`, `access-log`, `otlp`, `prometheus`, `concurrency`, `cpu`, `latency`, `memory`, `requests`, `rps`, `schedule`
        edge.yaml:3: plugins[1].access-log.format: expected one of `json`, `text`, found `combined`
        edge.yaml:3: plugins[1].access-log: unknown key `file`
          hint: the keys here are `format`, `path`
        edge.yaml:4: plugins[2]: unknown plugin `basicAuth`
          hint: the plugins of this build: `replica-header`, `request-id`, `answers`, `grpc`, `http`, `tcp`, `access-log`, `otlp`, `prometheus`, `concurrency`, `cpu`, `latency`, `memory`, `requests`, `rps`, `schedule`
        ",
    );
}

#[test]
fn keys_of_other_programs() {
    check(
        &shop(
            "    tls: {}\n    labels: {a: b}\n    depends_on: [db]\n    auth: x\n    redirect: x\n    gpus: all\n    build: .\n    container_name: x\n    deploy: {replicas: 3}\n    expose: [80]\n    network_mode: host\n    profiles: [a]\n    timeout: 5s\n    rate_limit: 5\n    host: a.example.com\n    weight: 3\n    sticky: true\n    strip_prefix: /a\n    privileged: true\n    dns: [1.1.1.1]\n",
        ),
        "
        edge.yaml:4: services.shop: unknown key `tls`
          hint: `tls` stands at the top, for every service; `upstream_tls` encrypts the way to replicas
        edge.yaml:6: services.shop: unknown key `depends_on`
          hint: leave it out: requests wait until a replica is ready, within `hold`
        edge.yaml:7: services.shop: unknown key `auth`
          hint: rules like this are filters, listed under `plugins`
        edge.yaml:8: services.shop: unknown key `redirect`
          hint: http to https is `tls: { redirect: true }` at the top; other rules are filters, listed under `plugins`
        edge.yaml:10: services.shop: unknown key `build`
          hint: build the image first, and name it with `image`
        edge.yaml:11: services.shop: unknown key `container_name`
          hint: leave it out: replicas are named after service and port
        edge.yaml:12: services.shop: unknown key `deploy`
          hint: use `scale: { min: …, max: … }`; `update_config` belongs to the service
        edge.yaml:13: services.shop: unknown key `expose`
          hint: `port` is the port inside the container; host ports start at `first_port`
        edge.yaml:14: services.shop: unknown key `network_mode`
          hint: use `networks: [NAME]`; replicas cannot share the host's network, because each needs an address of its own
        edge.yaml:15: services.shop: unknown key `profiles`
          hint: leave it out: every service of the file runs; `include` splits the file
        edge.yaml:16: services.shop: unknown key `timeout`
          hint: `read_timeout` limits the wait for an answer, and `healthcheck: { timeout: … }` that of a check
        edge.yaml:17: services.shop: unknown key `rate_limit`
          hint: rules like this are filters, listed under `plugins`
        edge.yaml:18: services.shop: unknown key `host`
          hint: move it under `routes`, as in `routes: [{ host: a.example.com, path: /api }]`
        edge.yaml:19: services.shop: unknown key `weight`
          hint: leave it out: replicas share requests evenly
        edge.yaml:20: services.shop: unknown key `sticky`
          hint: use `balance: { hash: { cookie: … } }`
        edge.yaml:21: services.shop: unknown key `strip_prefix`
          hint: move it under `routes`, as in `routes: [{ host: a.example.com, path: /api }]`
        edge.yaml:22: services.shop: unknown key `privileged`
          hint: leave it out, and give what is needed: `cap_add`, `devices`
        edge.yaml:23: services.shop: unknown key `dns`
          hint: leave it out: containers resolve names as their network does
        ",
    );
}

#[test]
fn a_pattern_to_include() {
    check(
        "include: conf.d/*.yaml\nservices: {shop: {image: shop}}\n",
        "
        edge.yaml:1: include: there is no file or folder `conf.d/*.yaml`
          hint: name the folder without a pattern: its *.yaml and *.yml files are included in the order of their names
        ",
    );
}
