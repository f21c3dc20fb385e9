//! The docker engine against a real daemon. Every test has its own instance name and ports, and
//! removes what it made, also when it fails.

use crate::support::docker::{Wire, clean, docker, inspect, run};
use crate::support::http::{get, try_get};
use crate::support::image;
use crate::support::registry::Registry;
use crate::support::until;
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tidegate::engine::docker::{Docker, Host};
use tidegate::engine::{Engine, EngineError, ErrorKind, Place, testing};
use tidegate::service::replica::{Observed, ReplicaId, RunState};
use tidegate::service::spec::*;
use tokio::time::timeout;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
pub const GRACE: Duration = Duration::from_millis(200);
pub const GENERATION: u64 = 1_767_225_600_000;

#[tokio::test]
async fn a_container_is_started_seen_answers_and_is_gone_after_its_stop() {
    let bench = Bench::new("life", 21000);
    assert_eq!(bench.seen().await, []);
    let id = bench.start(21000).await.unwrap();

    let seen = bench.only().await;
    assert_eq!((&seen.id, &seen.service), (&id, &bench.spec.name));
    assert_eq!((seen.slot, seen.generation), (21000, GENERATION));
    assert_eq!(seen.spec, bench.spec.template().unwrap().hash());
    assert_eq!(seen.state, RunState::Running);
    let published = SocketAddr::from((Ipv4Addr::LOCALHOST, 21000));
    assert_eq!(seen.addresses.len(), 2);
    assert_eq!(seen.addresses[0].port(), 80);
    assert_eq!(seen.addresses[1], published);
    for address in seen.addresses {
        assert_eq!(get(address, "/").await, id.short());
    }
    let name = format!("/tidegate-{}-21000", bench.spec.name);
    assert_eq!(inspect(&id, "{{.Name}}"), name);

    bench.stop(&id).await;
    assert_eq!(bench.seen().await, []);
    bench.stop(&id).await;
    bench.stop(&ReplicaId::new("0123456789ab")).await;
}

#[tokio::test]
async fn a_container_is_made_as_the_template_says_and_hardened() {
    let bench = Bench::new("template", 21010).with(|template| {
        template.port = 8080;
        for (key, value) in [("PORT", "8080"), ("GREETING", "a=b c")] {
            template.environment.insert(key.into(), value.into());
        }
        template.entrypoint = Some(vec!["/server".into()]);
        template.command = Some(vec!["one".into(), "two words".into()]);
        template.user = Some("1234".into());
        template.memory_bytes = Some(64 << 20);
        template.nano_cpus = Some(500_000_000);
        template
            .settings
            .labels
            .insert("team".into(), "shop".into());
        template.settings.hostname = Some("shop".into());
        template
            .settings
            .tmpfs
            .insert("/scratch".into(), "size=64k".into());
    });
    let id = bench.start(21010).await.unwrap();
    let address = bench.only().await.addresses[0];
    assert_eq!(get(address, "/env/GREETING").await, "a=b c");
    for (format, expected) in [
        ("{{json .Config.Entrypoint}}", "[\"/server\"]"),
        ("{{json .Config.Cmd}}", "[\"one\",\"two words\"]"),
        ("{{.Config.User}}", "1234"),
        ("{{.Config.StopTimeout}}", "2"),
        ("{{.HostConfig.Memory}}", "67108864"),
        ("{{.HostConfig.NanoCpus}}", "500000000"),
        ("{{.HostConfig.RestartPolicy.Name}}", "no"),
        ("{{.HostConfig.SecurityOpt}}", "[no-new-privileges]"),
        ("{{.HostConfig.PidsLimit}}", "4096"),
        ("{{.HostConfig.LogConfig.Type}}", "json-file"),
        (
            "{{json .HostConfig.LogConfig.Config}}",
            "{\"max-file\":\"3\",\"max-size\":\"10m\"}",
        ),
        ("{{json .HostConfig.Tmpfs}}", "{\"/scratch\":\"size=64k\"}"),
        ("{{.Config.Hostname}}", "shop"),
        ("{{index .Config.Labels \"team\"}}", "shop"),
        ("{{index .Config.Labels \"io.tidegate.managed\"}}", "true"),
        ("{{index .Config.Labels \"io.tidegate.port\"}}", "8080"),
    ] {
        assert_eq!(inspect(&id, format), expected, "{format}");
    }
}

#[tokio::test]
async fn what_a_container_uses_is_measured() {
    let bench = Bench::new("usage", 21300).with(|template| template.memory_bytes = Some(64 << 20));
    let id = bench.start(21300).await.unwrap();
    let address = bench.only().await.addresses[0];
    let before = bench.engine.usage(&id).await.unwrap();
    assert_eq!(before.memory_limit_bytes, 64 << 20);
    assert!((1..64 << 20).contains(&before.memory_bytes), "{before:?}");
    get(address, "/burn/300").await;
    let after = bench.engine.usage(&id).await.unwrap();
    let millicores = after.millicores_since(&before);
    assert!(millicores > Some(0), "{before:?}, then {after:?}");

    bench.stop(&id).await;
    let error = bench.engine.usage(&id).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Failed, "{error}");
}

#[tokio::test]
async fn a_taken_port_is_told_apart_and_nothing_is_left_behind() {
    let bench = Bench::new("taken", 21020);
    let stranger = TcpListener::bind((Ipv4Addr::LOCALHOST, 21020)).unwrap();
    let error = bench.start(21020).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::PortTaken, "{error}");
    assert!(error.message.contains("127.0.0.1:21020"), "{error}");
    assert_eq!(bench.seen().await, []);
    drop(stranger);

    bench.start(21020).await.unwrap();
    let error = bench.start(21020).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::PortTaken, "{error}");
    assert_eq!(bench.seen().await.len(), 1);
}

#[tokio::test]
async fn a_missing_image_says_what_to_do() {
    // A registry that refuses connections, so that no network is needed to fail.
    let image = "localhost:1/tidegate-test-none:1";
    let bench = Bench::new("image", 21030).with(|template| template.image = image.into());
    let error = bench.start(21030).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Failed);
    for part in [image, "not on this machine", "docker login"] {
        assert!(error.message.contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_missing_image_is_pulled_once_for_all_who_wait() {
    let registry = Registry::serve().await;
    let image = registry.image.clone();
    let bench = Bench::new("pull", 21150).with(|template| template.image = image);
    let starts = join_all([21150, 21151].map(|slot| bench.start(slot))).await;
    docker(&["image", "rm", &registry.image]);
    for started in starts {
        // The image is there, and empty.
        let error = started.unwrap_err();
        assert_eq!(error.op, "start the container", "{error}");
    }
    assert_eq!(registry.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_program_that_is_not_in_the_image_fails_and_leaves_nothing() {
    let command = Some(vec!["/nowhere".to_owned()]);
    let bench = Bench::new("program", 21040).with(|template| template.command = command);
    let error = bench.start(21040).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Failed);
    assert!(error.message.contains("/nowhere"), "{error}");
    assert_eq!(bench.seen().await, []);
}

#[tokio::test]
async fn a_replica_gets_its_grace_and_not_a_moment_more() {
    let deaf = |template: &mut Template| drop(template.environment.remove("ON_TERM"));
    for (name, port, grace) in [("deaf1", 21050, 300), ("deaf2", 21055, 1_200)] {
        let grace = Duration::from_millis(grace);
        let bench = Bench::new(name, port).with(deaf);
        let id = bench.start(port).await.unwrap();
        get(bench.only().await.addresses[0], "/").await;
        let begun = Instant::now();
        bench.engine.stop(&id, grace).await.unwrap();
        let took = begun.elapsed();
        assert!(took >= grace, "{took:?}");
        assert!(took < grace + Duration::from_secs(5), "{took:?}");
        assert_eq!(bench.seen().await, []);
    }
}

#[tokio::test]
async fn a_replica_that_listens_to_sigterm_ends_long_before_its_grace() {
    let bench = Bench::new("polite", 21060);
    let id = bench.start(21060).await.unwrap();
    get(bench.only().await.addresses[0], "/").await;
    let begun = Instant::now();
    bench.engine.stop(&id, PATIENCE).await.unwrap();
    assert!(begun.elapsed() < PATIENCE / 3);
}

#[tokio::test]
async fn a_paused_replica_is_seen_as_such_and_stopped_at_once() {
    let bench = Bench::new("paused", 21070);
    let id = bench.start(21070).await.unwrap();
    docker(&["pause", &id.0]);
    assert_eq!(bench.only().await.state, RunState::Paused);
    let begun = Instant::now();
    bench.engine.stop(&id, PATIENCE).await.unwrap();
    assert!(begun.elapsed() < PATIENCE / 3);
    assert_eq!(bench.seen().await, []);
}

#[tokio::test]
async fn an_ended_process_is_seen_with_its_code_as_soon_as_it_ends() {
    for (name, port, code) in [("exit", 21080, 3), ("killed", 21085, 137)] {
        let bench = Bench::new(name, port);
        let mut changes = bench.engine.changes();
        let id = bench.start(port).await.unwrap();
        let address = bench.only().await.addresses[0];
        get(address, "/").await;
        let begun = Instant::now();
        match code {
            137 => drop(docker(&["kill", &id.0])),
            code => drop(try_get(address, &format!("/exit/{code}")).await),
        }
        let exited = RunState::Exited { code: Some(code) };
        timeout(PATIENCE, async {
            while bench.only().await.state != exited {
                changes.next().await;
            }
        })
        .await
        .expect("an event");
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!(bench.only().await.addresses, []);
        bench.stop(&id).await;
        assert_eq!(bench.seen().await, []);
    }
}

#[tokio::test]
async fn what_a_replica_said_last_is_known_until_it_is_stopped() {
    let bench = Bench::new("words", 21260).with(|template| {
        // The program panics, with the text in its message.
        template.environment = [("PORT".into(), "nonsense".into())].into();
    });
    let id = bench.start(21260).await.unwrap();
    let words = until("it says why it ends", PATIENCE, || async {
        let words = bench.engine.last_logs(&id).await;
        (!words.is_empty()).then_some(words)
    })
    .await;
    assert!(words.concat().contains("InvalidDigit"), "{words:?}");
    bench.stop(&id).await;
    assert_eq!(bench.engine.last_logs(&id).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_deployed_image_is_kept_though_its_tag_moves() {
    let name = format!("tidegate-test-moving-{}", std::process::id());
    docker(&["tag", image::tiny(), &name]);
    let mut bench = Bench::new("moving", 21280).with(|template| template.image = name.clone());
    let first = bench.engine.resolve(&name, Pull::Missing).await.unwrap();
    bench = bench.with(|template| template.image_id = Some(first.clone()));
    // Something else takes the name.
    let other = docker(&["create", image::tiny()]);
    docker(&["commit", "--change", "ENV OTHER=1", &other, &name]);
    docker(&["rm", &other]);
    let second = bench.engine.resolve(&name, Pull::Missing).await.unwrap();
    assert_ne!(first, second);
    bench.start(21280).await.unwrap();
    assert_eq!(bench.only().await.image, Some(first));
    docker(&["rmi", "-f", &name]);
}

#[tokio::test]
async fn what_is_not_ours_is_never_listed_nor_touched() {
    let bench = Bench::new("foreign", 21090);
    let other = Bench::new("other", 21095);
    let plain = bench.by_hand(&["--name", &format!("tidegate-{}-21090", bench.spec.name)]);
    let others = other.start(21095).await.unwrap();
    for stranger in [&ReplicaId::new(plain), &others] {
        let error = bench.engine.stop(stranger, GRACE).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Failed);
        assert!(error.message.contains("left alone"), "{error}");
    }
    assert_eq!(bench.seen().await, []);
    assert_eq!(other.only().await.state, RunState::Running);

    // The stranger keeps its name, and ours does without.
    let id = bench.start(21090).await.unwrap();
    let name = inspect(&id, "{{.Name}}");
    assert!(name.ends_with(&format!("-21090-{GENERATION}")), "{name}");
    assert_eq!(bench.only().await.id, id);
}

#[tokio::test]
async fn a_half_made_container_is_seen_and_does_not_stand_in_the_way() {
    let bench = Bench::new("half", 21100);
    let template = bench.spec.template().unwrap();
    let labels = [
        "io.tidegate.managed=true".to_owned(),
        format!("io.tidegate.instance={}", bench.instance),
        format!("io.tidegate.service={}", bench.spec.name),
        "io.tidegate.slot=21100".to_owned(),
        format!("io.tidegate.spec={}", template.hash().as_str()),
        "io.tidegate.generation=7".to_owned(),
        "io.tidegate.port=80".to_owned(),
    ];
    let name = format!("tidegate-{}-21100", bench.spec.name);
    let mut args = vec!["--name", &name];
    args.extend(labels.iter().flat_map(|label| ["--label", label]));
    let left = ReplicaId::new(bench.by_hand(&args));

    let seen = bench.only().await;
    assert_eq!((&seen.id, seen.state), (&left, RunState::Created));
    assert_eq!(seen.generation, 7);
    let id = bench.start(21100).await.unwrap();
    assert!(inspect(&id, "{{.Name}}").ends_with(&GENERATION.to_string()));
    bench.stop(&left).await;
    assert_eq!(bench.only().await.id, id);
}

#[tokio::test]
async fn broken_labels_hide_only_the_container_that_carries_them() {
    let bench = Bench::new("broken", 21110);
    let instance = format!("io.tidegate.instance={}", bench.instance);
    let labels = ["io.tidegate.managed=true", &instance, "io.tidegate.slot=x"];
    bench.by_hand(&labels.map(|label| ["--label", label]).concat());
    let id = bench.start(21110).await.unwrap();
    assert_eq!(bench.only().await.id, id);
}

#[tokio::test]
async fn replicas_share_a_named_volume_that_outlives_them() {
    let volume = format!("tidegate-test-{}", std::process::id());
    let bench = Bench::new("volume", 21120)
        .with(|template| template.volumes = vec![format!("{volume}:/data"), "/scratch".into()]);
    let starts = [21120, 21121].map(|slot| bench.start(slot));
    let ids: Vec<_> = join_all(starts).await.into_iter().flatten().collect();
    let seen = bench.seen().await;
    assert_eq!(seen.len(), 2);
    get(seen[0].addresses[0], "/write/note/hello").await;
    assert_eq!(get(seen[1].addresses[0], "/read/note").await, "hello");

    let scratch = "{{range .Mounts}}{{if eq .Destination \"/scratch\"}}{{.Name}}{{end}}{{end}}";
    let scratch = inspect(&ids[0], scratch);
    let exists = |name: &str| run(&["volume", "inspect", name]).is_ok();
    assert!(exists(&scratch));
    for id in &ids {
        bench.stop(id).await;
    }
    assert!(
        !exists(&scratch),
        "an anonymous volume goes with its container"
    );
    assert!(exists(&volume));
    let owner = "{{index .Labels \"io.tidegate.instance\"}}";
    let owner = docker(&["volume", "inspect", "-f", owner, &volume]);
    assert_eq!(owner, bench.instance);
}

#[tokio::test]
async fn missing_networks_are_made_once_and_the_first_is_dialled() {
    let [front, back] = ["z-front", "a-back"].map(|name| format!("{name}-{}", std::process::id()));
    let bench = Bench::new("network", 21130)
        .with(|template| template.networks = vec![front.clone(), back.clone()]);
    let starts = [21130, 21131, 21132].map(|slot| bench.start(slot));
    for started in join_all(starts).await {
        started.unwrap();
    }
    let owner = format!("label=io.tidegate.instance={}", bench.instance);
    let list = ["network", "ls", "--filter", &owner, "--format", "{{.Name}}"];
    let mut made: Vec<String> = docker(&list).lines().map(str::to_owned).collect();
    made.sort();
    assert_eq!(made, [back, front.clone()]);
    for replica in bench.seen().await {
        let address = replica.addresses[0];
        let expected = format!("{{{{(index .NetworkSettings.Networks \"{front}\").IPAddress}}}}");
        assert_eq!(address.ip().to_string(), inspect(&replica.id, &expected));
        assert_eq!(replica.addresses.len(), 3);
        assert_eq!(get(address, "/").await, replica.id.short());
    }
}

#[tokio::test]
async fn a_daemon_that_goes_and_comes_back_is_told_and_found_again() {
    let mut wire = Wire::new();
    let bench = Bench::new("wire", 21140);
    let engine = Docker::at(Host::Unix(wire.path()), &bench.instance).unwrap();
    let mut changes = engine.changes();

    let error = engine.observe().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(error.message.contains("no Docker socket"), "{error}");
    assert_eq!(changes.next().now_or_never(), None);

    wire.connect();
    timeout(PATIENCE, changes.next())
        .await
        .expect("it is there");
    assert_eq!(engine.observe().await.unwrap().replicas, []);

    wire.cut();
    let error = engine.observe().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    bench.start(21140).await.unwrap();
    wire.connect();
    timeout(PATIENCE, changes.next()).await.expect("it is back");
    assert_eq!(engine.observe().await.unwrap().replicas.len(), 1);
}

/// A service of its own on a real daemon.
pub struct Bench {
    pub engine: Docker,
    pub instance: String,
    pub spec: Spec,
    _removal: Removal,
}

/// Removes what a test made when it is over, however it ends.
struct Removal(String);

impl Bench {
    /// `port`: the first of those that belong to this test.
    pub fn new(name: &str, port: Slot) -> Bench {
        let instance = format!("test-{name}-{}", std::process::id());
        let mut spec = testing::containers(&instance);
        if let Source::Container(template) = &mut spec.source {
            template.image = image::tiny().into();
            template.port = 80;
            template.first_port = port;
            template.environment = [("ON_TERM".into(), "exit".into())].into();
        }
        spec.bounds.max = 10;
        spec.stop_grace_period = Duration::from_millis(1_500);
        Bench {
            engine: Docker::connect(&instance).unwrap(),
            _removal: Removal(instance.clone()),
            instance,
            spec,
        }
    }

    pub fn with(mut self, change: impl FnOnce(&mut Template)) -> Bench {
        if let Source::Container(template) = &mut self.spec.source {
            change(template);
        }
        self
    }

    pub async fn start(&self, slot: Slot) -> Result<ReplicaId, EngineError> {
        self.engine.fetch_image(&self.spec).await?;
        self.engine
            .start(&self.spec, slot, GENERATION, &Place::here())
            .await
    }

    pub async fn stop(&self, id: &ReplicaId) {
        self.engine.stop(id, GRACE).await.unwrap();
    }

    /// All there is, in slot order.
    pub async fn seen(&self) -> Vec<Observed> {
        let mut seen = self.engine.observe().await.unwrap().replicas;
        seen.sort_by_key(|replica| replica.slot);
        seen
    }

    pub async fn only(&self) -> Observed {
        let mut seen = self.seen().await;
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }

    /// Makes a container behind the engine's back.
    pub fn by_hand(&self, args: &[&str]) -> String {
        let label = format!("tidegate.test={}", self.instance);
        docker(&[&["create", "--label", &label], args, &[image::tiny()]].concat())
    }
}

impl Drop for Removal {
    fn drop(&mut self) {
        for label in ["io.tidegate.instance", "tidegate.test"] {
            clean(&format!("label={label}={}", self.0));
        }
    }
}
