//! Images.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Identity of an image at the engine, as in `sha256:…`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImageId(pub String);

impl fmt::Display for ImageId {
    /// Twelve characters, as `docker images` shows them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = self.0.strip_prefix("sha256:").unwrap_or(&self.0);
        f.write_str(digest.get(..12).unwrap_or(digest))
    }
}

/// When a deploy asks the registry for an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    /// At every deploy.
    Always,
    /// When the image is not on this machine.
    Missing,
}
