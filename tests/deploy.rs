//! Other images by hand, good ones and bad ones, and a replica that is asked to go, all under load.

use crate::containers::{Acts, Load};
use crate::support::docker::{docker, forget_image};
use crate::support::until;
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::time::Duration;

/// Images of the example service's own making; gone when the story is over.
struct Images {
    name: String,
    tags: Vec<&'static str>,
}

impl Images {
    fn of(acts: &Acts) -> Images {
        Images {
            name: format!("acts-{}", acts.edge.instance),
            tags: Vec::new(),
        }
    }

    /// The example service with something else in its environment, under this tag.
    fn tag(&mut self, tag: &'static str, environment: &str) -> String {
        let image = format!("{}:{tag}", self.name);
        let container = docker(&["create", "acts:latest"]);
        let change = format!("ENV {environment}");
        docker(&["commit", "--change", &change, &container, &image]);
        docker(&["rm", &container]);
        self.tags.push(tag);
        image
    }
}

impl Drop for Images {
    fn drop(&mut self) {
        for tag in &self.tags {
            forget_image(&format!("{}:{tag}", self.name));
        }
    }
}

const TWO: &str = "    scale: { min: 2 }\n    update_config: { monitor: 1s }\n";

fn images(acts: &Acts) -> BTreeSet<String> {
    let containers = acts.containers();
    let image = |id: &String| docker(&["inspect", "-f", "{{.Config.Image}}", id]);
    containers.iter().map(image).collect()
}

async fn rolled_out(acts: &Acts) {
    until("the rollout is done", Duration::from_secs(60), || async {
        let service = acts.edge.service("acts").await;
        (service["rollout"]["stage"] == "done").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_deploy_loses_no_request_and_outlives_a_restart() {
    let mut acts = Acts::start(22240, TWO).await;
    let mut made = Images::of(&acts);
    let second = made.tag("2", "ACTS_VERSION=2");
    acts.shows(2).await;
    let before: BTreeSet<String> = acts.containers().into_iter().collect();
    let load = Load::start(acts.edge.address);

    let deployed = acts
        .edge
        .tidegate(&["deploy", "acts", "--image", &second])
        .await;
    assert_eq!(deployed.code, Some(0), "{deployed:?}\n{}", acts.edge.log());
    let said = format!("acts: 2 replicas run {second} (");
    assert!(deployed.out.starts_with(&said), "{deployed:?}");
    acts.shows(2).await;
    let after: BTreeSet<String> = acts.containers().into_iter().collect();
    assert!(before.is_disjoint(&after));
    assert_eq!(images(&acts), BTreeSet::from([second.clone()]));
    let (sent, failed) = load.stop().await;
    assert_eq!(failed, 0, "of {sent}\n{}", acts.edge.log());

    acts.edge.crash();
    acts.edge.spawn(&[]);
    acts.edge.listening().await;
    acts.shows(2).await;
    acts.edge.signal(Signal::SIGHUP);
    acts.edge.logs("configuration reloaded").await;
    let again = acts
        .edge
        .tidegate(&["deploy", "acts", "--image", &second])
        .await;
    assert!(again.out.ends_with("already\n"), "{again:?}");
    assert_eq!(
        acts.containers().into_iter().collect::<BTreeSet<_>>(),
        after
    );
}

#[tokio::test]
async fn a_broken_version_changes_nothing_and_says_why() {
    let acts = Acts::start(22260, TWO).await;
    let mut made = Images::of(&acts);
    let broken = made.tag("broken", "ACTS_LISTEN=nonsense");
    acts.shows(2).await;
    let before = acts.ids().await;
    let load = Load::start(acts.edge.address);
    for _ in 0..2 {
        let deployed = acts
            .edge
            .tidegate(&["deploy", "acts", "--image", &broken])
            .await;
        assert_eq!(deployed.code, Some(1), "{deployed:?}");
        for words in [
            "was rolled back",
            "2 of 2 replicas run acts:latest",
            "exited with code",
            "last logs, on 22262:\n    ",
            "ACTS_LISTEN is `nonsense`, expected an address",
        ] {
            assert!(deployed.err.contains(words), "{words}: {deployed:?}");
        }
        assert_eq!(acts.ids().await, before);
    }
    let (sent, failed) = load.stop().await;
    assert_eq!(failed, 0, "of {sent}\n{}", acts.edge.log());
    let rolled_back = "tidegate_rollouts_total{result=\"rolled_back\",service=\"acts\"}";
    acts.edge.counts(rolled_back, 2.0).await;
    let status = acts.edge.tidegate(&["status"]).await;
    assert!(
        status.out.contains(" was rolled back to acts:latest "),
        "{status:?}"
    );
}

#[tokio::test]
async fn a_deploy_that_cannot_end_is_left_with_its_reasons_after_the_time_given() {
    let more = "    environment: { ACTS_LISTEN: nonsense }\n";
    let acts = Acts::start(22320, more).await;
    let mut made = Images::of(&acts);
    let second = made.tag("2", "ACTS_VERSION=2");
    let arguments = ["deploy", "acts", "--image", &second, "--timeout", "3s"];
    let deployed = acts.edge.tidegate(&arguments).await;
    assert_eq!(deployed.code, Some(1), "{deployed:?}");
    for words in [
        "acts: not done within 3s: ",
        "exited with code",
        "hint: the change continues",
    ] {
        assert!(deployed.err.contains(words), "{words}: {deployed:?}");
    }
    // The same words as in the events, though no container lasts.
    let last = "ACTS_LISTEN is `nonsense`, expected an address";
    for arguments in [&["status"][..], &["logs", "acts"]] {
        let shown = acts.edge.tidegate(arguments).await;
        assert!(shown.out.contains(last), "{shown:?}");
    }
}

#[tokio::test]
async fn an_edit_of_the_file_keeps_the_image_that_was_deployed_by_hand() {
    let mut acts = Acts::start(22340, "").await;
    let mut made = Images::of(&acts);
    let second = made.tag("2", "ACTS_VERSION=2");
    let both = |one: &str| BTreeSet::from([one.to_owned()]);
    acts.shows(1).await;
    let arguments = ["deploy", "acts", "--image", &second];
    assert_eq!(acts.edge.tidegate(&arguments).await.code, Some(0));

    acts.write("    memory: 200MiB\n");
    let stays = format!("acts: image {second} stays (deployed by hand ");
    let planned = acts.edge.tidegate(&["plan"]).await;
    assert_eq!(planned.code, Some(3), "{planned:?}");
    assert!(planned.out.starts_with(&stays), "{planned:?}");
    assert!(
        planned.out.contains("acts: memory changed\n"),
        "{planned:?}"
    );
    let reloaded = acts.edge.tidegate(&["reload"]).await;
    assert!(reloaded.out.contains(&stays), "{reloaded:?}");
    rolled_out(&acts).await;
    acts.shows(1).await;
    assert_eq!(images(&acts), both(&second));

    acts.edge.crash();
    acts.write("    memory: 300MiB\n");
    acts.edge.spawn(&[]);
    acts.edge.listening().await;
    rolled_out(&acts).await;
    acts.shows(1).await;
    assert_eq!(images(&acts), both(&second));

    let back = format!("acts: image {second} → acts:latest (the file's; deployed by hand ");
    let arguments = ["reload", "--image-from-file"];
    let reloaded = acts.edge.tidegate(&arguments).await;
    assert!(reloaded.out.contains(&back), "{reloaded:?}");
    rolled_out(&acts).await;
    acts.shows(1).await;
    assert_eq!(images(&acts), both("acts:latest"));
}

#[tokio::test]
async fn a_tag_that_moved_is_deployed_anew_and_what_is_not_there_is_refused() {
    let acts = Acts::prepare(22280, "");
    let mut made = Images::of(&acts);
    let image = made.tag("latest", "ACTS_VERSION=1");
    let file = format!(
        "services:\n  acts:\n    image: {image}\n    first_port: 22280\n    \
         volumes: [\"{}:/data\"]\n    update_config: {{ monitor: 500ms, order: stop-first }}\n",
        acts.volume()
    );
    acts.edge.write(&file);
    let mut acts = acts;
    acts.edge.spawn(&[]);
    acts.edge.listening().await;
    acts.shows(1).await;
    let first = acts.ids().await;
    let same = acts.edge.tidegate(&["deploy", "acts"]).await;
    assert!(same.out.ends_with("already\n"), "{same:?}");

    made.tag("latest", "ACTS_VERSION=2");
    // One replica, in its place: whoever comes meanwhile waits for it.
    let load = Load::start(acts.edge.address);
    let moved = acts.edge.tidegate(&["deploy", "acts", "--json"]).await;
    assert_eq!(moved.code, Some(0), "{moved:?}");
    assert_eq!(moved.json()["stage"], "done");
    let (sent, failed) = load.stop().await;
    assert_eq!(failed, 0, "of {sent}\n{}", acts.edge.log());
    assert_ne!(acts.ids().await, first);

    for (arguments, words) in [
        (vec!["acts", "--image", "acts:nowhere"], "cannot be pulled"),
        (
            vec!["acts", "--image", "Acts"],
            "names of images are lower case",
        ),
        (vec!["shop"], "there is no service `shop`"),
    ] {
        let arguments = [vec!["deploy"], arguments].concat();
        let refused = acts.edge.tidegate(&arguments).await;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.err.contains(words), "{refused:?}");
    }
}

#[tokio::test]
async fn a_drained_replica_gives_its_port_to_another_and_loses_no_request() {
    let acts = Acts::start(22300, "").await;
    acts.shows(1).await;
    let before = acts.ids().await;
    let load = Load::start(acts.edge.address);
    let drained = acts.edge.tidegate(&["drain", "acts", "22300"]).await;
    assert_eq!(drained.code, Some(0), "{drained:?}\n{}", acts.edge.log());
    assert_eq!(drained.out, "acts: 22300 was replaced\n");
    let (sent, failed) = load.stop().await;
    assert_eq!(failed, 0, "of {sent}\n{}", acts.edge.log());
    acts.shows(1).await;
    assert_ne!(acts.ids().await, before);
    let nobody = acts.edge.tidegate(&["drain", "acts", "22301"]).await;
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.err.contains("it has some on 22300"), "{nobody:?}");
}
