//! Flags beat the environment, which beats the file.

use super::{compare, env, stubs, text, web};
use crate::config::{Config, Env, Flags, Overrides, Problems, Text, find, load};
use crate::service::store::store;
use std::path::PathBuf;
use std::time::Duration;

fn with(source: &Text, flags: Flags, vars: &'static [(&str, &str)]) -> Result<Config, Problems> {
    let env = Env::new(move |name| {
        let found = vars.iter().find(|(key, _)| *key == name);
        found
            .map(|(_, value)| value.to_string())
            .or(env().get(name))
    });
    let (_, reader) = store();
    let overrides = Overrides::new(flags, env);
    load(source, &overrides, &stubs::registry(), reader, None)
}

fn good(source: &Text, flags: Flags, vars: &'static [(&str, &str)]) -> Config {
    with(source, flags, vars).unwrap_or_else(|problems| panic!("{problems}"))
}

#[track_caller]
fn check(source: &Text, flags: Flags, vars: &'static [(&str, &str)], expected: &str) {
    let problems = with(source, flags, vars).err().expect("something is wrong");
    compare(&problems, &source.content, expected);
}

fn image(image: &str) -> Flags {
    Flags {
        image: Some(image.to_owned()),
        ..Flags::default()
    }
}

#[test]
fn an_image_is_enough_to_start() {
    let flags = Flags {
        listen: Some(vec!["127.0.0.1:8888".parse().unwrap()]),
        port: Some(8080),
        min: Some(2),
        max: Some(3),
        ..image("ghcr.io/team/my_app:1.2")
    };
    let config = good(&Text::built_in(), flags, &[]);
    assert_eq!(config.listen, ["127.0.0.1:8888".parse().unwrap()]);
    let spec = &config.services[0].spec;
    assert_eq!(spec.name.as_str(), "my-app");
    assert_eq!(spec.template().unwrap().image, "ghcr.io/team/my_app:1.2");
    assert_eq!(spec.template().unwrap().port, 8080);
    assert_eq!((spec.bounds.min, spec.bounds.max), (2, 3));
    // The specification's path, and images that do not know it are well, too.
    let probe = &config.services[0].probe_plugin;
    assert_eq!(probe.name, "answers");
    assert_eq!(probe.values["path"], "/api/v1/_health");
}

#[test]
fn without_file_and_image_it_is_said_what_to_type() {
    check(&Text::built_in(), Flags::default(), &[], "
        built-in defaults: services: there is no service to run
          hint: write one, as in `services: { web: { image: web } }`, or type `tidegate run --image IMAGE --port 80`
        ");
    check(
        &Text::built_in(),
        Flags::default(),
        &[("TIDEGATE_PORT", "80")],
        "
        built-in defaults: services: there is no service to run
          hint: write one, as in `services: { web: { image: web } }`, or type `tidegate run --image IMAGE --port 80`
        ",
    );
}

#[test]
fn flags_beat_the_environment_and_that_beats_the_file() {
    let file = text(&format!(
        "listen: [1.1.1.1:1, 2.2.2.2:2]\nadmin: off\nstate_dir: /a\ninstance: a\n{}",
        web("port: 1\nscale: {min: 1, max: 2}")
    ));
    let vars = &[
        ("TIDEGATE_LISTEN", "127.0.0.1:1, [::1]:1"),
        ("TIDEGATE_ADMIN_LISTEN", "127.0.0.1:2"),
        ("TIDEGATE_STATE_DIR", "/b"),
        ("TIDEGATE_INSTANCE", "b"),
        ("TIDEGATE_IMAGE", "b"),
        ("TIDEGATE_PORT", "2"),
        ("TIDEGATE_MIN", "3"),
        ("TIDEGATE_MAX", "4"),
    ];
    let config = good(
        &file,
        Flags {
            max: Some(5),
            ..image("c")
        },
        vars,
    );
    assert_eq!(config.listen.len(), 2);
    assert_eq!(config.admin, Some("127.0.0.1:2".parse().unwrap()));
    assert_eq!(config.state_dir, PathBuf::from("/b"));
    assert_eq!(config.instance, "b");
    let spec = &config.services[0].spec;
    assert_eq!(spec.name.as_str(), "web");
    assert_eq!(spec.template().unwrap().image, "c");
    assert_eq!(spec.template().unwrap().port, 2);
    assert_eq!((spec.bounds.min, spec.bounds.max), (3, 5));
    let config = good(&file, Flags::default(), &[("TIDEGATE_ADMIN_LISTEN", "off")]);
    assert_eq!(config.admin, None);
    let config = good(&file, Flags::default(), &[("TIDEGATE_MAX", "")]);
    assert_eq!(config.services[0].spec.bounds.max, 2);
}

#[test]
fn problems_name_the_flag_or_variable_they_came_from() {
    let file = text(&web("scale: {max: 2}"));
    check(
        &file,
        Flags {
            min: Some(4),
            max: Some(0),
            ..image("A")
        },
        &[],
        "
        --image: services.web.image: expected an image, found `A`
          hint: names of images are lower case: `a`
        --max: services.web.scale.max: expected a whole number from 1 to 1000, found `0`
        ",
    );
    check(
        &file,
        Flags::default(),
        &[
            ("TIDEGATE_LISTEN", "here"),
            ("TIDEGATE_ADMIN_LISTEN", "80"),
            ("TIDEGATE_STATE_DIR", "x"),
            ("TIDEGATE_PORT", "http"),
            ("TIDEGATE_MIN", "3"),
        ],
        "
        TIDEGATE_LISTEN: listen[0]: expected an IP address and a port, found `here`
          hint: host names are not resolved: write the address
        TIDEGATE_ADMIN_LISTEN: admin.listen: expected an IP address and a port, found `80`
          hint: for every interface: `0.0.0.0:80`
        TIDEGATE_STATE_DIR: state_dir: expected an absolute path, found `x`
          hint: begin with a slash
        TIDEGATE_PORT: services.web.port: expected a port from 1 to 65535, found `http`
        TIDEGATE_MIN: services.web.scale: `max` is 2 but `min` is 3
          hint: raise `max` to at least 3, or lower `min`
        ",
    );
}

#[test]
fn a_health_check_is_a_path_or_a_connection() {
    let by = |healthcheck: &str| Flags {
        healthcheck: Some(healthcheck.to_owned()),
        ..Flags::default()
    };
    let asked = text(&web("healthcheck: {path: /up, interval: 2s}"));
    let connected = text(&web("healthcheck: {type: tcp, interval: 2s}"));
    for file in [&text(&web("")), &asked, &connected] {
        assert_eq!(
            good(file, by("/"), &[]).services[0].probe_plugin.name,
            "http"
        );
        assert_eq!(
            good(file, by("tcp"), &[]).services[0].probe_plugin.name,
            "tcp"
        );
    }
    let config = good(&asked, Flags::default(), &[("TIDEGATE_HEALTHCHECK", "tcp")]);
    assert_eq!(config.services[0].probe_plugin.name, "tcp");
    assert_eq!(
        config.services[0].spec.health.interval,
        Duration::from_secs(2)
    );
    check(
        &connected,
        by("/a b"),
        &[],
        "
        --healthcheck: services.web.healthcheck: `/a b` is not a path
        ",
    );
}

#[test]
fn the_only_container_of_a_file_is_meant() {
    let old = "  old: {addresses: [1.1.1.1:1], routes: [path: /old]}\n";
    let file = text(&format!("{}{old}", web("")));
    let config = good(&file, image("b"), &[]);
    assert_eq!(config.services[0].spec.template().unwrap().image, "b");
    check(
        &text(&format!("services:\n{old}")),
        image("b"),
        &[],
        "
        --image: there is no container service that it could be for
          hint: leave it out, and write it into the file
        ",
    );
    let more = "  api: {image: api, first_port: 9000, routes: [path: /api]}\n";
    let file = text(&format!("{}{more}", web("")));
    check(
        &file,
        image("b"),
        &[("TIDEGATE_MIN", "2")],
        "
        --image: it could be for any of `web`, `api`
          hint: leave it out, and write it into the file
        TIDEGATE_MIN: it could be for any of `web`, `api`
          hint: leave it out, and write it into the file
        ",
    );
    let config = good(&text("listen: [1.1.1.1:1]"), image("sha256:00"), &[]);
    assert_eq!(config.services[0].spec.name.as_str(), "sha256");
}

#[test]
fn the_file_is_looked_for_where_it_was_promised() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["c", "env", "here", "etc"] {
        std::fs::write(path(name), name).unwrap();
    }
    let here = path("here").display().to_string();
    let etc = path("etc").display().to_string();
    let env_file = path("env").display().to_string();
    let set = Env::new(move |name| (name == "TIDEGATE_CONFIG").then(|| env_file.clone()));
    let unset = Env::new(|_| None);
    let found = |explicit, env: &Env| {
        let usual = [here.as_str(), etc.as_str()];
        crate::config::text::find_among(explicit, env, &usual)
            .unwrap()
            .content
    };
    assert_eq!(found(Some(path("c")), &set), "c");
    assert_eq!(found(None, &set), "env");
    assert_eq!(found(None, &unset), "here");
    std::fs::remove_file(path("here")).unwrap();
    assert_eq!(found(None, &unset), "etc");
    std::fs::remove_file(path("etc")).unwrap();
    assert_eq!(found(None, &unset), "");
}

#[test]
fn a_named_file_must_be_readable() {
    let folder = tempfile::tempdir().unwrap();
    let check = |path: PathBuf, expected: &str| {
        let problems = find(Some(path), &env()).unwrap_err();
        let shown = folder.path().display().to_string();
        assert_eq!(problems.to_string().replace(&shown, "DIR"), expected);
    };
    std::fs::write(folder.path().join("binary"), [0xff, 0xfe]).unwrap();
    check(
        folder.path().join("none.yaml"),
        "DIR/none.yaml: cannot read the configuration: there is no such file\n  \
         hint: check the path behind `-c`\n1 problem",
    );
    check(
        folder.path().to_owned(),
        "DIR: cannot read the configuration: it is a folder\n  \
         hint: check the path behind `-c`\n1 problem",
    );
    check(
        folder.path().join("binary"),
        "DIR/binary: cannot read the configuration: it is not UTF-8 text\n  \
         hint: check the path behind `-c`\n1 problem",
    );
}

#[test]
fn a_port_alone_to_listen_on_is_one_of_every_interface() {
    for (typed, expected) in [
        ("8080", "0.0.0.0:8080"),
        (":8080", "0.0.0.0:8080"),
        (" 127.0.0.1:1 ", "127.0.0.1:1"),
        ("[::1]:1", "[::1]:1"),
        ("70000", "70000"),
        ("here", "here"),
    ] {
        assert_eq!(crate::config::listen_address(typed), expected);
    }
}
