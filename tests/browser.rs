//! The example's page in a real browser, through the real edge, on real containers: what
//! `examples/acts/browser/story.mjs` does, while a hundred images go up beside it.

use crate::support::docker::{clean, docker, run};
use crate::support::edge::Edge;
use crate::support::story::Story;
use load::{Load, Report};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;

const FIRST_PORT: u16 = 28000;
/// Longer than the whole story takes on a busy machine.
const STORY_WITHIN: Duration = Duration::from_secs(170);
const SOON: Duration = Duration::from_secs(60);

struct Stage {
    edge: Edge,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn set() -> Stage {
        let mut edge = Edge::prepare("");
        // One, until the story wants to see more.
        write(&edge, 1..=1);
        edge.spawn(&[]);
        edge.listening().await;
        let folder = tempfile::tempdir().expect("a folder");
        Stage { edge, folder }
    }

    fn load(&self, seed: u64, numbers: Range<u64>, pause_ms: u64) -> Load {
        Load {
            edge: self.edge.address.to_string(),
            numbers,
            seed,
            at_once: 2,
            pause: Duration::from_millis(pause_ms),
            shows_progress: false,
        }
    }

    fn story(&self) -> Story {
        let environment = [
            ("EDGE", format!("http://{}", self.edge.address)),
            ("ADMIN", format!("http://{}", self.edge.admin)),
            ("PHOTOS", self.folder.path().display().to_string()),
        ];
        Story::begin("examples/acts/browser/story.mjs", &environment)
    }

    fn bounds(&self, bounds: RangeInclusive<u32>) {
        write(&self.edge, bounds);
        self.edge.signal(Signal::SIGHUP);
    }

    /// Enough for three replicas by the rule, whenever an interval begins and ends.
    async fn traffic(&self) {
        loop {
            assert_eq!(self.edge.get("/api/v1/categories").await.status, 200);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn remove_containers(&self) {
        let ours = format!("label=io.tidegate.instance={}", self.edge.instance);
        for id in docker(&["ps", "-aq", "--filter", &ours]).lines() {
            docker(&["rm", "-f", id]);
        }
    }

    /// Each of the page's photos is what went up.
    async fn has(&self, uploaded: &[(u64, PathBuf)]) {
        for (id, file) in uploaded {
            let image = self.edge.get(&format!("/api/v1/acts/{id}/image")).await;
            let wanted = std::fs::read(file).expect("a photo");
            assert!(image.body == wanted, "act {id}: {}", image.status);
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.edge.stop_now();
        clean(&format!(
            "label=io.tidegate.instance={}",
            self.edge.instance
        ));
        let _ = run(&[
            "volume",
            "rm",
            "-f",
            &format!("{}-data", self.edge.instance),
        ]);
    }
}

/// Writes conf/acts.yaml, but for ports, volume and a shorter interval.
fn write(edge: &Edge, bounds: RangeInclusive<u32>) {
    let (min, max) = (bounds.start(), bounds.end());
    edge.write(&format!(
        "services:\n  acts:\n    image: acts:latest\n    first_port: {FIRST_PORT}\n    \
         volumes: [\"{}-data:/data\"]\n    routes: [{{ path: /api/v1 }}, {{ path: /app }}]\n    \
         scale:\n      min: {min}\n      max: {max}\n      interval: 8s\n      \
         exclude: [/api/v1/_health, /api/v1/_crash, /app]\nplugins: [replica-header]\n",
        edge.instance
    ));
}

/// Uploads of the browser, once the story is over.
async fn uploaded(story: Story) -> Vec<(u64, PathBuf)> {
    let uploaded: Vec<BTreeMap<String, serde_json::Value>> =
        serde_json::from_str(&story.end().await).expect("its last line");
    let pair = |act: &BTreeMap<String, serde_json::Value>| {
        let id = act["id"].as_u64().expect("a number");
        (id, act["file"].as_str().expect("a path").into())
    };
    uploaded.iter().map(pair).collect()
}

fn well(report: &Report) {
    assert_eq!(report.failures, Vec::<String>::new(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_images_go_up_through_page_and_loader_while_replicas_crash_come_and_go() {
    let mut stage = Stage::set().await;
    let photos = stage.load(2, 0..11, 0);
    photos.write(stage.folder.path()).expect("photos");
    let all = stage.load(1, 0..100, 0);
    let story = async {
        let mut story = stage.story();
        story.tells("MORE").await;
        stage.bounds(1..=3);
        let growing = stage.load(1, 0..40, 0).upload().await;
        tokio::select! {
            () = story.tells("STAY") => {}
            () = stage.traffic() => {}
        }
        // At whatever pace this machine goes on, until the story has seen enough of three.
        stage.bounds(3..=3);
        story.tells("CRASH").await;
        let crashing = stage.load(1, 40..90, 100).upload().await;
        story.tells("READ").await;
        let read = stage.load(1, 0..90, 0).verify().await;
        story.tells("QUIET").await;
        stage.bounds(1..=3);
        // Few enough for one replica.
        let shrinking = stage.load(1, 90..100, 3000).upload().await;
        (uploaded(story).await, [growing, crashing, shrinking], read)
    };
    let (browser, uploads, read) = tokio::time::timeout(STORY_WITHIN, story)
        .await
        .expect("the story ends in time");
    for report in &uploads {
        well(report);
    }
    let uploaded: u64 = uploads.iter().map(|report| report.uploaded).sum();
    assert_eq!(uploaded, 100);
    well(&read);
    assert!(read.replicas.len() >= 3, "{read}");
    assert_eq!(browser.len(), 10);
    well(&all.verify().await);

    // Everything is new, but the volume: each image is still what it was.
    stage.edge.crash();
    stage.remove_containers();
    stage.edge.spawn(&[]);
    stage.edge.listening().await;
    let first = format!("{FIRST_PORT}=ready");
    stage.edge.shows("acts", &first, SOON).await;
    well(&all.verify().await);
    stage.has(&browser).await;
}
