//! The command line of the real binary, and every way in which it can refuse.

use crate::support::client::{self, get};
use crate::support::daemon::Daemon;
use crate::support::docker::docker;
use crate::support::edge::{Edge, Ran, ran, tidegate};
use crate::support::upstream::Upstream;
use crate::support::{free_port, image, until};
use nix::sys::signal::Signal;
use serde_json::json;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(20);
/// Nothing has a folder below it.
const UNUSABLE: &str = "/dev/null/state";

const THREE_MISTAKES: &str = "\
listn: [\"127.0.0.1:80\"]
services:
  acts:
    image: acts:latest
    scale: { min: 4, max: 2 }
    healthchek: {}
";

fn fixed(upstream: &Upstream, more: &str) -> String {
    format!(
        "services:\n  legacy:\n    addresses: [\"{}\"]\n    healthcheck: {{ type: http, path: /api/v1/_health, interval: 100ms }}\n{more}",
        upstream.address
    )
}

/// The first of ten ports that belong to one test; no two processes of these tests share them.
fn ports(test: u16) -> u16 {
    25_000 + (std::process::id() % 50) as u16 * 100 + test * 10
}

fn containers(image: &str, first_port: u16, more: &str) -> String {
    format!(
        "services:\n  web:\n    image: {image}\n    first_port: {first_port}\n    \
         environment: {{ ON_TERM: exit }}\n    scale: {{ min: 1, max: 2 }}\n    \
         healthcheck: {{ interval: 200ms }}\n{more}"
    )
}

/// Messages about a machine without a configuration cannot be seen on one that has one.
fn is_configured() -> bool {
    let file = Path::new("/etc/tidegate/tidegate.yaml");
    if file.exists() {
        eprintln!("not looked at: {} is there", file.display());
    }
    file.exists()
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}

#[track_caller]
fn refuses(ran: &Ran, code: i32, parts: &[&str]) {
    assert_eq!((ran.code, ran.out.as_str()), (Some(code), ""), "{ran:?}");
    says(&ran.err, parts);
}

/// A file of `content` in a folder of its own.
fn file(content: &str) -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("edge.yaml");
    fs::write(&path, content).unwrap();
    (folder, path.to_str().unwrap().to_owned())
}

// === check ===

#[tokio::test]
async fn check_prints_every_mistake_with_its_line_its_key_and_a_hint() {
    let (_folder, file) = file(THREE_MISTAKES);
    let checked = tidegate(&["check", "-c", &file]).await;
    let expected = format!(
        "{file}:1: unknown key `listn`\n  hint: did you mean `listen`?\n\
         {file}:5: services.acts.scale: `max` is 2 but `min` is 4\n  \
         hint: raise `max` to at least 4, or lower `min`\n\
         {file}:6: services.acts: unknown key `healthchek`\n  \
         hint: did you mean `healthcheck`?\n\
         3 problems\n"
    );
    refuses(&checked, 64, &[]);
    assert_eq!(checked.err, expected);
}

#[tokio::test]
async fn check_says_the_same_as_json() {
    let (_folder, bad) = file(THREE_MISTAKES);
    let checked = tidegate(&["check", "--json", "-c", &bad]).await;
    assert_eq!((checked.code, checked.err.as_str()), (Some(64), ""));
    let checked = checked.json();
    assert_eq!(checked["problems"].as_array().unwrap().len(), 3);
    let scale = json!({
        "origin": bad, "line": 5, "column": null, "path": "services.acts.scale",
        "message": "`max` is 2 but `min` is 4",
        "hint": "raise `max` to at least 4, or lower `min`",
    });
    assert_eq!(checked["problems"][1], scale);

    let (_folder, good) = file("services: { web: { image: web } }");
    let checked = tidegate(&["check", "--json", "-c", &good]).await;
    assert_eq!(checked.code, Some(0));
    assert_eq!(
        checked.json(),
        json!({ "services": ["web"], "problems": [] })
    );
}

#[tokio::test]
async fn check_of_a_good_file_is_0() {
    let (_folder, file) = file("services: { web: { image: web } }");
    let checked = tidegate(&["check", "-c", &file]).await;
    assert_eq!((checked.code, checked.err.as_str()), (Some(0), ""));
    assert_eq!(checked.out, format!("{file}: right, 1 service\n"));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_says_why() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("none.yaml");
    let missing = missing.to_str().unwrap();
    for command in ["check", "run", "plan", "status", "reload"] {
        let ran = tidegate(&[command, "-c", missing]).await;
        refuses(&ran, 64, &[missing, "there is no such file", "hint: check"]);
    }
    let ran = tidegate(&["check", "-c", folder.path().to_str().unwrap()]).await;
    refuses(&ran, 64, &["it is a folder"]);
    let binary = folder.path().join("binary");
    fs::write(&binary, [0xff, 0xfe, 0x00]).unwrap();
    let ran = tidegate(&["check", "-c", binary.to_str().unwrap()]).await;
    refuses(&ran, 64, &["it is not UTF-8 text"]);
}

// === run ===

#[tokio::test]
async fn run_refuses_a_bad_file_before_it_touches_anything() {
    let mut edge = Edge::prepare("services: { legacy: { adresses: [] } }\n");
    let (code, said) = edge.refused().await;
    assert_eq!(code, Some(64), "{said}");
    says(&said, &["unknown key `adresses`", "did you mean"]);
    let left: Vec<_> = fs::read_dir(edge.folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[tokio::test]
async fn run_with_nothing_says_what_to_type() {
    if is_configured() {
        return;
    }
    let ran = tidegate(&["run"]).await;
    refuses(&ran, 64, &["no service", "tidegate run --image IMAGE"]);
}

#[tokio::test]
async fn a_flag_and_a_variable_are_named_when_they_are_wrong() {
    let bounds = ["--image", "web", "--min", "3", "--max", "1"];
    let ran_ = tidegate(&[&["run"], &bounds[..]].concat()).await;
    refuses(&ran_, 64, &["--max: services.web.scale", "`min` is 3"]);

    let edge = Edge::prepare("services: { web: { image: web } }").with("TIDEGATE_LISTEN", "here");
    let ran_ = ran(edge.command(&["run"])).await;
    refuses(&ran_, 64, &["TIDEGATE_LISTEN: listen[0]", "`here`"]);
    let edge = Edge::prepare("services: { web: { image: web } }").with("DOCKER_HOST", "here");
    let ran_ = ran(edge.command(&["run"])).await;
    refuses(&ran_, 1, &["DOCKER_HOST", "`here`", "expected unix://"]);
}

#[tokio::test]
async fn wrong_usage_is_2() {
    for arguments in [
        &[][..],
        &["fly"],
        &["run", "--nonsense"],
        &["run", "--port", "70000"],
        &["run", "--listen", "here"],
        &["run", "--min", "-1"],
        &["run", "-c"],
        &["check", "edge.yaml", "extra"],
        &["status", "--rm"],
    ] {
        let ran = tidegate(arguments).await;
        refuses(&ran, 2, &["--help"]);
    }
}

#[tokio::test]
async fn the_version_is_told_in_three_ways() {
    let version = env!("CARGO_PKG_VERSION");
    for arguments in [&["version"][..], &["--version"], &["-V"]] {
        let ran = tidegate(arguments).await;
        assert_eq!(
            (ran.code, ran.out),
            (Some(0), format!("tidegate {version}\n"))
        );
    }
    let ran = tidegate(&["version", "--json"]).await;
    assert_eq!(ran.json(), json!({ "version": version }));
}

#[tokio::test]
async fn an_address_that_is_taken_is_said_at_once() {
    let a = Upstream::start("A").await;
    let mut edge = Edge::prepare(&fixed(&a, ""));
    let held = TcpListener::bind(edge.address).unwrap();
    let (code, said) = edge.refused().await;
    assert_eq!(code, Some(1), "{said}");
    let port = edge.address.port();
    let names = format!("another program listens on port {port}");
    says(
        &said,
        &["cannot listen on", &names, "hint: ", "`listen` or --listen"],
    );
    drop(held);

    let _held = TcpListener::bind(edge.admin).unwrap();
    let (code, said) = edge.refused().await;
    assert_eq!(code, Some(1), "{said}");
    let names = format!("another program listens on port {}", edge.admin.port());
    says(&said, &[&names, "TIDEGATE_ADMIN_LISTEN"]);
}

#[tokio::test]
async fn an_address_of_another_machine_is_said_at_once() {
    let mut edge = Edge::prepare("services: { legacy: { addresses: [\"127.0.0.1:1\"] } }\n")
        .with("TIDEGATE_LISTEN", "192.0.2.1:8080");
    let (code, said) = edge.refused().await;
    assert_eq!(code, Some(1), "{said}");
    says(
        &said,
        &["cannot listen on 192.0.2.1:8080", "of this machine"],
    );
}

#[tokio::test]
async fn a_port_that_needs_rights_says_which() {
    let first_free = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    if first_free.is_ok_and(|port| port.trim().parse::<u32>().is_ok_and(|port| port <= 81)) {
        eprintln!("skipped: on this machine everybody may listen on port 81");
        return;
    }
    let mut edge = Edge::prepare("services: { legacy: { addresses: [\"127.0.0.1:1\"] } }\n")
        .with("TIDEGATE_LISTEN", "127.0.0.1:81")
        .by_nobody();
    let (code, said) = edge.refused().await;
    assert_eq!(code, Some(1), "{said}");
    says(
        &said,
        &["cannot listen on 127.0.0.1:81", "CAP_NET_BIND_SERVICE"],
    );
}

#[tokio::test]
async fn a_state_folder_that_cannot_be_used_says_what_to_set() {
    let services = "services: { legacy: { addresses: [\"127.0.0.1:1\"] } }\n";
    let mut edge = Edge::prepare(services).with("TIDEGATE_STATE_DIR", UNUSABLE);
    let (code, said) = edge.refused().await;
    assert_eq!(code, Some(1), "{said}");
    says(&said, &[UNUSABLE, "hint: set `state_dir`"]);

    let others = TempDir::new().unwrap();
    fs::set_permissions(others.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let path = others.path().to_str().unwrap();
    let mut edge = Edge::prepare(services)
        .with("TIDEGATE_STATE_DIR", path)
        .by_nobody();
    let (code, said) = edge.refused().await;
    assert_eq!(code, Some(1), "{said}");
    says(&said, &[path, "Permission denied", "this user may write"]);
}

#[tokio::test]
async fn two_processes_do_not_share_a_state_folder() {
    let a = Upstream::start("A").await;
    let first = Edge::start(&fixed(&a, "")).await;
    let folder = first.folder.path().to_str().unwrap();
    let mut second = Edge::prepare(&fixed(&a, "")).with("TIDEGATE_STATE_DIR", folder);
    let (code, said) = second.refused().await;
    assert_eq!(code, Some(1), "{said}");
    let process = format!("another tidegate (process {})", first.pid());
    says(&said, &[&process, folder, "hint: stop it"]);
    // The first one's socket is still its own.
    assert_eq!(first.tidegate(&["status"]).await.code, Some(0));
}

#[tokio::test]
async fn two_processes_do_not_control_the_same_containers() {
    let web = |port| format!("services: {{ web: {{ image: web, first_port: {port} }} }}\n");
    let first = Edge::start(&web(25900)).await;
    // However the way to the daemon is spelled.
    for host in ["", "unix:///var/run/docker.sock", "unix:///run/docker.sock"] {
        let mut second = Edge::prepare("").with("DOCKER_HOST", host);
        second.instance.clone_from(&first.instance);
        second.write(&web(25950));
        let (code, said) = second.refused().await;
        assert_eq!(code, Some(1), "{said}");
        let process = format!("another tidegate (process {})", first.pid());
        let hint = "its own `instance`";
        says(
            &said,
            &[&process, "controls the containers", &first.instance, hint],
        );
    }
}

#[tokio::test]
async fn the_lock_holds_from_another_network_too_and_is_gone_with_its_process() {
    if !nix::unistd::geteuid().is_root() {
        // Nobody else makes networks.
        return;
    }
    let web = "services: { web: { image: web, first_port: 25960 } }\n";
    let mut first = Edge::start(web).await;
    let folder = Path::new("/run/tidegate");
    first.says("the container engine answers").await;
    let instance = first.instance.clone();
    let of_first = || {
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut names = files.map(|file| file.file_name().to_string_lossy().into_owned());
        names.find(|name| name.starts_with(&instance))
    };
    let file = of_first().expect("the lock");
    let mode = fs::metadata(folder.join(&file))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut second = Edge::prepare("");
    second.instance.clone_from(&first.instance);
    second.write(web);
    let file = second.file();
    let command = second.command(&["run", "-c", file.to_str().expect("text")]);
    let mut elsewhere = std::process::Command::new("unshare");
    elsewhere
        .arg("--net")
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => elsewhere.env(name, value),
            None => elsewhere.env_remove(name),
        };
    }
    let ran = ran(elsewhere).await;
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    says(&ran.err, &["controls the containers", &first.instance]);
    first.signal(Signal::SIGTERM);
    assert_eq!(first.ended(SOON).await, Some(0));
    assert_eq!(of_first(), None);
}

// === the engine's troubles ===

#[tokio::test]
async fn without_a_docker_socket_it_runs_says_so_and_serves_what_needs_none() {
    let a = Upstream::start("A").await;
    let web = "  web: { image: web, routes: [{ path: /web }] }\n";
    let services = fixed(&a, "    routes: [{ path: /legacy }]\n") + web;
    let edge = Edge::prepare(&services).with("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    let edge = edge.spawned().await;
    edge.shows("legacy", "0=ready", SOON).await;
    assert_eq!(edge.get("/legacy").await.header("x-upstream"), "A");
    assert_eq!(edge.get("/web").await.status, 503);
    let ready = get(edge.admin, "/readyz").await;
    assert_eq!(ready.status, 503);
    says(&ready.text(), &["nothing is ready in: web", "engine"]);
    until("the log says so", SOON, || async {
        let sentence = "there is no Docker socket at /nonexistent/docker.sock; is Docker installed";
        edge.log().contains(sentence).then_some(())
    })
    .await;
    assert_eq!(edge.metric("tidegate_engine_up").await, Some(0.0));
    let status = edge.tidegate(&["status"]).await;
    assert_eq!(status.code, Some(0));
    says(&status.out, &["the container engine does not answer"]);
    let planned = edge.tidegate(&["plan"]).await;
    refuses(&planned, 1, &["there is no Docker socket"]);
}

#[tokio::test]
async fn scale_ends_with_the_reason_when_nothing_can_start_and_does_not_wait_when_told() {
    let web = "services: { web: { image: web, scale: { max: 3 } } }\n";
    let edge = Edge::prepare(web).with("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    let edge = edge.spawned().await;
    let scaled = edge
        .tidegate(&["scale", "web", "2", "--timeout", "1s"])
        .await;
    refuses(
        &scaled,
        1,
        &[
            "web: not done within 1s: 0 of 2 ready\n",
            "\n  the container engine does not answer; waiting for it\n",
            "the change continues",
            "`tidegate scale web auto`",
        ],
    );
    let reason = "web: the container engine does not answer";
    assert_eq!(scaled.err.matches(reason).count(), 1, "{scaled:?}");
    // The order outlives whoever waited for it.
    assert_eq!(edge.service("web").await["by_hand"], 2);
    let scaled = edge.tidegate(&["scale", "web", "3", "--no-wait"]).await;
    assert_eq!(scaled.out, "web: 3 replicas by hand, on the way\n");
    assert_eq!(scaled.code, Some(0), "{scaled:?}");
}

#[tokio::test]
async fn without_permission_on_the_docker_socket_the_docker_group_is_named() {
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let socket = folder.path().join("docker.sock");
    let _daemon = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o000)).unwrap();
    let edge = Edge::prepare("services: { web: { image: web } }\n")
        .with("DOCKER_HOST", format!("unix://{}", socket.display()))
        .by_nobody();
    let planned = edge.tidegate(&["plan"]).await;
    refuses(&planned, 1, &["no permission to use", "docker group"]);
    let edge = edge.spawned().await;
    until("the log says so", SOON, || async {
        edge.log().contains("docker group").then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_image_that_does_not_exist_is_in_the_log_and_in_the_status() {
    // A registry that refuses connections, so that no network is needed to fail.
    let image = "localhost:1/tidegate-test-none:1";
    let edge = Edge::start(&containers(image, ports(0), "")).await;
    let sentence = format!("image `{image}` is not on this machine and cannot be pulled");
    let status = until("the status says so", SOON, || async {
        let status = edge.tidegate(&["status"]).await;
        status.out.contains(&sentence).then_some(status)
    })
    .await;
    says(&status.out, &["web  0 of 1 ready", "docker login"]);
    edge.logs(&sentence).await;
    until("it brakes", SOON, || async {
        let because = edge.service("web").await["because"].to_string();
        let both = because.contains("failures in a row") && because.contains(&sentence);
        both.then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_network_or_volume_that_cannot_be_made_is_named() {
    for (kind, key, message, sentence) in [
        (
            "networks",
            "networks: [front]",
            "could not find an available address pool",
            "create the network: `front`: could not find an available address pool",
        ),
        (
            "volumes",
            "volumes: [\"acts-data:/data\"]",
            "no space left on device",
            "create the volume: `acts-data`: no space left on device",
        ),
    ] {
        let daemon = Daemon::refusing(kind, message);
        let services = containers("web", ports(1), &format!("    {key}\n"));
        let edge = Edge::prepare(&services).with("DOCKER_HOST", daemon.host());
        let edge = edge.spawned().await;
        until("the status says so", SOON, || async {
            let status = edge.tidegate(&["status"]).await;
            status.out.contains(sentence).then_some(())
        })
        .await;
        // Its log comes through a pipe of its own.
        until("the log says so", SOON, || async {
            edge.log().contains(sentence).then_some(())
        })
        .await;
    }
}

// === commands to a running one ===

#[tokio::test]
async fn without_a_running_one_the_commands_say_how_to_find_it() {
    let (folder, _file) = file("");
    let path = folder.path().to_str().unwrap();
    for command in ["status", "ps", "explain", "reload"] {
        let ran = tidegate(&[command, "--state-dir", path]).await;
        let hints = ["no Tidegate answers at", path, "hint: start it", "-c"];
        refuses(&ran, 1, &hints);
    }
    // A crash leaves its socket behind.
    drop(UnixListener::bind(folder.path().join("admin.sock")).unwrap());
    let ran = tidegate(&["status", "--state-dir", path]).await;
    refuses(&ran, 1, &["no Tidegate answers at"]);
}

#[tokio::test]
async fn the_socket_is_for_its_owner_only() {
    let edge = Edge::prepare("").by_nobody();
    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("admin.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o000)).unwrap();
    let arguments = ["status", "--state-dir", folder.path().to_str().unwrap()];
    let ran = ran(edge.command(&arguments)).await;
    refuses(&ran, 1, &["this user may not open", "hint: be the user"]);
}

#[tokio::test]
async fn status_shows_a_table_or_json() {
    let a = Upstream::start("A").await;
    let edge = Edge::start(&fixed(&a, "")).await;
    edge.ready().await;
    edge.get("/x").await;
    for command in ["status", "ps"] {
        let status = edge.tidegate(&[command]).await;
        assert_eq!((status.code, status.err.as_str()), (Some(0), ""));
        let address = a.address.to_string();
        says(
            &status.out,
            &["legacy  1 of 1 ready  ", " req/s", "SLOT", "ready"],
        );
        says(&status.out, &[&address[..12]]);
    }
    let status = edge.tidegate(&["status", "--json"]).await.json();
    assert_eq!(status["engine_up"], true);
    assert_eq!(status["services"][0]["name"], "legacy");
    assert_eq!(status["services"][0]["replicas"][0]["state"], "ready");
    assert_eq!(status["services"][0]["requests"], 1);
    // Found by its state folder, and by the file in the current folder.
    let folder = edge.folder.path().to_str().unwrap();
    let found = tidegate(&["status", "--state-dir", folder]).await;
    assert_eq!(found.code, Some(0));
    let found = ran(edge.command(&["status"])).await;
    assert_eq!(found.code, Some(0));
}

#[tokio::test]
async fn explain_says_what_was_decided_or_that_nothing_was() {
    let a = Upstream::start("A").await;
    let edge = Edge::start(&fixed(&a, "")).await;
    edge.ready().await;
    let all = edge.tidegate(&["explain"]).await;
    let expected = "legacy  1 wanted, from 1 to 1\n  nothing was decided yet\n";
    assert_eq!((all.code, all.out.as_str()), (Some(0), expected));
    let one = edge.tidegate(&["explain", "legacy", "--json"]).await.json();
    assert_eq!(one[0]["service"], "legacy");
    assert_eq!(one[0]["decisions"], json!([]));
    let none = edge.tidegate(&["explain", "nope"]).await;
    refuses(&none, 1, &["there is no service `nope`"]);
}

#[tokio::test]
async fn a_reader_that_leaves_is_no_failure() {
    let a = Upstream::start("A").await;
    let edge = Edge::start(&fixed(&a, "")).await;
    for arguments in [&["status"][..], &["status", "--json"], &["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = tokio::process::Command::from(edge.command(arguments));
        let output = command.stdout(writer).stderr(std::process::Stdio::piped());
        let output = output.spawn().unwrap().wait_with_output().await.unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}

#[tokio::test]
async fn reload_says_what_changed() {
    let a = Upstream::start("A").await;
    let edge = Edge::start(&fixed(&a, "")).await;
    edge.ready().await;
    let reloaded = edge.tidegate(&["reload"]).await;
    assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
    assert_eq!(reloaded.out, "reloaded: nothing changed\n");

    edge.write(&fixed(&a, "    routes: [{ path: /one }]\n"));
    let reloaded = edge.tidegate(&["reload", "--json"]).await;
    assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
    let changed = "1 service changed: legacy (routes)";
    assert_eq!(reloaded.json(), json!({ "changed": changed }));
    assert_eq!(edge.get("/two").await.status, 404);
    assert_eq!(edge.get("/one").await.status, 200);
    edge.logs("configuration reloaded: 1 service changed").await;
}

#[tokio::test]
async fn reload_of_a_bad_file_says_why_and_the_old_one_stays() {
    let a = Upstream::start("A").await;
    let edge = Edge::start(&fixed(&a, "")).await;
    edge.ready().await;
    let failures = "tidegate_config_reloads_total{result=\"failure\"}";
    assert_eq!(edge.metric(failures).await, Some(0.0));
    edge.write(&fixed(&a, "    routs: [{ path: /one }]\n    nonsense: 1\n"));
    let reloaded = edge.tidegate(&["reload"]).await;
    let parts = ["unknown key `routs`", "did you mean `routes`", "`nonsense`"];
    refuses(&reloaded, 64, &parts);
    says(
        &reloaded.err,
        &["not reloaded: the old configuration stays", "2 problems"],
    );
    assert_eq!(edge.get("/two").await.status, 200);
    edge.counts(failures, 1.0).await;
    let last = "tidegate_config_last_reload_successful";
    assert_eq!(edge.metric(last).await, Some(0.0));
    edge.logs("`nonsense`").await;
    says(&edge.log(), &["the old one stays"]);

    // No YAML at all, and no file at all.
    fs::write(edge.file(), "services: [\n").unwrap();
    let folder = edge.folder.path().to_str().unwrap().to_owned();
    let reload = ["reload", "--state-dir", &folder];
    refuses(&tidegate(&reload).await, 64, &["tidegate.yaml:"]);
    fs::remove_file(edge.file()).unwrap();
    refuses(&tidegate(&reload).await, 64, &["there is no such file"]);
    assert_eq!(edge.get("/two").await.status, 200);
}

#[tokio::test]
async fn reload_says_what_only_a_restart_changes() {
    let a = Upstream::start("A").await;
    let edge = Edge::start(&fixed(&a, "")).await;
    edge.ready().await;
    let moved = free_port();
    let text = fs::read_to_string(edge.file()).unwrap();
    let before = edge.address.to_string();
    let text = text.replace(&before, &format!("127.0.0.1:{moved}"));
    fs::write(edge.file(), text).unwrap();
    for _ in 0..2 {
        let reloaded = edge.tidegate(&["reload"]).await;
        assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
        assert_eq!(reloaded.out, "reloaded: only a restart changes listen\n");
    }
    assert_eq!(edge.get("/x").await.status, 200);
    assert!(TcpListener::bind(("127.0.0.1", moved)).is_ok());
}

// === containers ===

#[tokio::test]
async fn plan_says_what_run_would_do_and_nothing_once_it_is_done() {
    let port = ports(2);
    let edge = Edge::prepare(&containers(image::tiny(), port, ""));
    let planned = edge.tidegate(&["plan"]).await;
    assert_eq!(planned.code, Some(3), "{planned:?}");
    let start = format!("web: start {port}: 1 replica is wanted\n");
    assert_eq!(planned.out, start);
    let planned = edge.tidegate(&["plan", "--json"]).await;
    assert_eq!(planned.code, Some(3));
    let because = "1 replica is wanted";
    let step = json!({ "service": "web", "action": "start", "slot": port, "because": because });
    assert_eq!(planned.json(), json!([step]));
    let more = edge.tidegate(&["plan", "--min", "2"]).await;
    assert_eq!((more.code, more.out.lines().count()), (Some(3), 2));

    let mut edge = edge.spawned().await;
    edge.ready().await;
    let planned = edge.tidegate(&["plan"]).await;
    let nothing = (Some(0), "nothing to do\n");
    assert_eq!((planned.code, planned.out.as_str()), nothing);
    let planned = edge.tidegate(&["plan", "--json"]).await;
    assert_eq!((planned.code, planned.json()), (Some(0), json!([])));

    // Containers stay when it leaves, and the next start finds them.
    let id = edge.service("web").await["replicas"][0]["id"].clone();
    edge.signal(Signal::SIGTERM);
    assert_eq!(edge.ended(SOON).await, Some(0));
    assert_eq!(edge.tidegate(&["plan"]).await.code, Some(0));
    let edge = edge.spawned().await;
    edge.ready().await;
    assert_eq!(edge.service("web").await["replicas"][0]["id"], id);
    edge.logs("web: adopted ").await;
}

#[tokio::test]
async fn run_rm_removes_its_containers_when_it_leaves() {
    let port = ports(3);
    let mut edge = Edge::prepare(&containers("web", port, ""));
    let image = image::tiny();
    edge.spawn(&[
        "--rm", "--image", image, "--port", "80", "--min", "2", "--max", "3",
    ]);
    edge.listening().await;
    edge.ready().await;
    let picture = format!("{port}=ready {}=ready", port + 1);
    edge.shows("web", &picture, SOON).await;
    assert_eq!(edge.service("web").await["max"], 3);
    assert_eq!(edge.get("/x").await.status, 200);
    let left = || {
        let filter = format!("label=io.tidegate.instance={}", edge.instance);
        docker(&["ps", "-aq", "--filter", &filter])
    };
    assert_eq!(left().lines().count(), 2);
    edge.signal(Signal::SIGTERM);
    let instance = edge.instance.clone();
    assert_eq!(edge.ended(SOON).await, Some(0));
    let filter = format!("label=io.tidegate.instance={instance}");
    assert_eq!(docker(&["ps", "-aq", "--filter", &filter]), "");
}

#[tokio::test]
async fn an_image_is_all_it_needs() {
    if is_configured() {
        return;
    }
    let mut edge = Edge::prepare(&containers(image::tiny(), 8000, ""));
    fs::remove_file(edge.file()).unwrap();
    let folder = edge.folder.path().to_str().unwrap().to_owned();
    let (listen, admin) = (edge.address.to_string(), edge.admin.to_string());
    let instance = edge.instance.clone();
    edge = edge
        .with("TIDEGATE_STATE_DIR", folder)
        .with("TIDEGATE_ADMIN_LISTEN", admin)
        .with("TIDEGATE_INSTANCE", instance);
    let image = image::tiny();
    edge.spawn_bare(&[
        "run", "--rm", "--image", image, "--port", "80", "--listen", &listen,
    ]);
    edge.listening().await;
    edge.ready().await;
    let service = edge.service("tidegate-test-tiny").await;
    assert_eq!((&service["min"], &service["max"]), (&json!(1), &json!(10)));
    // Lower ones may belong to somebody else.
    assert!(service["replicas"][0]["slot"].as_u64().unwrap() >= 8000);
    assert_eq!(edge.get("/api/v1/x").await.status, 200);
    let logs = ran(edge.command(&["logs", "tidegate-test-tiny"])).await;
    assert_eq!((logs.code, logs.err.as_str()), (Some(0), ""), "{logs:?}");
    edge.signal(Signal::SIGTERM);
    assert_eq!(edge.ended(SOON).await, Some(0));
}

#[tokio::test]
async fn what_is_secret_stays_secret() {
    let secret = "hush-7c1e0a";
    let port = ports(4);
    let services = containers(image::tiny(), port, "");
    let services = services.replace("ON_TERM: exit", &format!("ON_TERM: exit, KEY: {secret}"));
    let edge = Edge::prepare(&services).with("TIDEGATE_LOG", "debug");
    let edge = edge.spawned().await;
    edge.ready().await;
    // The container has it.
    let container = ([127, 0, 0, 1], port).into();
    assert_eq!(get(container, "/env/KEY").await.text(), secret);

    let token = fs::read_to_string(edge.folder.path().join("admin-token")).unwrap();
    let request = http::Request::post("/api/v1/reload");
    let request = request.header("authorization", format!("Bearer {token}"));
    assert_eq!(client::send(edge.admin, request, "").await.status, 200);

    let mut shown = edge.log();
    for path in ["/", "/metrics", "/api/v1/services", "/api/v1/services/web"] {
        shown += &get(edge.admin, path).await.text();
    }
    for command in ["status", "plan", "check", "reload"] {
        let ran = edge.tidegate(&[command, "--json"]).await;
        shown += &(ran.out + &ran.err);
    }
    shown += &edge.log();
    for hidden in [secret, token.trim()] {
        let found = shown.lines().find(|line| line.contains(hidden));
        assert_eq!(found, None);
    }
}

#[tokio::test]
async fn the_value_of_no_variable_is_shown_anywhere() {
    let (typed, secret) = ("canary-in-the-file", "canary-in-a-secret");
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("secret");
    fs::write(&path, secret).unwrap();
    let more = format!("    secrets: {{ SECRET: {} }}\n", path.display());
    let services = containers(image::tiny(), ports(8), &more);
    let services = services.replace("ON_TERM: exit", &format!("ON_TERM: exit, TYPED: {typed}"));
    let edge = Edge::prepare(&services).with("TIDEGATE_LOG", "trace");
    let mut said = edge.tidegate(&["plan"]).await;
    let edge = edge.spawned().await;
    edge.ready().await;
    let id = edge.service("web").await["replicas"][0]["id"].clone();
    let id = id.as_str().unwrap();
    let there = docker(&["inspect", "--format", "{{.Config.Env}}", id]);
    says(&there, &[typed, secret]);
    let labels = docker(&["inspect", "--format", "{{json .Config.Labels}}", id]);
    assert!(!labels.contains(secret), "{labels}");
    for command in [
        &["check"][..],
        &["status"],
        &["status", "--json"],
        &["plan", "--json"],
        &["reload"],
    ] {
        let ran = edge.tidegate(command).await;
        said.out += &(ran.out + &ran.err);
    }
    for path in ["/", "/metrics", "/api/v1/services", "/api/v1/services/web"] {
        said.out += &get(edge.admin, path).await.text();
    }
    for (what, text) in [("output", said.out + &said.err), ("log", edge.log())] {
        assert!(!text.contains("canary"), "{what}: {text}");
    }
}
