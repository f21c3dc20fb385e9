//! The text itself: YAML, keys given twice, anchors.

use super::{check, good, spec, try_load};

#[test]
fn text_that_is_not_yaml_is_shown_by_line_and_column() {
    check(
        "services:\n  web: [",
        "edge.yaml:2:9: not valid YAML: while parsing a node, did not find expected node content",
    );
    check(
        "services:\n\tweb: {}\n",
        "edge.yaml:2:2: not valid YAML: tabs disallowed within this context (block indentation)",
    );
}

#[test]
fn a_key_given_twice_is_shown_with_its_first_line() {
    check(
        "services:\n  web:\n    image: a\n    port: 80\n    port: 81\n    image: b\n",
        "edge.yaml:5:5: services.web: `port` is given twice, first on line 4
         edge.yaml:6:5: services.web: `image` is given twice, first on line 3",
    );
}

#[test]
fn a_file_is_one_mapping_with_plain_keys() {
    check(
        "- a\n",
        "edge.yaml:1: expected a mapping, found a list
           hint: begin with `services:`",
    );
    check(
        "hello",
        "edge.yaml:1: expected a mapping, found `hello`
           hint: begin with `services:`",
    );
    check(
        "a: 1\n---\nb: 2\n",
        "edge.yaml:2:1: a second document: only one is allowed",
    );
    check("? [a, b]\n: c\n", "edge.yaml:1:3: a key must be plain text");
    check(
        "services: {web: {image: !secret x, port: !!int eighty}}\n",
        "
        edge.yaml:1:25: services.web.image: the tag `!secret` is not supported
        edge.yaml:1:42: services.web.port: `eighty` does not fit the tag `!!int`
        ",
    );
}

#[test]
fn aliases_and_merges_bring_their_lines_along() {
    let yaml = "
services:
  one: &base
    image: web
    routes: [{path: /one}]
    scale: &scale
      max: 2
      min: 3
  two:
    <<: *base
    first_port: 9000
    routes: [{path: /two}]
  three:
    image: web
    first_port: 9100
    routes: [{path: /three}]
    scale: *scale
";
    check(
        yaml,
        "edge.yaml:7: services.one.scale: `max` is 2 but `min` is 3
           hint: raise `max` to at least 3, or lower `min`
         edge.yaml:7: services.two.scale: `max` is 2 but `min` is 3
           hint: raise `max` to at least 3, or lower `min`
         edge.yaml:7: services.three.scale: `max` is 2 but `min` is 3
           hint: raise `max` to at least 3, or lower `min`",
    );
    let config = good(&yaml.replace("min: 3", "min: 2"));
    assert_eq!(config.services[1].spec.template().unwrap().first_port, 9000);
    check(
        "services:\n  web:\n    <<: 5\n    image: web\n",
        "
        edge.yaml:3: services.web.<<: `<<` takes a mapping, as in `<<: *anchor`
        ",
    );
}

#[test]
fn keys_that_begin_with_x_are_the_users_own() {
    let yaml = "
x-common: &common
  image: shop:1
  memory: 64MiB
  environment: &env { A: 1 }
x-list: [1, {a: b}]
services:
  a:
    <<: *common
    x-note: anything
  b:
    <<: *common
    first_port: 8100
    routes: [{path: /b}]
    environment:
      <<: *env
      B: 2
";
    let config = good(yaml);
    let template = |index: usize| config.services[index].spec.template().unwrap().clone();
    assert_eq!(template(0).image, "shop:1");
    assert_eq!(template(1).memory_bytes, Some(64 << 20));
    assert_eq!(template(1).environment.len(), 2);
    check(
        &yaml.replace("64MiB", "much"),
        "
        edge.yaml:4: services.a.memory: expected a size, found `much`
          hint: write a number and a unit, as in `64KiB`, `256m` or `1GiB`
        edge.yaml:4: services.b.memory: expected a size, found `much`
          hint: write a number and a unit, as in `64KiB`, `256m` or `1GiB`
        ",
    );
    check(
        "timeouts: {x-a: 1}\nservices: {web: {image: web}}",
        "
        edge.yaml:1: timeouts: unknown key `x-a`
          hint: the keys here are `header`, `keepalive`, `client_read`, `client_write`, `drain`
        ",
    );
}

#[test]
fn what_would_fill_the_memory_or_the_stack_is_refused() {
    for depth in [100, 100_000] {
        let deep = format!("a: {}", "[".repeat(depth));
        let problems = try_load(&deep).err().unwrap().to_string();
        assert!(problems.starts_with("edge.yaml:1:"), "{problems}");
    }
    let mut laughs = String::from("a: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        laughs += &format!("b{level}: &a{level} [{below}]\n");
    }
    let problems = try_load(&laughs).err().unwrap().to_string();
    assert!(problems.contains("more than 100000 values"), "{problems}");
    let long = "x".repeat(2 << 20);
    let many = |alias: &str| format!("[{}]", vec![alias; 3_000].join(", "));
    for yaml in [
        format!("a: &a {long}\nb: {}\n", many("*a")),
        format!("a: &a {{ ? {long} : x }}\nb: {}\n", many("*a")),
        format!("? {long}\n: {}\n", many("x")),
        format!("b: {}{long}{}\n", "&a [".repeat(60), "]".repeat(60)),
    ] {
        let problems = try_load(&yaml).err().unwrap().to_string();
        let first: String = problems.chars().take(200).collect();
        let expected = "more than 16 MiB, with aliases expanded; repeat less of it";
        assert!(first.contains(expected), "{first}");
    }
}

#[test]
fn numbers_as_text_stay_as_they_were_typed() {
    let spec = spec("services: {web: {image: web, environment: {V: 1.10, ZIP: 0123, ON: yes}}}");
    let environment = &spec.template().unwrap().environment;
    let values: Vec<&str> = environment.values().map(String::as_str).collect();
    assert_eq!(values, ["yes", "1.10", "0123"]);
}
