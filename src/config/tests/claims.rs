//! Claims of services: routes and host ports.

use super::{check, good, reload, spec, try_load, web};
use crate::config::Config;

#[test]
fn routes_are_normalised() {
    let spec = spec(&web(
        "routes: [{host: WWW.Example.com., path: /api/}, {host: '*.example.com'}, {path: /}]",
    ));
    let shown: Vec<String> = spec.routes.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["www.example.com/api", "*.example.com/", "*/"]);
}

#[test]
fn routes_are_checked() {
    check(
        &web("
routes:
- /api
- {}
- {host: 'http://a.b'}
- {host: a.b/c}
- {host: 'a.b:80'}
- {host: '*'}
- {host: 'a.*.b'}
- {host: a..b}
- {path: api}
- {path: /a?b=c}
- {path: /api/*}
- {path: /a//b}
- {path: /a/../b}
- {path: /a, pth: /b}
- {path: /a, encoded_slashes: yes}
- [x]"),
        "
        edge.yaml:5: services.web.routes[0]: expected a mapping, found `/api`
          hint: write `{ path: /api }`
        edge.yaml:6: services.web.routes[1]: claims nothing
          hint: give it a `host`, a `path` or both; leave `routes` out to claim everything
        edge.yaml:7: services.web.routes[2].host: expected a host name, found `http://a.b`
          hint: leave the scheme out: `a.b`
        edge.yaml:8: services.web.routes[3].host: expected a host name, found `a.b/c`
          hint: write `host: a.b` and `path: /c`
        edge.yaml:9: services.web.routes[4].host: expected a host name, found `a.b:80`
          hint: leave the port out: `a.b`
        edge.yaml:10: services.web.routes[5].host: expected a host name, found `*`
          hint: leave `host` out to claim every host
        edge.yaml:11: services.web.routes[6].host: expected a host name, found `a.*.b`
          hint: `*` stands for the first labels only, as in `*.example.com`
        edge.yaml:12: services.web.routes[7].host: expected a host name, found `a..b`
        edge.yaml:13: services.web.routes[8].path: expected a path, found `api`
          hint: begin with a slash: `/api`
        edge.yaml:14: services.web.routes[9].path: expected a path, found `/a?b=c`
          hint: leave the query out: routes look at the path only
        edge.yaml:15: services.web.routes[10].path: expected a path, found `/api/*`
          hint: leave the `*` out: a path claims everything below it
        edge.yaml:16: services.web.routes[11].path: expected a path, found `/a//b`
          hint: one slash is enough
        edge.yaml:17: services.web.routes[12].path: expected a path, found `/a/../b`
        edge.yaml:18: services.web.routes[13]: unknown key `pth`
          hint: did you mean `path`?
        edge.yaml:19: services.web.routes[14].encoded_slashes: expected `keep` or `refuse`, found `yes`
          hint: with `keep`, `%2F` in a path reaches the service unchanged
        edge.yaml:20: services.web.routes[15]: expected a mapping, found a list
        ",
    );
}

#[test]
fn no_two_services_claim_the_same() {
    check(
        "services:
  a: {image: a}
  b: {image: b, first_port: 9000}
  c: {image: c, first_port: 9100, routes: [path: /]}
  d: {image: d, first_port: 9200, routes: [{path: /d}, {path: /d/}]}
  e: {image: e, first_port: 9300, routes: [{path: /d}]}
",
        "
        edge.yaml:3: services.b: neither this nor `a` has `routes`: both claim every request
          hint: give at least one of them `routes`, as in `routes: [{ path: /api }]`
        edge.yaml:4: services.c.routes[0]: `*/` is claimed by `a` already
          hint: give one of the two another `host` or `path`
        edge.yaml:5: services.d.routes[1]: `*/d` is claimed by this service already
          hint: give one of the two another `host` or `path`
        edge.yaml:6: services.e.routes[0]: `*/d` is claimed by `d` already
          hint: give one of the two another `host` or `path`
        ",
    );
    check(
        "services:
  a: {image: a, routes: [path: /]}
  b: {image: b, first_port: 9000}
",
        "
        edge.yaml:3: services.b: has no `routes`, and `a` claims every request already
          hint: give it `routes`, as in `routes: [{ path: /api }]`
        ",
    );
}

#[test]
fn host_ports_suffice_and_do_not_meet() {
    check(&web("first_port: 65530"), "
        edge.yaml:4: services.web: the port range is too small: 6 ports from `first_port` 65530, but `scale.max` is 10
          hint: lower `first_port` to at most 65526, or `max` to at most 6
        ");
    check(&web("first_port: 65530\nscale: {max: 1000}"), "
        edge.yaml:4: services.web: the port range is too small: 6 ports from `first_port` 65530, but `scale.max` is 1000
          hint: lower `first_port` to at most 64536, or `max` to at most 6
        ");
    check(
        "services:
  a: {image: a, routes: [path: /a], first_port: 8000}
  b: {image: b, routes: [path: /b], first_port: 8000}
  c: {image: c, routes: [path: /c], first_port: 8010}
  d: {image: d, routes: [path: /d], first_port: 9175}
",
        "
        edge.yaml:3: services.b: host ports 8000 to 8009 overlap with those of `a`, 8000 to 8009
          hint: the next free range: `first_port: 8020`
        edge.yaml:5: services.d: host ports 9175 to 9184 overlap with `127.0.0.1:9180`, where Tidegate listens
          hint: the next free range: `first_port: 9181`
        ",
    );
    check(&format!("listen: [0.0.0.0:8003]\n{}", web("first_port: 8000")), "
        edge.yaml:5: services.web: host ports 8000 to 8009 overlap with `0.0.0.0:8003`, where Tidegate listens
          hint: the next free range: `first_port: 8004`
        ");
    good(&format!(
        "listen: [10.0.0.1:8003]\n{}",
        web("first_port: 8000")
    ));
}

/// First ports of the services, in their order.
fn first_ports(config: &Config) -> Vec<u16> {
    let services = config.services.iter();
    let templates = services.filter_map(|service| service.spec.template());
    templates.map(|template| template.first_port).collect()
}

#[test]
fn first_ports_that_are_left_out_are_chosen_and_stay() {
    let file = |names: &[&str], more: &str| {
        let services = names.iter().map(|name| {
            format!("  {name}: {{image: web, routes: [path: /{name}], scale: {{max: 10}}}}\n")
        });
        format!(
            "listen: [0.0.0.0:8203]\nservices:\n{}{more}",
            services.collect::<String>()
        )
    };
    let first = good(&file(&["a", "b", "c"], ""));
    assert_eq!(first_ports(&first), [8000, 8100, 8300]);
    let reloaded = reload(&file(&["new", "c", "a"], ""), Some(&first))
        .ok()
        .unwrap();
    assert_eq!(first_ports(&reloaded), [8100, 8300, 8000]);
    // A range that a key gives to another service is given up.
    let taken = "  d: {image: web, routes: [path: /d], scale: {max: 1}, first_port: 8009}\n";
    let reloaded = reload(&file(&["a", "b"], taken), Some(&first))
        .ok()
        .unwrap();
    assert_eq!(first_ports(&reloaded), [8300, 8100, 8009]);
    assert_eq!(first_ports(&good(&file(&["a"], taken))), [8100, 8009]);
}

#[test]
fn there_is_room_for_hundreds_of_services_but_not_for_any() {
    let file = |count: usize, max: usize| {
        let services = (0..count).map(|index| {
            format!("  s{index}: {{image: web, routes: [path: /{index}], scale: {{max: {max}}}}}\n")
        });
        format!("services:\n{}", services.collect::<String>())
    };
    let ports = first_ports(&good(&file(700, 10)));
    assert_eq!((ports[0], ports[575]), (8000, 65500));
    assert_eq!(ports[576], 8010);
    let problems = try_load(&file(60, 1000)).err().unwrap().to_string();
    assert!(
        problems.contains("1000 host ports in a row are free nowhere"),
        "{problems}"
    );
}
