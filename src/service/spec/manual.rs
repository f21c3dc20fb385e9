//! An image that was deployed by hand, in place of the file's.

use serde::{Deserialize, Serialize};

/// Kept in a label of every replica that is made from the image, so that a restart and an upgrade
/// can tell an edit of the image from an edit of anything else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManualDeploy {
    /// The file's image at that time. The deployed image stays until the file names another one.
    pub file_image: String,
    /// Seconds since 1970, UTC.
    pub at: u64,
}

impl ManualDeploy {
    pub fn from_label(label: &str) -> Option<ManualDeploy> {
        serde_json::from_str(label).ok()
    }

    pub fn to_label(&self) -> String {
        serde_json::to_string(self).expect("a deploy is plain data")
    }
}
