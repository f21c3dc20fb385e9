//! A pull from a registry.

use super::daemon::Daemon;
use super::error::{CallFailure, failed};
use super::progress::PullProgress;
use super::registry::Logins;
use crate::engine::EngineError;
use crate::service::time::Human;
use bollard::query_parameters::CreateImageOptions;
use futures_util::StreamExt;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Timeout of a pull without progress. Docker reports progress several times a second, and gives up
/// sooner on a registry that does not answer.
const PULL_STALL_TIMEOUT: Duration = Duration::from_secs(120);

/// Interval of progress in the log.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(3);

const OP: &str = "find the image";

impl Daemon {
    /// Pulls the image. `is_here`: an older one of the name is on this machine.
    pub(super) async fn pull(
        &self,
        client: &bollard::Docker,
        image: &str,
        is_here: bool,
    ) -> Result<(), EngineError> {
        log::info!("pulling {image}");
        let logins = Logins::load();
        let (name, tag) = name_and_tag(image);
        let options = CreateImageOptions {
            from_image: Some(name.to_owned()),
            tag: Some(tag.to_owned()),
            ..Default::default()
        };
        let mut reports = client.create_image(Some(options), None, logins.find(image));
        let mut progress = PullProgress::default();
        let begun = Instant::now();
        let mut said = begun;
        loop {
            match timeout(PULL_STALL_TIMEOUT, reports.next()).await {
                Ok(Some(Ok(report))) => progress.note(report),
                Ok(Some(Err(error))) => {
                    let failure = CallFailure::new(OP, &self.host, error);
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

/// Name and tag for Docker: a digest counts as a tag, and without one Docker would pull all tags.
fn name_and_tag(image: &str) -> (&str, &str) {
    if let Some((name, digest)) = image.split_once('@') {
        // A tag beside a digest means nothing.
        return (untagged(name).0, digest);
    }
    let (name, tag) = untagged(image);
    (name, tag.unwrap_or("latest"))
}

/// Splits the tag off, and not the port of a registry.
fn untagged(image: &str) -> (&str, Option<&str>) {
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (image, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
