//! Our labels on images, each image looked at once.

use super::daemon::Daemon;
use super::error::CallFailure;
use super::labels::{Labels, only_ours};
use std::sync::Arc;

impl Daemon {
    /// Our labels on an image; `None`: the image cannot be inspected.
    pub(super) async fn labels_of_image(
        &self,
        client: &bollard::Docker,
        image: &str,
    ) -> Result<Option<Arc<Labels>>, CallFailure> {
        const OP: &str = "look at the image";
        if let Some(known) = self.images.get(image) {
            return Ok(Some(known));
        }
        let inspected = match self.inspect_image(client, OP, image).await {
            Err(failure) if failure.unreachable() => return Err(failure),
            Err(failure) => {
                log::debug!("image {image}: {}", failure.message());
                return Ok(None);
            }
            Ok(inspected) => inspected,
        };
        let labels = inspected.config.and_then(|config| config.labels);
        let mut labels = labels.unwrap_or_default();
        only_ours(&mut labels);
        let labels = Arc::new(labels);
        self.images.insert(image, Arc::clone(&labels));
        Ok(Some(labels))
    }
}
