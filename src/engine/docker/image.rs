//! The image: the local one as it is, else pulled.

use super::error::{Failure, failed};
use super::label_names::Labels;
use super::registry::Logins;
use super::{Daemon, held, vouch};
use crate::engine::EngineError;
use crate::service::spec::{ImageId, Pull, Spec, Template};
use crate::service::time::Human;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptions;
use bytesize::ByteSize;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use futures_util::{FutureExt, StreamExt};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// A pull may take as long as it likes while it moves. Docker reports several times a second,
/// and gives up on a registry that does not answer sooner than this.
const PULL_STALL_TIMEOUT: Duration = Duration::from_secs(120);

/// Often enough to see that it moves, seldom enough for a log.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(3);

const OP: &str = "find the image";

impl Daemon {
    /// What an image's name stands for: now in its registry, or on this machine.
    pub(super) async fn resolve(
        self: &Arc<Self>,
        image: &str,
        pull: Pull,
    ) -> Result<ImageId, EngineError> {
        let client = self.client(OP).await?;
        if pull == Pull::Always {
            self.pull_shared(image).await?;
        }
        self.ensure_image(&client, image).await
    }

    /// Pulls the image unless it is on this machine. Content that was pinned has no name in a
    /// registry, so it cannot be pulled.
    pub(super) async fn fetch_image(self: &Arc<Self>, spec: &Spec) -> Result<(), EngineError> {
        let client = self.client(OP).await?;
        match spec.template() {
            None => Ok(()),
            Some(template) if template.image_id.is_some() => {
                self.image_on_machine(&client, template).await.map(drop)
            }
            Some(template) => self.ensure_image(&client, &template.image).await.map(drop),
        }
    }

    /// What a container is to be made from: the image's name while it stands for the content
    /// that was deployed, because people read names, and else the content's own.
    pub(super) async fn image_on_machine(
        &self,
        client: &bollard::Docker,
        template: &Template,
    ) -> Result<String, EngineError> {
        let found = self.find_image(client, &template.image).await?;
        let Some(pinned) = &template.image_id else {
            return match found {
                Some(named) => {
                    without_our_labels(&template.image, &named)?;
                    Ok(template.image.clone())
                }
                None => {
                    let message = format!("image `{}` is not on this machine", template.image);
                    Err(failed(OP, message))
                }
            };
        };
        if let Some(named) = found.filter(|named| named.id.as_ref() == Some(pinned)) {
            without_our_labels(&template.image, &named)?;
            return Ok(template.image.clone());
        }
        match self.find_image(client, &pinned.0).await? {
            Some(found) => {
                without_our_labels(&template.image, &found)?;
                Ok(pinned.0.clone())
            }
            None => {
                let message = format!(
                    "the content that was deployed as `{}`, {pinned}, is not on this machine any \
                     more; deploy the service anew",
                    template.image
                );
                Err(failed(OP, message))
            }
        }
    }

    async fn ensure_image(
        self: &Arc<Self>,
        client: &bollard::Docker,
        image: &str,
    ) -> Result<ImageId, EngineError> {
        if let Some(found) = self.find_image(client, image).await? {
            return usable(image, found);
        }
        self.pull_shared(image).await?;
        match self.find_image(client, image).await? {
            Some(found) => usable(image, found),
            None => Err(failed(
                OP,
                format!("image `{image}` was pulled and is not there"),
            )),
        }
    }

    /// One pull an image at a time: its end, good or bad, is that of everybody who waits for it.
    async fn pull_shared(self: &Arc<Self>, image: &str) -> Result<(), EngineError> {
        let pull = self.pulls.find_or_begin(image, || {
            let (daemon, image) = (Arc::clone(self), image.to_owned());
            async move {
                let client = daemon.client(OP).await?;
                daemon.pull(&client, &image).await
            }
            .boxed()
        });
        pull.await
    }

    async fn find_image(
        &self,
        client: &bollard::Docker,
        image: &str,
    ) -> Result<Option<Local>, Failure> {
        match self.inspect_image(client, OP, image).await {
            Err(failure) if failure.is(404) => Ok(None),
            other => other.map(|image| {
                Some(Local {
                    id: image.id.map(ImageId),
                    labels: image.config.and_then(|config| config.labels),
                })
            }),
        }
    }

    async fn pull(&self, client: &bollard::Docker, image: &str) -> Result<(), EngineError> {
        let is_here = self.find_image(client, image).await?.is_some();
        log::info!("pulling {image}");
        let logins = Logins::load();
        let (name, tag) = name_and_tag(image);
        let options = CreateImageOptions {
            from_image: Some(name.to_owned()),
            tag: Some(tag.to_owned()),
            ..Default::default()
        };
        let mut reports = client.create_image(Some(options), None, logins.find(image));
        let mut progress = Progress::default();
        let begun = Instant::now();
        let mut said = begun;
        loop {
            match timeout(PULL_STALL_TIMEOUT, reports.next()).await {
                Ok(Some(Ok(report))) => progress.note(report),
                Ok(Some(Err(error))) => {
                    let failure = Failure::new(OP, &self.host, error);
                    if failure.unreachable() {
                        self.forget_client();
                        return Err(failure.into());
                    }
                    return Err(not_pulled(image, is_here, &logins, failure.message()));
                }
                Ok(None) => break,
                Err(_) => {
                    let why = format!("nothing came for {}", Human(PULL_STALL_TIMEOUT));
                    return Err(not_pulled(image, is_here, &logins, &why));
                }
            }
            if said.elapsed() >= PROGRESS_INTERVAL {
                said = Instant::now();
                log::info!("pulling {image}: {progress}");
            }
        }
        log::info!("pulled {image} in {:.1} s", begun.elapsed().as_secs_f64());
        Ok(())
    }
}

type Pulled = BoxFuture<'static, Result<(), EngineError>>;

/// Pulls that somebody waits for, by image. One that nobody waits for any more ends.
#[derive(Default)]
pub(super) struct Pulls {
    under_way: Mutex<HashMap<String, WeakShared<Pulled>>>,
}

impl Pulls {
    fn find_or_begin(&self, image: &str, begin: impl FnOnce() -> Pulled) -> Shared<Pulled> {
        let mut under_way = held(&self.under_way);
        under_way.retain(|_, pull| pull.upgrade().is_some_and(|pull| pull.peek().is_none()));
        if let Some(pull) = under_way.get(image).and_then(WeakShared::upgrade) {
            return pull;
        }
        let pull = begin().shared();
        let weak = pull.downgrade().expect("it has not ended yet");
        under_way.insert(image.to_owned(), weak);
        pull
    }
}

/// An image on the daemon's machine.
struct Local {
    id: Option<ImageId>,
    labels: Option<Labels>,
}

fn usable(image: &str, found: Local) -> Result<ImageId, EngineError> {
    without_our_labels(image, &found)?;
    let nameless = || failed(OP, format!("Docker gives no id of the image `{image}`"));
    found.id.ok_or_else(nameless)
}

/// Containers made from it would not be told from containers that others make from it.
fn without_our_labels(image: &str, found: &Local) -> Result<(), EngineError> {
    let refused = vouch::without_our_labels(image, found.labels.as_ref());
    refused.map_err(|message| failed(OP, message))
}

fn not_pulled(image: &str, is_here: bool, logins: &Logins, why: &str) -> EngineError {
    let missing = if is_here {
        ""
    } else {
        " is not on this machine and"
    };
    let hint = match logins.helper_for(image) {
        Some(helper) => format!(
            "credential helpers such as `{helper}` are not run; `docker pull {image}` uses them"
        ),
        None => "build it or, if it is private, `docker login` first".to_owned(),
    };
    let message = format!(
        "image `{image}`{missing} cannot be pulled: {}; {hint}",
        why.trim()
    );
    failed(OP, message)
}

/// As Docker wants them: a digest counts as a tag, and without any tag it would pull them all.
fn name_and_tag(image: &str) -> (&str, &str) {
    if let Some((name, digest)) = image.split_once('@') {
        // A tag beside a digest means nothing.
        return (untagged(name).0, digest);
    }
    let (name, tag) = untagged(image);
    (name, tag.unwrap_or("latest"))
}

/// The colon of a registry's port is not one of a tag.
fn untagged(image: &str) -> (&str, Option<&str>) {
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (image, None),
    }
}

/// How far each layer has come, from Docker's reports.
#[derive(Default)]
struct Progress {
    layers: HashMap<String, Layer>,
}

#[derive(Default)]
struct Layer {
    bytes: u64,
    total: u64,
    done: bool,
}

impl Progress {
    fn note(&mut self, report: CreateImageInfo) {
        let (Some(id), Some(status)) = (report.id, report.status) else {
            return;
        };
        if status.starts_with("Pulling from") {
            return;
        }
        let layer = self.layers.entry(id).or_default();
        layer.done |= matches!(status.as_str(), "Pull complete" | "Already exists");
        let detail = report.progress_detail.filter(|_| status == "Downloading");
        if let Some((current, total)) = detail.and_then(|d| Some((d.current?, d.total?))) {
            layer.bytes = u64::try_from(current).unwrap_or(0);
            layer.total = u64::try_from(total).unwrap_or(0);
        }
        if matches!(status.as_str(), "Download complete" | "Pull complete") {
            layer.bytes = layer.total;
        }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers = self.layers.values();
        let done = layers.clone().filter(|layer| layer.done).count();
        let bytes: u64 = layers.clone().map(|layer| layer.bytes).sum();
        let total: u64 = layers.map(|layer| layer.total).sum();
        write!(
            f,
            "{done} of {} layers, {} of {} so far",
            self.layers.len(),
            ByteSize(bytes),
            ByteSize(total)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn an_image_is_asked_for_by_name_and_tag() {
        for (image, name, tag) in [
            ("acts", "acts", "latest"),
            ("acts:1.2", "acts", "1.2"),
            ("box:5000/acts", "box:5000/acts", "latest"),
            ("box:5000/team/acts:1", "box:5000/team/acts", "1"),
            ("acts@sha256:ab", "acts", "sha256:ab"),
            ("box:5000/acts:1@sha256:ab", "box:5000/acts", "sha256:ab"),
        ] {
            assert_eq!(name_and_tag(image), (name, tag), "{image}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_want_the_same_image_at_the_same_time_share_its_pull() {
        let (pulls, begun) = (Pulls::default(), Arc::new(AtomicUsize::new(0)));
        let pull = |image: &str| {
            let begun = Arc::clone(&begun);
            pulls.find_or_begin(image, || {
                begun.fetch_add(1, Ordering::Relaxed);
                async {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                    Err(failed(OP, "no such image".to_owned()))
                }
                .boxed()
            })
        };
        let ended = futures_util::future::join_all(["a", "a", "b", "a"].map(pull)).await;
        assert!(ended.iter().all(Result::is_err));
        assert_eq!(begun.load(Ordering::Relaxed), 2);
        // One that has ended says nothing of the next.
        drop(pull("a"));
        assert_eq!(begun.load(Ordering::Relaxed), 3);
        // One that nobody waits for has ended.
        drop(pull("a"));
        assert_eq!(begun.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn progress_counts_layers_and_bytes() {
        let mut progress = Progress::default();
        for report in [
            r#"{"status":"Pulling from library/acts","id":"latest"}"#,
            r#"{"status":"Already exists","progressDetail":{},"id":"a"}"#,
            r#"{"status":"Pulling fs layer","progressDetail":{},"id":"b"}"#,
            r#"{"status":"Downloading","progressDetail":{"current":512,"total":2048},"id":"b"}"#,
            r#"{"status":"Downloading","progressDetail":{"current":1024,"total":1024},"id":"c"}"#,
            r#"{"status":"Extracting","progressDetail":{"current":1,"total":1024},"id":"c"}"#,
            r#"{"status":"Digest: sha256:ab"}"#,
        ] {
            progress.note(serde_json::from_str(report).unwrap());
        }
        let text = progress.to_string();
        assert_eq!(text, "1 of 3 layers, 1.5 KiB of 3.0 KiB so far");
    }
}
