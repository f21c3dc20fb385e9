//! A deploy by hand.

use serde::{Deserialize, Serialize};

/// An image that was deployed by hand, in place of the one of the file.
///
/// Kept in a label of its replicas, so that a restart and an upgrade can tell an edit of the image
/// from other edits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManualDeploy {
    /// The image of the file at that time. The deployed one stays until the file names another.
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
