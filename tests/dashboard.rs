//! The dashboard in a real browser, in front of real containers: what `dashboard/story.mjs` sees
//! and does, while replicas crash, come and go, and Tidegate itself does.

use crate::support::docker::{docker, forget_image};
use crate::support::edge::Edge;
use crate::support::story::Story;
use crate::support::upstream::Upstream;
use std::time::Duration;

const FIRST_PORT: u16 = 30000;
const TOKEN: &str = "of-my-own-4711";
/// Longer than a story takes on a busy machine.
const STORY_WITHIN: Duration = Duration::from_secs(300);

/// Another version of the example service; gone when the story is over.
struct Image(String);

impl Image {
    fn of(edge: &Edge, tag: &str, change: &str) -> Image {
        let image = format!("acts-{}:{tag}", edge.instance);
        let container = docker(&["create", "acts:latest"]);
        docker(&["commit", "--change", change, &container, &image]);
        docker(&["rm", &container]);
        Image(image)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        forget_image(&self.0);
    }
}

fn acts() -> String {
    format!(
        "services:\n  acts:\n    image: acts:latest\n    first_port: {FIRST_PORT}\n    \
         healthcheck: {{ path: /api/v1/_health, interval: 200ms }}\n    \
         update_config: {{ monitor: 1s }}\n    scale: {{ max: 5 }}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_sees_what_happens_and_why_and_acts_on_it() {
    let edge = Edge::prepare(&acts()).with("TIDEGATE_ADMIN_TOKEN", TOKEN);
    let mut edge = edge.spawned().await;
    let image = Image::of(&edge, "2", "ENV ACTS_VERSION=2");
    let broken = Image::of(&edge, "broken", "ENV ACTS_LISTEN=nonsense");
    let mut story = Story::begin(
        "tests/dashboard/story.mjs",
        &[
            ("EDGE", format!("http://{}", edge.address)),
            ("ADMIN", format!("http://{}", edge.admin)),
            ("TOKEN", TOKEN.to_owned()),
            ("IMAGE", image.0.clone()),
            ("BROKEN", broken.0.clone()),
            ("FIRST_PORT", FIRST_PORT.to_string()),
        ],
    );
    let told = async {
        story.tells("BREAK").await;
        edge.write("services: {}\n");
        story.tells("MEND").await;
        edge.write(&acts());
        story.tells("CRASH").await;
        edge.crash();
        story.tells("START").await;
        edge.spawn(&[]);
        edge.listening().await;
        story.end().await
    };
    let told = tokio::time::timeout(STORY_WITHIN, told).await;
    told.expect("the story ends in time");
    assert!(!edge.log().contains(TOKEN));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_services_with_fifty_replicas_each_fit_a_page() {
    let a = Upstream::start("A").await;
    let services = format!(
        "services: {{ web: {{ addresses: [\"{}\"] }} }}\n",
        a.address
    );
    let edge = Edge::start(&services).await;
    let environment = [("ADMIN", format!("http://{}", edge.admin))];
    let story = Story::begin("tests/dashboard/many.mjs", &environment);
    let told = tokio::time::timeout(STORY_WITHIN, story.end()).await;
    told.expect("the story ends in time");
}
