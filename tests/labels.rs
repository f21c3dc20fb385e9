//! Labels that others bring along, on a real daemon: none makes a container a replica, or ours to
//! stop, and none gives away a secret.

use crate::engine_docker::{Bench, GENERATION, GRACE};
use crate::support::docker::{Wire, docker, forget_image, inspect};
use crate::support::image;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tidegate::engine::docker::{Docker, Host, KEY_BYTES, Seal};
use tidegate::engine::{Engine, ErrorKind};
use tidegate::service::replica::{ReplicaId, Vouched};
use tidegate::service::spec::{ImageId, Pull, Source, Template, Version};

/// A key as it is in use for an hour: nothing new may lack the seal.
fn seal(byte: u8) -> Arc<Seal> {
    Arc::new(Seal::new([byte; KEY_BYTES], now() - 3_600))
}

/// A key that has just been made, so what exists may be an older version's.
fn new_seal(byte: u8) -> Arc<Seal> {
    Arc::new(Seal::new([byte; KEY_BYTES], now()))
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_secs()
}

/// An image that is gone with its test.
struct Image(String);

impl Image {
    fn named(name: &str) -> Image {
        Image(format!("tidegate-test-{name}-{}", std::process::id()))
    }

    fn committed(name: &str, container: &ReplicaId, changes: &[String]) -> Image {
        let image = Image::named(name);
        let changes = changes.iter().flat_map(|change| ["--change", change]);
        let mut args = vec!["commit"];
        args.extend(changes);
        args.extend([&*container.0, &image.0]);
        docker(&args);
        image
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        forget_image(&self.0);
    }
}

impl Bench {
    /// The same service, seen by a Tidegate with another key.
    fn seen_by(mut self, seal: Arc<Seal>) -> Bench {
        self.engine = Docker::connect(&self.instance).unwrap().sealing(seal);
        self
    }

    /// Everything that makes a container look like a replica.
    fn labels(&self, slot: u16, generation: &str) -> Vec<String> {
        let template = self.spec.template().unwrap();
        let hash = template.hash();
        let forged = Template {
            volumes: vec!["/:/host".to_owned()],
            ..template.clone()
        };
        vec![
            "io.tidegate.managed=true".to_owned(),
            format!("io.tidegate.instance={}", self.instance),
            format!("io.tidegate.service={}", self.spec.name),
            format!("io.tidegate.slot={slot}"),
            format!("io.tidegate.spec={}", hash.as_str()),
            format!("io.tidegate.declared={}", hash.as_str()),
            format!("io.tidegate.template={}", forged.to_label()),
            format!("io.tidegate.generation={generation}"),
            "io.tidegate.port=80".to_owned(),
        ]
    }

    async fn leaves_alone(&self, stranger: &str) {
        let stranger = ReplicaId::new(stranger);
        let error = self.engine.stop(&stranger, GRACE).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Failed);
        assert!(error.message.contains("left alone"), "{error}");
        assert_eq!(inspect(&stranger, "{{.State.Status}}"), "running");
    }
}

fn label_args(labels: &[String]) -> Vec<&str> {
    let labels = labels.iter().map(String::as_str);
    labels.flat_map(|label| ["--label", label]).collect()
}

#[tokio::test]
async fn a_container_that_runs_a_commit_of_a_replica_is_no_replica() {
    // Also of one that an older version made.
    for (name, port, is_old) in [("commit", 21400, false), ("oldcommit", 21410, true)] {
        let bench = Bench::new(name, port);
        let bench = match is_old {
            true => bench,
            false => bench.seen_by(seal(7)),
        };
        let id = bench.start(port).await.unwrap();
        let bench = match is_old {
            true => bench.seen_by(new_seal(7)),
            false => bench,
        };
        let commit = Image::committed(name, &id, &[]);
        let debug = docker(&["run", "--detach", &commit.0]);
        assert_eq!(bench.only().await.id, id);
        bench.leaves_alone(&debug).await;
        docker(&["rm", "--force", &debug]);

        // Not even in the place and under the name of the one that it was.
        let label = inspect(&id, "{{.Name}}");
        bench.stop(&id).await;
        let ours = label.trim_start_matches('/');
        let named = docker(&["run", "--detach", "--name", ours, &commit.0]);
        assert_eq!(bench.seen().await, []);
        bench.leaves_alone(&named).await;
        docker(&["rm", "--force", &named]);
    }
}

#[tokio::test]
async fn an_image_with_our_labels_is_neither_started_nor_deployed() {
    let bench = Bench::new("labelled", 21420).seen_by(seal(7));
    let id = bench.start(21420).await.unwrap();
    let commit = Image::committed("labelled", &id, &[]);
    let mut other = Bench::new("labelled2", 21425).seen_by(seal(7));
    other = other.with(|template| template.image = commit.0.clone());
    let started = other.start(21425).await.unwrap_err();
    let resolved = other.engine.resolve(&commit.0, Pull::Missing).await;
    let pinned = ImageId(docker(&["image", "inspect", "-f", "{{.Id}}", &commit.0]));
    let other = other.with(|template| {
        template.image = image::tiny().to_owned();
        template.image_id = Some(pinned);
    });
    let by_id = other.start(21425).await.unwrap_err();
    for error in [started, resolved.unwrap_err(), by_id] {
        assert_eq!(error.kind, ErrorKind::Failed);
        for part in ["io.tidegate.", "docker commit", "Dockerfile"] {
            assert!(error.message.contains(part), "{error}");
        }
    }
    assert_eq!(other.seen().await, []);
    // The pinned image is judged, not the one that its name stands for by now.
    let moving = Image::named("moving-to-labelled");
    docker(&["tag", &commit.0, &moving.0]);
    let tiny = ImageId(docker(&[
        "image",
        "inspect",
        "-f",
        "{{.Id}}",
        image::tiny(),
    ]));
    let other = other.with(|template| {
        template.image = moving.0.clone();
        template.image_id = Some(tiny);
    });
    other.start(21425).await.unwrap();
}

#[tokio::test]
async fn an_image_that_claims_to_be_a_replica_of_the_future_is_not_listed() {
    // Also just after an update, when nothing else is sealed either.
    for (name, port, seal) in [("future", 21430, seal(7)), ("future2", 21435, new_seal(7))] {
        let bench = Bench::new(name, port).seen_by(seal);
        let id = bench.start(port).await.unwrap();
        for generation in ["9999999999999", "18446744073709551615"] {
            let labels = bench.labels(port + 1, generation);
            let changes: Vec<String> = labels
                .iter()
                .map(|label| {
                    let (key, value) = label.split_once('=').unwrap();
                    format!("LABEL {key}={value:?}")
                })
                .collect();
            let plain = ReplicaId::new(bench.by_hand(&[]));
            let image = Image::committed(name, &plain, &changes);
            let stranger = docker(&["run", "--detach", &image.0]);
            let key = "{{index .Config.Labels \"io.tidegate.generation\"}}";
            assert_eq!(inspect(&ReplicaId::new(&stranger), key), generation);
            assert_eq!(bench.only().await.id, id);
            bench.leaves_alone(&stranger).await;
        }
    }
}

#[tokio::test]
async fn a_container_that_somebody_labels_by_hand_is_left_alone() {
    let bench = Bench::new("byhand", 21440).seen_by(seal(7));
    let id = bench.start(21440).await.unwrap();
    let name = format!("tidegate-{}-21441", bench.spec.name);
    let labels = bench.labels(21441, "1767225600001");
    let args = [&["--name", &name][..], &label_args(&labels)].concat();
    let stranger = bench.by_hand(&args);
    docker(&["start", &stranger]);
    assert_eq!(bench.only().await.id, id);
    bench.leaves_alone(&stranger).await;

    // Nor is a copy of a replica's labels, seal and all.
    let all = "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}}\n{{end}}";
    let copied: Vec<String> = inspect(&id, all).lines().map(str::to_owned).collect();
    assert!(
        copied
            .iter()
            .any(|label| label.starts_with("io.tidegate.seal="))
    );
    let copy = bench.by_hand(&label_args(&copied));
    docker(&["start", &copy]);
    assert_eq!(bench.only().await.id, id);
    bench.leaves_alone(&copy).await;
}

#[tokio::test]
async fn what_an_older_version_made_is_adopted_and_what_it_says_makes_nothing() {
    let old = Bench::new("adopted", 21450);
    let id = old.start(21450).await.unwrap();
    let name = format!("tidegate-{}-21451", old.spec.name);
    let labels = old.labels(21451, "1767225600001");
    let args = [&["--name", &name][..], &label_args(&labels)].concat();
    let forged = ReplicaId::new(old.by_hand(&args));
    let far = old.labels(21452, "18446744073709551615");
    let name = format!("tidegate-{}-21452", old.spec.name);
    old.by_hand(&[&["--name", &name][..], &label_args(&far)].concat());

    let hash = old.spec.template().unwrap().hash();
    let bench = old.seen_by(new_seal(7));
    let seen = bench.seen().await;
    let ids: Vec<_> = seen.iter().map(|seen| &seen.id).collect();
    assert_eq!(ids, [&id, &forged], "the one of the far future is not");
    for seen in &seen {
        assert_eq!(seen.spec, hash, "so nothing is out of date");
        let vouched = seen.made.as_ref().unwrap().vouched;
        assert_eq!(vouched, Vouched::Unsealed);
    }
    bench.stop(&id).await;
    assert_eq!(bench.seen().await.len(), 1);
}

#[tokio::test]
async fn replicas_outlive_the_key_that_they_were_sealed_with() {
    let bench = Bench::new("lost", 21460).seen_by(seal(7));
    let id = bench.start(21460).await.unwrap();
    let sealed = bench.only().await;
    assert_eq!(sealed.made.as_ref().unwrap().vouched, Vouched::Sealed);
    let bench = bench.seen_by(new_seal(8));
    let seen = bench.only().await;
    assert_eq!(seen.made.as_ref().unwrap().vouched, Vouched::KeyLost);
    assert_eq!((&seen.id, seen.generation), (&id, GENERATION));
    bench.stop(&id).await;
    assert_eq!(bench.seen().await, []);
}

#[tokio::test]
async fn labels_do_not_show_whether_a_guessed_secret_is_right() {
    let bench = Bench::new("oracle", 21470).with(|template| {
        let password = "DB_PASSWORD".to_owned();
        template
            .environment
            .insert(password.clone(), "hunter2".into());
        template.secrets.insert(password);
    });
    let Source::Container(template) = bench.spec.source.clone() else {
        unreachable!("it has containers")
    };
    let bench = bench.seen_by(seal(7));
    let id = bench.start(21470).await.unwrap();
    let labels = inspect(&id, "{{json .Config.Labels}}");
    for known in [template.hash().as_str(), "hunter2"] {
        assert!(!labels.contains(known), "{known} in {labels}");
    }
    // To us they still name what it was made from.
    let seen = bench.only().await;
    let version = Version::of(template);
    assert_eq!(seen.spec, version.hash);
    assert_eq!(seen.made.unwrap().declared, version.hash);
}

#[tokio::test]
async fn a_daemon_is_the_same_one_by_every_way_to_it_and_left_alone_when_another_has_it() {
    let mut wire = Wire::new();
    wire.connect();
    let bench = Bench::new("claim", 21480);
    let at_wire = || Docker::at(Host::Unix(wire.path()), &bench.instance).unwrap();
    let identity = at_wire().identity().await.unwrap();
    assert_eq!(identity, bench.engine.identity().await.unwrap());

    bench.start(21480).await.unwrap();
    let claim = move |engine: &str| match engine == identity {
        true => Err("another tidegate controls it".to_owned()),
        false => Ok(()),
    };
    let engine = at_wire().claiming(Arc::new(claim));
    for _ in 0..2 {
        let error = engine.observe().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unreachable);
        assert!(error.message.contains("another tidegate"), "{error}");
    }
    let engine = at_wire().claiming(Arc::new(|_| Ok(())));
    assert_eq!(engine.observe().await.unwrap().replicas.len(), 1);
}
