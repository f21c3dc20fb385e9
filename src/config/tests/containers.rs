//! Keys that containers are made from.

use super::{check, spec, web};
use crate::service::spec::Template;

fn template(keys: &str) -> Template {
    spec(&web(keys)).template().unwrap().clone()
}

#[test]
fn every_key_of_a_container_is_read() {
    let template = template(
        "
port: 8080
first_port: 9000
command: serve --name 'two words' -v
entrypoint: [/bin/sh, -c, 5]
environment: {A: 1, B: true, C: '', GREETING: }
volumes: ['data:/data', '/srv/x:/x:ro']
networks: [front, back]
user: 1000
cpus: 0.5
memory: 256m",
    );
    assert_eq!((template.port, template.first_port), (8080, 9000));
    assert_eq!(
        template.command.unwrap(),
        ["serve", "--name", "two words", "-v"]
    );
    assert_eq!(template.entrypoint.unwrap(), ["/bin/sh", "-c", "5"]);
    let environment: Vec<String> = template
        .environment
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    assert_eq!(environment, ["A=1", "B=true", "C=", "GREETING=hello"]);
    assert_eq!(template.volumes, ["data:/data", "/srv/x:/x:ro"]);
    assert_eq!(template.networks, ["front", "back"]);
    assert_eq!(template.user.as_deref(), Some("1000"));
    assert_eq!(template.nano_cpus, Some(500_000_000));
    assert_eq!(template.memory_bytes, Some(256 << 20));
}

#[test]
fn the_environment_may_be_a_list() {
    let template = template("environment: [A=1=2, GREETING, B=]");
    let values: Vec<&str> = template.environment.values().map(String::as_str).collect();
    assert_eq!(values, ["1=2", "", "hello"]);
}

#[test]
fn sizes_are_powers_of_1024_like_in_compose() {
    for typed in [
        "64m",
        "64M",
        "64mb",
        "64MB",
        "64MiB",
        "64 mib",
        "65536k",
        "67108864",
        "67108864b",
    ] {
        let memory = template(&format!("memory: {typed}")).memory_bytes;
        assert_eq!(memory, Some(64 << 20), "{typed}");
    }
}

#[test]
fn images_are_checked() {
    for image in [
        "a",
        "a:1",
        "r.example.com:5000/Team/a@sha256:00",
        "sha256:00",
    ] {
        spec(&format!("services: {{web: {{image: '{image}'}}}}"));
    }
    for (image, expected) in [
        (
            "'a b'",
            "
            edge.yaml:1: services.web.image: expected an image, found `a b`
              hint: as in `web`, `web:1.2` or `registry.example.com/team/web:1.2`
            ",
        ),
        (
            "https://a/b",
            "
            edge.yaml:1: services.web.image: expected an image, found `https://a/b`
              hint: leave the scheme out, as in `registry.example.com/team/web:1.2`
            ",
        ),
        (
            "team/Web:1",
            "
            edge.yaml:1: services.web.image: expected an image, found `team/Web:1`
              hint: names of images are lower case: `team/web:1`
            ",
        ),
        (
            "'a:'",
            "
            edge.yaml:1: services.web.image: expected an image, found `a:`
              hint: as in `web`, `web:1.2` or `registry.example.com/team/web:1.2`
            ",
        ),
        ("''", "edge.yaml:1: services.web.image: is empty"),
        (
            "a//b",
            "
            edge.yaml:1: services.web.image: expected an image, found `a//b`
              hint: as in `web`, `web:1.2` or `registry.example.com/team/web:1.2`
            ",
        ),
    ] {
        check(&format!("services: {{web: {{image: {image}}}}}"), expected);
    }
}

#[test]
fn ports_commands_users_and_limits_are_checked() {
    check(
        &web("
port: 0
first_port: 65536
command: say 'hello
entrypoint: []
user: a b
cpus: 0
memory: 5MiB"),
        "
        edge.yaml:4: services.web.port: expected a port from 1 to 65535, found `0`
        edge.yaml:5: services.web.first_port: expected a port from 1 to 65535, found `65536`
        edge.yaml:6: services.web.command: a quote is opened and not closed in `say 'hello`
          hint: close it, or write a list
        edge.yaml:7: services.web.entrypoint: is empty
          hint: leave it out for the image's own
        edge.yaml:8: services.web.user: expected a user, found `a b`
          hint: as in `app`, `1000` or `1000:1000`
        edge.yaml:9: services.web.cpus: expected a number of cores from 0.01 to 1024, found `0`
          hint: `0.5` is half a core
        edge.yaml:10: services.web.memory: expected 6.0 MiB to 1.0 PiB, found `5MiB`
        ",
    );
    check(
        &web("command: {a: b}\nentrypoint: [[a], b]\ncpus: fast\nmemory: lots\nport: 80.5"),
        "
        edge.yaml:4: services.web.command: expected text or a list, found a mapping
        edge.yaml:5: services.web.entrypoint[0]: expected a single value, found a list
        edge.yaml:6: services.web.cpus: expected a number of cores from 0.01 to 1024, found `fast`
          hint: `0.5` is half a core
        edge.yaml:7: services.web.memory: expected a size, found `lots`
          hint: write a number and a unit, as in `64KiB`, `256m` or `1GiB`
        edge.yaml:8: services.web.port: expected a port from 1 to 65535, found `80.5`
        ",
    );
}

#[test]
fn variables_are_checked() {
    check(
        &web("environment:\n  'A B': 1\n  MISSING:\n  LIST: [a]\n"),
        r#"
        edge.yaml:5: services.web.environment.A B: `A B` cannot be the name of a variable
        edge.yaml:6: services.web.environment.MISSING: `MISSING` has no value here, nor in Tidegate's own environment
          hint: set `MISSING` before Tidegate starts, or write a value (`""` for none)
        edge.yaml:7: services.web.environment.LIST: expected a single value, found a list
        "#,
    );
    check(
        &web("environment: [A=1, A=2, =3, MISSING]"),
        r#"
        edge.yaml:4: services.web.environment[1]: `A` is given twice
        edge.yaml:4: services.web.environment[2]: `` cannot be the name of a variable
        edge.yaml:4: services.web.environment[3]: `MISSING` has no value here, nor in Tidegate's own environment
          hint: set `MISSING` before Tidegate starts, or write a value (`""` for none)
        "#,
    );
    check(
        &web("environment: A=1"),
        "
        edge.yaml:4: services.web.environment: expected a mapping, found a single value
          hint: write `environment: { KEY: value }`
        ",
    );
}

#[test]
fn volumes_are_checked() {
    check(
        &web("
volumes:
- /data
- ./data:/data
- data:data
- data:/
- da ta:/data
- data:/data:z
- a:b:c:d
- data
- {type: bind}
- a:/twice
- b:/twice/
- [c]"),
        "
        edge.yaml:5: services.web.volumes[0]: expected a volume, found `/data`
          hint: name it, so that replicas share it: `data:/data`
        edge.yaml:6: services.web.volumes[1]: expected a volume, found `./data:/data`
          hint: write the path on the host in full: `/srv/data:/data`
        edge.yaml:7: services.web.volumes[2]: expected a volume, found `data:data`
          hint: the path inside the container begins with a slash: `/data`
        edge.yaml:8: services.web.volumes[3]: expected a volume, found `data:/`
          hint: a volume cannot take the place of the container's whole file system
        edge.yaml:9: services.web.volumes[4]: expected a volume, found `da ta:/data`
          hint: names of volumes have letters, digits, `_`, `.` and `-` in them
        edge.yaml:10: services.web.volumes[5]: expected a volume, found `data:/data:z`
          hint: the third part is `ro` or `rw`
        edge.yaml:11: services.web.volumes[6]: expected a volume, found `a:b:c:d`
          hint: write `name:/path`, `/host/path:/path` or either with `:ro`
        edge.yaml:12: services.web.volumes[7]: expected a volume, found `data`
          hint: write `name:/path`, `/host/path:/path` or either with `:ro`
        edge.yaml:13: services.web.volumes[8]: expected text, found a mapping
          hint: write `name:/path`, `/host/path:/path` or either with `:ro`
        edge.yaml:15: services.web.volumes[10]: `/twice` inside the container is taken by item 10 of this list
        edge.yaml:16: services.web.volumes[11]: expected a single value, found a list
        ",
    );
}

#[test]
fn networks_are_checked() {
    check(
        &web("networks: [host, a b, front, front]"),
        "
        edge.yaml:4: services.web.networks[0]: replicas cannot run on the network `host`
          hint: each needs an address of its own: name a bridge network
        edge.yaml:4: services.web.networks[1]: expected the name of a network, found `a b`
        edge.yaml:4: services.web.networks[3]: `front` is listed twice
        ",
    );
    check(
        &web("networks: {front: {}}"),
        "
        edge.yaml:4: services.web.networks: expected a list, found a mapping
          hint: as in `networks: [front]`
        ",
    );
}

#[test]
fn secrets_are_read_from_files_and_shown_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let password = file("password", b"hunter2\n");
    let keys = format!("environment: {{ USER: tide }}\nsecrets: {{ PASSWORD: {password} }}");
    let spec = spec(&web(&keys));
    let environment = &spec.template().unwrap().environment;
    assert_eq!(environment["PASSWORD"], "hunter2");
    assert_eq!(environment["USER"], "tide");
    let shown = format!("{spec:?}");
    assert!(shown.contains("PASSWORD"), "{shown}");
    assert!(
        !shown.contains("hunter2") && !shown.contains("tide\""),
        "{shown}"
    );

    let binary = file("binary", b"a\0b");
    let large = file("large", &[b'x'; (64 << 10) + 1]);
    let missing = folder.path().join("missing").display().to_string();
    check(
        &web(&format!(
            "environment: {{ PASSWORD: hunter2 }}
secrets:
  PASSWORD: {password}
  A: relative
  B: {missing}
  C: {binary}
  D: {large}
  E: [hunter2]
  F G: {password}"
        )),
        &format!(
            "
            edge.yaml:6: services.web.secrets.PASSWORD: `PASSWORD` is given under `environment` as well
              hint: remove one of the two
            edge.yaml:7: services.web.secrets.A: expected an absolute path, found `relative`
              hint: begin with a slash
            edge.yaml:8: services.web.secrets.B: cannot open `{missing}`: No such file or directory (os error 2)
            edge.yaml:9: services.web.secrets.C: `{binary}` has a NUL character in it
            edge.yaml:10: services.web.secrets.D: `{large}` is larger than 64 KiB
            edge.yaml:11: services.web.secrets.E: expected the path of a file
              hint: as in `E: /run/secrets/e`
            edge.yaml:12: services.web.secrets.F G: cannot be the name of a variable
            "
        ),
    );
}

#[test]
fn a_problem_with_a_variable_does_not_tell_its_value() {
    for environment in [
        "PASSWORD=hunter2",
        "[PASSWORD hunter2]",
        "{PASSWORD: [hunter2]}",
    ] {
        let Err(problems) = super::try_load(&web(&format!("environment: {environment}"))) else {
            panic!("nothing is wrong with {environment}");
        };
        assert!(!problems.to_string().contains("hunter2"), "{problems}");
    }
}
