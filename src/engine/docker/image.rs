//! Images: a local one is used as it is, others are pulled.

use super::daemon::Daemon;
use super::error::{CallFailure, failed};
use super::labels::{self, Labels};
use crate::engine::EngineError;
use crate::service::spec::{ImageId, Pull, Spec, Template};
use futures_util::FutureExt;
use std::sync::Arc;

const OP: &str = "find the image";

impl Daemon {
    /// Id of the content that a name stands for, in its registry or on this machine.
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

    /// Image for a new container: the name, which people read, while it stands for the deployed
    /// content; else the id of the content.
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

    /// Joins the pull of an image, or begins one; all callers share its result.
    async fn pull_shared(self: &Arc<Self>, image: &str) -> Result<(), EngineError> {
        let pull = self.pulls.find_or_begin(image, || {
            let (daemon, image) = (Arc::clone(self), image.to_owned());
            async move {
                let client = daemon.client(OP).await?;
                let is_here = daemon.find_image(&client, &image).await?.is_some();
                daemon.pull(&client, &image, is_here).await
            }
            .boxed()
        });
        pull.await
    }

    async fn find_image(
        &self,
        client: &bollard::Docker,
        image: &str,
    ) -> Result<Option<Local>, CallFailure> {
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

/// Refuses an image with our labels, whose other containers would look like replicas.
fn without_our_labels(image: &str, found: &Local) -> Result<(), EngineError> {
    let refused = labels::without_our_labels(image, found.labels.as_ref());
    refused.map_err(|message| failed(OP, message))
}
