//! Progress of a pull, from Docker's reports.

use bollard::models::CreateImageInfo;
use bytesize::ByteSize;
use std::collections::HashMap;
use std::fmt;

/// Layers of the image, and how much of each is there.
#[derive(Default)]
pub struct PullProgress {
    layers: HashMap<String, Layer>,
}

#[derive(Default)]
struct Layer {
    bytes: u64,
    total: u64,
    done: bool,
}

impl PullProgress {
    pub fn note(&mut self, report: CreateImageInfo) {
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

impl fmt::Display for PullProgress {
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

    #[test]
    fn progress_counts_layers_and_bytes() {
        let mut progress = PullProgress::default();
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
