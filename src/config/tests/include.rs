//! Files that include others.

use super::super::{Config, Flags, Overrides, Problems, Text, diff, load, state_dir};
use super::{compare, env, stubs};
use crate::service::store::store;
use std::fs;
use tempfile::TempDir;

/// A folder with `files`, each with its text.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn text(folder: &TempDir) -> Text {
    let path = folder.path().join("edge.yaml");
    Text {
        name: path.display().to_string(),
        content: fs::read_to_string(path).unwrap(),
    }
}

fn load_from(folder: &TempDir) -> Result<Config, Problems> {
    let overrides = Overrides::new(Flags::default(), env());
    load(
        &text(folder),
        &overrides,
        &stubs::registry(),
        store().1,
        None,
    )
}

fn good(folder: &TempDir) -> Config {
    load_from(folder).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The problems are `expected`; `DIR` in it stands for the folder.
#[track_caller]
fn check(files: &[(&str, &str)], expected: &str) {
    let folder = folder(files);
    let problems = load_from(&folder).err().expect("something is wrong");
    let dir = folder.path().display().to_string();
    compare(&problems, files[0].1, &expected.replace("DIR", &dir));
}

#[test]
fn services_of_all_files_are_put_together() {
    let folder = folder(&[
        (
            "edge.yaml",
            "include: [conf.d, more/one.yml]\nx-a: &a {memory: 64m}\nservices:\n  a: {<<: *a, image: a}\n",
        ),
        (
            "conf.d/2.yml",
            "x-a: &a {memory: 8m}\nservices: {c: {<<: *a, image: c, first_port: 8200, routes: [path: /c]}}\n",
        ),
        (
            "conf.d/1.yaml",
            "state_dir: ${HOME}/edge\nservices:\n  b: {image: b, first_port: 8100, routes: [path: /b], env_file: b.env}\n",
        ),
        ("conf.d/b.env", "WHERE=beside"),
        ("conf.d/.hidden.yaml", "nothing"),
        ("conf.d/notes.txt", "nothing"),
        ("more/one.yml", "include: below/two.yaml\n"),
        (
            "more/below/two.yaml",
            "services: {d: {image: 'd:$TAG', first_port: 8300, routes: [path: /d]}}\n",
        ),
        (".env", "TAG=2"),
        ("more/below/.env", "TAG=3"),
    ]);
    let config = good(&folder);
    let names: Vec<&str> = config
        .services
        .iter()
        .map(|it| it.spec.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
    let template = |index: usize| config.services[index].spec.template().unwrap().clone();
    assert_eq!(template(0).memory_bytes, Some(64 << 20));
    assert_eq!(template(1).environment["WHERE"], "beside");
    assert_eq!(template(2).memory_bytes, Some(8 << 20));
    assert_eq!(template(3).image, "d:2");
    assert_eq!(config.state_dir.to_str(), Some("/home/someone/edge"));
    assert_eq!(state_dir(&text(&folder), &env()), config.state_dir);

    let path = folder.path().join("conf.d/2.yml");
    fs::write(&path, "services: {}").unwrap();
    let changed = diff(&config, &good(&folder)).to_string();
    assert_eq!(changed, "1 service removed: c");
}

#[test]
fn problems_name_the_file_that_they_are_in() {
    check(
        &[
            (
                "edge.yaml",
                "services:\n  a: {image: a, port: x}\ninclude: conf.d\n",
            ),
            (
                "conf.d/1.yaml",
                "\nservices:\n  b:\n    image: b\n    first_port: 8100\n    user: $NONE\n    imge: x\n    routes: [path: /b]\nlistne: []\n",
            ),
            ("conf.d/2.yaml", "services: [\n"),
        ],
        "
        DIR/conf.d/1.yaml:6: services.b.user: the variable `NONE` is not set
          hint: set it in the environment or in `.env` beside the file, or give it a default: `${NONE:-…}`; `$$` stands for a dollar
        DIR/conf.d/2.yaml:1:12: not valid YAML: while parsing a node, did not find expected node content
        ",
    );
    check(
        &[
            (
                "edge.yaml",
                "services:\n  a: {image: a, port: x}\ninclude: conf.d\n",
            ),
            (
                "conf.d/1.yaml",
                "\nservices:\n  b:\n    image: b\n    first_port: 8100\n    imge: x\n    routes: [path: /b]\nlistne: []\n",
            ),
        ],
        "
        DIR/edge.yaml:2: services.a.port: expected a port from 1 to 65535, found `x`
        DIR/conf.d/1.yaml:6: services.b: unknown key `imge`
          hint: did you mean `image`?
        DIR/conf.d/1.yaml:8: unknown key `listne`
          hint: did you mean `listen`?
        ",
    );
}

#[test]
fn a_name_in_two_files_is_an_error_with_both_places() {
    check(
        &[
            (
                "edge.yaml",
                "include: [b.yaml, c.yaml]\nservices:\n  web: {image: a}\nlisten: ['0.0.0.0:80']\n",
            ),
            (
                "b.yaml",
                "services:\n  api: {image: b, routes: [path: /b], first_port: 9000}\n",
            ),
            (
                "c.yaml",
                "listen: ['0.0.0.0:81']\nservices:\n  web: {image: c}\n  api: {image: c}\n",
            ),
        ],
        "
        DIR/c.yaml:1: listen: is given in DIR/edge.yaml:4 already
          hint: keep one of the two
        DIR/c.yaml:3: services.web: is given in DIR/edge.yaml:3 already
          hint: give one of the two another name
        DIR/c.yaml:4: services.api: is given in DIR/b.yaml:2 already
          hint: give one of the two another name
        ",
    );
}

#[test]
fn circles_and_second_visits_are_errors_with_their_way() {
    check(
        &[
            ("edge.yaml", "include: a.yaml\n"),
            ("a.yaml", "services: {a: {image: a}}\ninclude:\n- b.yaml\n"),
            ("b.yaml", "include: [a.yaml, edge.yaml]\n"),
        ],
        "
        DIR/b.yaml:1: include[0]: includes itself: DIR/a.yaml -> DIR/b.yaml -> DIR/a.yaml
          hint: take one of these steps out
        DIR/b.yaml:1: include[1]: includes itself: DIR/edge.yaml -> DIR/a.yaml -> DIR/b.yaml -> DIR/edge.yaml
          hint: take one of these steps out
        ",
    );
    check(
        &[
            ("edge.yaml", "include:\n- a.yaml\n- ./a.yaml\n"),
            ("a.yaml", "services: {a: {image: a}}\n"),
        ],
        "
        DIR/edge.yaml:3: include[1]: `DIR/./a.yaml` is included in DIR/edge.yaml:2 already
          hint: include it once
        ",
    );
}

#[test]
fn entries_that_lead_nowhere_are_errors() {
    check(
        &[(
            "edge.yaml",
            "services: {a: {image: a}}\ninclude:\n- conf.d/*.yaml\n- none\n- {path: a}\n",
        )],
        "
        DIR/edge.yaml:3: include[0]: there is no file or folder `DIR/conf.d/*.yaml`
          hint: name the folder without a pattern: its *.yaml and *.yml files are included in the order of their names
        DIR/edge.yaml:4: include[1]: there is no file or folder `DIR/none`
          hint: the path is relative to the file that it stands in
        DIR/edge.yaml:5: include[2]: expected the path of a file or a folder, found a mapping
          hint: as in `include: [conf.d, shop.yaml]`
        ",
    );
}
