//! `${VARIABLES}` in the file, from the environment and from `.env` beside it.

use super::super::{
    Config, Flags, Overrides, Problems, Text, VariableOrigin, diff, load, state_dir,
};
use super::{check, compare, env, spec, stubs, web};
use crate::service::store::store;
use std::fs;
use std::path::Path;

/// Loads `yaml` as a file in `folder`.
fn load_in(folder: &Path, yaml: &str) -> Result<Config, Problems> {
    let text = Text {
        name: folder.join("edge.yaml").display().to_string(),
        content: yaml.to_owned(),
    };
    let overrides = Overrides::new(Flags::default(), env());
    load(&text, &overrides, &stubs::registry(), store().1, None)
}

fn folder_with(dotenv: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".env"), dotenv).unwrap();
    folder
}

#[test]
fn every_value_may_have_variables() {
    let folder = folder_with(
        "TAG=1.10\nPORT=8080\nREAD_ONLY=true\nGREETING=lost\nMAX=3\nWAIT=2s\nZIP=007\n",
    );
    let yaml = "
listen: ['0.0.0.0:${PORT}']
services:
  web:
    image: shop:${TAG}
    port: ${PORT}
    user: $ZIP
    command: [say, $GREETING, '$$HOME', \"${NAME:-you}\"]
    environment:
      TAG: $TAG
      ZIP: '${ZIP}'
      NONE: ${NONE-}
      COST: $$5
      WAIT:
    stop_grace_period: ${WAIT}
    scale: { max: '${MAX}', requests_per_replica: '${MAX}' }
    read_only: '${READ_ONLY}'
    routes: [{ host: '${HOST:-shop}.example.com' }]
";
    let config = load_in(folder.path(), yaml).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(config.listen, ["0.0.0.0:8080".parse().unwrap()]);
    let spec = &config.services[0].spec;
    let template = spec.template().unwrap();
    assert_eq!(template.image, "shop:1.10");
    assert_eq!(template.port, 8080);
    assert_eq!(template.user.as_deref(), Some("007"));
    let command = template.command.as_deref().unwrap();
    assert_eq!(command, ["say", "hello", "$HOME", "you"]);
    let variables: Vec<_> = template.environment.iter().collect();
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, it)| format!("{name}={it}"))
        .collect();
    assert_eq!(
        variables,
        ["COST=$5", "NONE=", "TAG=1.10", "WAIT=2s", "ZIP=007"]
    );
    assert_eq!(spec.stop_grace_period.as_secs(), 2);
    assert_eq!(spec.bounds.max, 3);
    assert!(template.settings.read_only);
    assert_eq!(spec.routes[0].host.as_deref(), Some("shop.example.com"));

    let from = |name: &str| {
        let mut variables = config.variables.iter();
        variables
            .find(|it| it.name == name)
            .map(|it| it.from.clone())
    };
    let file = folder.path().join(".env").display().to_string();
    assert_eq!(from("PORT"), Some(VariableOrigin::File { file, line: 2 }));
    assert_eq!(from("GREETING"), Some(VariableOrigin::Environment));
    assert_eq!(from("HOST"), Some(VariableOrigin::NotSet));
    assert_eq!(from("HOME"), None);
}

#[test]
fn a_value_cannot_add_keys() {
    let folder = folder_with("IMAGE='web\n    port: 1'\nLIST='[a, b]'\n");
    let yaml = "services: {web: {image: web, environment: {A: $IMAGE, B: '${LIST}'}}}";
    let config = load_in(folder.path(), yaml).unwrap_or_else(|it| panic!("{it}"));
    let environment = &config.services[0].spec.template().unwrap().environment;
    assert_eq!(environment["A"], "web\n    port: 1");
    assert_eq!(environment["B"], "[a, b]");
}

#[test]
fn a_variable_that_is_not_set_is_an_error_with_its_line() {
    check(
        "
services:
  web:
    image: web:${TAG}
    user: ${NAME:?who runs it}
    command: echo $FOO ${A b}
    environment:
      DB: ${DB_PASSWORD}
",
        "
        edge.yaml:4: services.web.image: the variable `TAG` is not set
          hint: set it in the environment or in `.env` beside the file, or give it a default: `${TAG:-…}`; `$$` stands for a dollar
        edge.yaml:5: services.web.user: the variable `NAME` is not set: who runs it
          hint: set it in the environment or in `.env` beside the file
        edge.yaml:6: services.web.command: the variable `FOO` is not set
          hint: set it in the environment or in `.env` beside the file, or give it a default: `${FOO:-…}`; `$$` stands for a dollar
        edge.yaml:8: services.web.environment.DB: the variable `DB_PASSWORD` is not set
          hint: set it in the environment or in `.env` beside the file, or give it a default: `${DB_PASSWORD:-…}`; `$$` stands for a dollar
        ",
    );
    check(
        &web("user: ${A b}"),
        "
        edge.yaml:4: services.web.user: expected a variable, found `${A b}`
          hint: as in `${NAME}` or `${NAME:-default}`; `$$` stands for a dollar
        ",
    );
}

#[test]
fn problems_name_the_variable_and_its_file_but_no_value() {
    let folder = folder_with("PORT=hunter2\nHOST=https://hunter2.example.com/x\nMAX=a\n");
    let yaml =
        web("port: ${PORT}\nroutes: [{host: $HOST}]\nscale: {max: '${MAX}'}\nmemory: x$PORT");
    let problems = load_in(folder.path(), &yaml).err().unwrap();
    let shown = problems.to_string();
    assert!(!shown.contains("hunter2"), "{shown}");
    let (file, dotenv) = (folder.path().join("edge.yaml"), folder.path().join(".env"));
    let (file, dotenv) = (file.display(), dotenv.display());
    compare(
        &problems,
        &yaml,
        &format!(
            "
            {file}:4: services.web.port: expected a port from 1 to 65535, found `${{PORT}}` (`PORT` comes from {dotenv}:1)
            {file}:5: services.web.routes[0].host: expected a host name, found `$HOST` (`HOST` comes from {dotenv}:2)
            {file}:6: services.web.scale.max: expected a whole number from 1 to 1000, found `${{MAX}}` (`MAX` comes from {dotenv}:3)
            {file}:7: services.web.memory: expected a size, found `x$PORT` (`PORT` comes from {dotenv}:1)
              hint: write a number and a unit, as in `64KiB`, `256m` or `1GiB`
            "
        ),
    );
}

#[test]
fn a_bad_line_beside_the_file_is_named_and_loses_only_itself() {
    let folder = folder_with("TAG=2\nnot a variable\nNAME=\"open\nPORT=81\n");
    let problems = load_in(folder.path(), &web("port: ${PORT}")).err().unwrap();
    let dotenv = folder.path().join(".env");
    let dotenv = dotenv.display();
    compare(
        &problems,
        "",
        &format!(
            "
            {dotenv}:2: a name cannot have ` ` in it
              hint: as in `NAME=value`; names have letters, digits, `_`, `.` and `-` in them
            {dotenv}:3: a quote is opened and not closed
              hint: close it, or put the whole value into quotes of the other kind
            "
        ),
    );
    // A file that refers to nothing in it does not depend on it.
    assert!(load_in(folder.path(), &web("user: $GREETING")).is_ok());
}

#[test]
fn a_reload_reads_the_file_of_variables_again() {
    let folder = folder_with("TAG=1");
    let yaml = "services: {web: {image: 'web:$TAG'}}";
    let image = || {
        let config = load_in(folder.path(), yaml).unwrap_or_else(|it| panic!("{it}"));
        config.services[0].spec.template().unwrap().image.clone()
    };
    assert_eq!(image(), "web:1");
    fs::write(folder.path().join(".env"), "TAG=2").unwrap();
    assert_eq!(image(), "web:2");
}

#[test]
fn the_state_folder_may_have_variables() {
    let yaml = "state_dir: ${HOME}/edge\nlistne: ${NONE}\n";
    let found = state_dir(&super::text(yaml), &env());
    assert_eq!(found.to_str(), Some("/home/someone/edge"));
}

#[test]
fn aliases_bring_their_variables_along() {
    let spec = spec("services: {web: {image: &i 'a:$GREETING', environment: {I: *i}}}");
    assert_eq!(spec.template().unwrap().environment["I"], "a:hello");
}

#[test]
fn files_of_variables_are_read_and_a_change_is_a_change_of_the_service() {
    let folder = folder_with("NAME=tide");
    let write = |name: &str, content: &str| fs::write(folder.path().join(name), content).unwrap();
    write(
        "app.env",
        "\u{feff}export A=file # c\nB='$NAME'\nC=\"$NAME\"\nGREETING\nPASSWORD=hunter2\n",
    );
    write("more.env", "B=more\n");
    let yaml = web("environment: { A: own }
env_file: [app.env, { path: more.env, required: true }, { path: none.env, required: false }]");
    let load = || load_in(folder.path(), &yaml).unwrap_or_else(|it| panic!("{it}"));
    let config = load();
    let template = config.services[0].spec.template().unwrap();
    let variables = template.environment.iter();
    let variables: Vec<_> = variables.map(|(name, it)| format!("{name}={it}")).collect();
    let expected = [
        "A=own",
        "B=more",
        "C=tide",
        "GREETING=hello",
        "PASSWORD=hunter2",
    ];
    assert_eq!(variables, expected);
    assert!(!template.to_label().contains("hunter2"));
    assert!(diff(&config, &load()).is_empty());
    write("app.env", "PASSWORD=hunter3\n");
    let changed = diff(&config, &load()).to_string();
    assert!(changed.contains("1 service changed: web"), "{changed}");
    assert!(!changed.contains("hunter"), "{changed}");
}

#[test]
fn files_of_variables_are_checked() {
    let folder = folder_with("");
    fs::write(folder.path().join("app.env"), "A=1\nB=\"hunter2\nC=$NONE\n").unwrap();
    let yaml = "
services:
  a: { image: a, env_file: none.env, routes: [path: /a] }
  b: { image: b, first_port: 9000, env_file: [app.env, { required: false }, { path: ., format: raw }] }
  c: { image: c, first_port: 9100, routes: [path: /c], env_file: app.env }
";
    let problems = load_in(folder.path(), yaml).err().unwrap();
    let folder = folder.path().display();
    compare(
        &problems,
        yaml,
        &format!(
            "
            {folder}/edge.yaml:3: services.a.env_file: there is no file `{folder}/none.env`
              hint: write `{{ path: FILE, required: false }}` for one that may be missing
            {folder}/edge.yaml:4: services.b.env_file[1]: `path` is missing
              hint: as in `{{ path: app.env }}`
            {folder}/edge.yaml:4: services.b.env_file[2]: unknown key `format`
              hint: leave it out: single quotes keep a value as it stands
            {folder}/edge.yaml:4: services.b.env_file[2].path: cannot read `{folder}/.`: it is a folder
            {folder}/app.env:2: a quote is opened and not closed
              hint: close it, or put the whole value into quotes of the other kind
            {folder}/app.env:3: the variable `NONE` is not set
              hint: set it in the environment or in `.env` beside the file, or give it a default: `${{NONE:-…}}`; `$$` stands for a dollar
            "
        ),
    );
}

#[test]
fn no_tag_shows_a_value() {
    let folder = folder_with("PORT=hunter2\n");
    let problems = load_in(folder.path(), &web("port: !!int $PORT"))
        .err()
        .unwrap();
    assert!(!problems.to_string().contains("hunter2"), "{problems}");
}

#[test]
fn the_place_of_a_variable_decides_on_its_type() {
    let folder = folder_with("COUNT=7\nNAME=7\nWRONG=hunter2\n");
    let yaml = |count: &str| {
        format!(
            "plugins: [{{access-log: {{format: json}}}}, {{request-id: {{header: \"$NAME\"}}}}]
services: {{web: {{image: web, scale: {{requests_per_replica: \"{count}\"}}}}}}"
        )
    };
    let good = yaml("${COUNT}");
    load_in(folder.path(), &good).unwrap_or_else(|it| panic!("{it}"));
    load_in(folder.path(), &good.replace("\"$NAME\"", "$NAME")).unwrap_or_else(|it| panic!("{it}"));
    let problems = load_in(folder.path(), &yaml("${WRONG}"))
        .err()
        .unwrap()
        .to_string();
    assert!(
        problems.contains("found `${WRONG}` (`WRONG` comes from"),
        "{problems}"
    );
}

#[test]
fn braces_want_quotes_around_a_variable() {
    check(
        "services: {web: {image: web, environment: {A: ${B}}}}",
        "edge.yaml:1:48: not valid YAML: while parsing a flow mapping, did not find expected ',' or '}'
           hint: inside of `{ }` and `[ ]`, put `${…}` in quotes",
    );
}
