//! The keys at the top.

use super::{check, good, text, try_load};
use crate::config::check::instance::default_state_dir;
use crate::config::{Env, state_dir};
use std::path::PathBuf;
use std::time::Duration;

const WEB: &str = "services: {web: {image: web}}\n";

fn with_web(keys: &str) -> String {
    format!("{WEB}{keys}")
}

#[test]
fn the_values_of_the_specification_hold_by_default() {
    let config = good(WEB);
    assert_eq!(config.listen, ["0.0.0.0:80".parse().unwrap()]);
    assert_eq!(config.admin, Some("127.0.0.1:9180".parse().unwrap()));
    assert_eq!(config.instance, "default");
    assert!(config.server.threads >= 1);
    assert_eq!(config.server.keepalive_timeout, Duration::from_secs(60));
    assert_eq!(config.server.client_read_timeout, Duration::from_secs(60));
    assert_eq!(config.server.client_write_timeout, Duration::from_secs(60));
    assert_eq!(config.server.max_header_bytes, 64 * 1024);
    assert_eq!(config.server.max_concurrent_starts, 4);
    assert_eq!(config.server.header_timeout, Duration::from_secs(10));
    let limits = &config.server.limits;
    assert_eq!(limits.connections, None);
    assert_eq!(limits.connections_per_address, None);
    assert_eq!((limits.headers, limits.target_bytes), (100, 8192));
    assert_eq!(limits.min_rate_bytes, 500);
    assert!(config.server.trusted_proxies.is_empty());
    assert!(config.server.proxy_protocol.is_empty());
}

#[test]
fn every_key_at_the_top_is_read() {
    let config = good(&with_web(
        "listen: [127.0.0.1:8081, '[::1]:8081']
admin: {listen: 127.0.0.1:1}
instance: blue-2
state_dir: /run/edge
threads: 3
timeouts: {header: 3s, keepalive: 1m30s, client_read: 2s, client_write: 500ms}
max_header_size: 8k
limits: {connections: 9, connections_per_address: 3, headers: 50, target: 4k, min_rate: 0B}
trusted_proxies: [10.0.0.7, 2001:db8::/32]
proxy_protocol: ['[::1]:8081']
max_concurrent_starts: 9
plugins: []
",
    ));
    assert_eq!(config.listen.len(), 2);
    assert_eq!(config.admin, Some("127.0.0.1:1".parse().unwrap()));
    assert_eq!(config.instance, "blue-2");
    assert_eq!(config.state_dir.to_str(), Some("/run/edge"));
    assert_eq!(config.server.threads, 3);
    assert_eq!(config.server.keepalive_timeout, Duration::from_secs(90));
    assert_eq!(config.server.client_read_timeout, Duration::from_secs(2));
    assert_eq!(
        config.server.client_write_timeout,
        Duration::from_millis(500)
    );
    assert_eq!(config.server.max_header_bytes, 8192);
    assert_eq!(config.server.header_timeout, Duration::from_secs(3));
    let limits = &config.server.limits;
    assert_eq!(limits.connections, Some(9));
    assert_eq!(limits.connections_per_address, Some(3));
    assert_eq!((limits.headers, limits.target_bytes), (50, 4096));
    assert_eq!(limits.min_rate_bytes, 0);
    assert_eq!(config.server.trusted_proxies.len(), 2);
    assert_eq!(
        config.server.proxy_protocol,
        ["[::1]:8081".parse().unwrap()]
    );
    assert_eq!(config.server.max_concurrent_starts, 9);
    for off in ["off", "false", "{listen: off}"] {
        assert_eq!(good(&with_web(&format!("admin: {off}"))).admin, None);
    }
}

#[test]
fn the_state_folder_is_found_in_a_bad_file_too() {
    let env = |name: &'static str, value: &'static str| {
        Env::new(move |wanted| (wanted == name).then(|| value.to_owned()))
    };
    let of = |yaml: &str, env: &Env| state_dir(&text(yaml), env).display().to_string();
    let bad = "state_dir: /run/edge\nlistne: []\n";
    assert_eq!(of(bad, &env("HOME", "/h")), "/run/edge");
    assert_eq!(of(bad, &env("TIDEGATE_STATE_DIR", "/b")), "/b");
    let default = |is_root, env| default_state_dir(is_root, &env);
    let shown = |folder: Option<PathBuf>| folder.map(|folder| folder.display().to_string());
    for (is_root, name, expected) in [
        (true, "HOME", Some("/var/lib/tidegate")),
        (false, "XDG_RUNTIME_DIR", Some("/h/tidegate")),
        (false, "HOME", Some("/h/.local/state/tidegate")),
        (false, "NOTHING", None),
    ] {
        let found = shown(default(is_root, env(name, "/h")));
        assert_eq!(found.as_deref(), expected, "{name}");
    }
}

#[test]
fn addresses_to_listen_on_are_an_ip_and_a_port() {
    check(
        &with_web("listen:\n- :80\n- localhost:80\n- http://a\n- 1.2.3.4\n- 8080\n- [a]\n-\n"),
        "
        edge.yaml:3: listen[0]: expected an IP address and a port, found `:80`
          hint: for every interface: `0.0.0.0:80`
        edge.yaml:4: listen[1]: expected an IP address and a port, found `localhost:80`
          hint: host names are not resolved: write the address
        edge.yaml:5: listen[2]: expected an IP address and a port, found `http://a`
          hint: leave the scheme out, as in `10.0.0.7:8080`
        edge.yaml:6: listen[3]: expected an IP address and a port, found `1.2.3.4`
          hint: add a port, as in `10.0.0.7:8080` or `[::1]:8080`
        edge.yaml:7: listen[4]: expected an IP address and a port, found `8080`
          hint: for every interface: `0.0.0.0:8080`
        edge.yaml:8: listen[5]: expected a single value, found a list
        edge.yaml:9: listen[6]: expected a single value, found nothing
        ",
    );
    check(
        &with_web("listen: []"),
        r#"
        edge.yaml:2: listen: is empty
          hint: write at least one, as in `["0.0.0.0:80"]`
        "#,
    );
    check(
        &with_web("listen: 80"),
        r#"
        edge.yaml:2: listen: expected a list, found `80`
          hint: write `listen: ["0.0.0.0:80"]`
        "#,
    );
    check(
        &with_web("listen: [1.1.1.1:80, 1.1.1.1:80]"),
        "edge.yaml:2: listen[1]: `1.1.1.1:80` is listed twice",
    );
    check(
        &with_web("admin: {listen: here}"),
        "
        edge.yaml:2: admin.listen: expected an IP address and a port, found `here`
          hint: host names are not resolved: write the address
        ",
    );
    let known = good(&with_web(
        "admin: {hosts: [Edge.Example.com, edge.example.org.]}",
    ));
    assert_eq!(known.admin_hosts, ["edge.example.com", "edge.example.org"]);
    check(
        &with_web("admin: {hosts: [\"https://edge.example.com\"]}"),
        "
        edge.yaml:2: admin.hosts[0]: expected a host name, found `https://edge.example.com`
          hint: leave the scheme out: `edge.example.com`
        ",
    );
    check(
        &with_web("admin: yes"),
        r#"
        edge.yaml:2: admin: expected a mapping, found `yes`
          hint: write `{ listen: "127.0.0.1:9180" }` or `off`
        "#,
    );
    check(
        &with_web("admin: {listen: 0.0.0.0:80}"),
        "
        edge.yaml:2: admin: `0.0.0.0:80` is listed under `listen` as well
        ",
    );
}

#[test]
fn single_values_at_the_top_are_checked() {
    check(
        &with_web(
            "instance: Blue Green
state_dir: run
threads: 0
timeouts: {keepalive: 60, client_read: 0s, client_write: soon}
max_header_size: 1
max_concurrent_starts: many
",
        ),
        "
        edge.yaml:2: instance: `Blue Green` cannot be the name of an instance
          hint: use a-z, 0-9 and `-`, at most 40 characters, as in `blue-green`
        edge.yaml:3: state_dir: expected an absolute path, found `run`
          hint: begin with a slash
        edge.yaml:4: threads: expected a whole number from 1 to 1024, found `0`
        edge.yaml:5: timeouts.keepalive: expected a duration with a unit, found `60`
          hint: add a unit: `60s` or `60ms`
        edge.yaml:5: timeouts.client_read: must be longer than zero
          hint: the shortest is `1ms`
        edge.yaml:5: timeouts.client_write: expected a duration, found `soon`
          hint: write a number and a unit, as in `500ms`, `10s` or `1m30s`
        edge.yaml:6: max_header_size: expected 1.0 KiB to 1.0 MiB, found `1`
          hint: a number alone counts bytes: write `1KiB`
        edge.yaml:7: max_concurrent_starts: expected a whole number from 1 to 100, found `many`
        ",
    );
    check(
        &with_web("timeouts: {keepalive: 2days, client_read: 1us, client_write: [1s]}\n"),
        "
        edge.yaml:2: timeouts.client_write: expected a single value, found a list
        edge.yaml:2: timeouts.keepalive: expected at most `1day`, found `2days`
        edge.yaml:2: timeouts.client_read: expected at least `1ms`, found `1us`
        ",
    );
    check(
        &with_web("max_header_size: 64 loaves\ninstance: ''\n"),
        "
        edge.yaml:2: max_header_size: expected a size, found `64 loaves`
          hint: write a number and a unit, as in `64KiB`, `256m` or `1GiB`
        edge.yaml:3: instance: is empty
        ",
    );
}

#[test]
fn unknown_keys_come_with_what_was_meant() {
    check(
        &with_web(
            "listne: []\ntimeouts: {keepalife: 1s}\nimage: web\ncolour: red\nadmin: {lisen: x}\n",
        ),
        "
        edge.yaml:2: unknown key `listne`
          hint: did you mean `listen`?
        edge.yaml:3: timeouts: unknown key `keepalife`
          hint: did you mean `keepalive`?
        edge.yaml:4: unknown key `image`
          hint: move it under `services`, as in `services: { web: { … } }`
        edge.yaml:5: unknown key `colour`
          hint: the keys here are `include`, `listen`, `tls`, `admin`, `instance`, `state_dir`, `threads`, `timeouts`, `max_header_size`, `limits`, `trusted_proxies`, `proxy_protocol`, `max_concurrent_starts`, `services`, `plugins`
        edge.yaml:6: admin: unknown key `lisen`
          hint: did you mean `listen`?
        ",
    );
}

#[test]
fn without_a_service_there_is_nothing_to_do() {
    check("", "
        edge.yaml: services: there is no service to run
          hint: write one, as in `services: { web: { image: web } }`, or type `tidegate run --image IMAGE --port 80`
        ");
    check("services:\n", "
        edge.yaml:1: services: there is no service to run
          hint: write one, as in `services: { web: { image: web } }`, or type `tidegate run --image IMAGE --port 80`
        ");
    check("listen: [0.0.0.0:80]\nservices: {}\n", "
        edge.yaml:2: services: there is no service to run
          hint: write one, as in `services: { web: { image: web } }`, or type `tidegate run --image IMAGE --port 80`
        ");
    check(
        "services: [web]\n",
        "
        edge.yaml:1: services: expected a mapping, found a list
          hint: names are keys: `services: { web: { image: … } }`
        ",
    );
    check(
        "services:\n  web: nginx\n",
        "
        edge.yaml:2: services.web: expected a mapping, found `nginx`
          hint: as in `web: { image: web }`
        ",
    );
}

#[test]
fn limits_and_trust_are_checked() {
    check(
        &with_web(
            "limits: {connections: 0, headers: 300, target: 1, min_rate: fast, header_timeout: 1s}\n\
             trusted_proxies: [10.0.0.0/33, localhost, 10.0.0.7, 10.0.0.7/32]\n\
             proxy_protocol: [0.0.0.0:81]\n",
        ),
        "
        edge.yaml:2: limits: unknown key `header_timeout`
          hint: use `timeouts: { header: … }`
        edge.yaml:2: limits.connections: expected a whole number from 1 to 1000000, found `0`
        edge.yaml:2: limits.headers: expected a whole number from 1 to 256, found `300`
        edge.yaml:2: limits.target: expected 256 B to 1.0 MiB, found `1`
          hint: a number alone counts bytes: write `1KiB`
        edge.yaml:2: limits.min_rate: expected a size, found `fast`
          hint: write a number and a unit, as in `64KiB`, `256m` or `1GiB`
        edge.yaml:3: trusted_proxies[0]: expected an address or a network, found `10.0.0.0/33`
          hint: as in `10.0.0.7`, `10.0.0.0/8` or `2001:db8::/32`
        edge.yaml:3: trusted_proxies[1]: expected an address or a network, found `localhost`
          hint: as in `10.0.0.7`, `10.0.0.0/8` or `2001:db8::/32`
        edge.yaml:3: trusted_proxies[3]: `10.0.0.7/32` is listed twice
        edge.yaml:4: proxy_protocol[0]: `0.0.0.0:81` is not listed under `listen` or `tls.listen`
          hint: write it exactly as there
        ",
    );
    check(
        &with_web("proxy_protocol: [0.0.0.0:80]"),
        "
        edge.yaml:2: proxy_protocol: no proxy is trusted to send a PROXY header, so every connection there is refused
          hint: name the proxies, as in `trusted_proxies: [\"10.0.0.0/8\"]`
        ",
    );
}

#[test]
fn no_service_leads_back_to_tidegate_itself() {
    let to = |address: &str| {
        format!(
            "services: {{web: {{addresses: ['10.0.0.7:80', '{address}']}}}}\n\
             listen: ['0.0.0.0:80']\nadmin: {{listen: 127.0.0.1:9180}}\n"
        )
    };
    for address in ["127.0.0.1:80", "127.0.0.1:9180", "[::1]:80"] {
        check(
            &to(address),
            &format!(
                "
                edge.yaml:1: services.web.addresses: Tidegate itself listens at `{address}`
                  hint: name the server that should answer
                "
            ),
        );
    }
    for (address, shown) in [
        ("[::ffff:127.0.0.1]:9180", "127.0.0.1:9180"),
        ("[::ffff:7f00:1]:80", "127.0.0.1:80"),
    ] {
        check(
            &to(address),
            &format!(
                "
                edge.yaml:1: services.web.addresses: Tidegate itself listens at `{shown}`
                  hint: name the server that should answer
                "
            ),
        );
    }
    check(
        &to("[::ffff:0.0.0.0]:9180"),
        "
        edge.yaml:1: services.web.addresses[1]: `0.0.0.0:9180` is an address to listen on, not to connect to
          hint: for this machine itself: `127.0.0.1:9180`
        ",
    );
    // An address of this machine, where it has one.
    let route = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    if route.connect("192.0.2.1:9").is_ok() {
        let own = route.local_addr().unwrap().ip();
        let problems = try_load(&to(&format!("{own}:80"))).err().unwrap();
        assert!(problems.to_string().contains("Tidegate itself listens"));
        good(&to(&format!("{own}:9180")));
    }
    good(&to("127.0.0.2:9180"));
}
