//! A registry of images, for one image.

use axum::extract::Path;
use axum::routing::get;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A registry with one image, which has no files but a command.
pub struct Registry {
    pub image: String,
    /// How often the image's one layer was fetched.
    pub asked: Arc<AtomicUsize>,
}

impl Registry {
    pub async fn serve() -> Registry {
        // An empty tar, of a length that no other layer on this machine has.
        let layer = vec![0; 10_240 + 512 * (std::process::id() as usize % 1_000)];
        let digest = |blob: &[u8]| {
            let hex = Sha256::digest(blob);
            let hex: String = hex.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("sha256:{hex}")
        };
        let config = serde_json::json!({
            "architecture": "amd64",
            "os": "linux",
            "config": { "Cmd": ["/server"] },
            "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] },
        });
        let config = config.to_string().into_bytes();
        let part = |kind: &str, blob: &[u8]| {
            let kind = format!("application/vnd.docker.{kind}");
            serde_json::json!({ "mediaType": kind, "size": blob.len(), "digest": digest(blob) })
        };
        const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": part("container.image.v1+json", &config),
            "layers": [part("image.rootfs.diff.tar.gzip", &layer)],
        });
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let layer_digest = digest(&layer);
        let blobs = HashMap::from([(digest(&config), config), (digest(&layer), layer)]);
        let router = axum::Router::new()
            .route("/v2/", get(async || ""))
            .route(
                "/v2/none/manifests/{tag}",
                get(async move || ([("content-type", MANIFEST)], manifest.to_string())),
            )
            .route(
                "/v2/none/blobs/{digest}",
                get(async move |Path(digest): Path<String>| {
                    count.fetch_add(usize::from(digest == layer_digest), Ordering::Relaxed);
                    blobs[&digest].clone()
                }),
            );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let image = format!("{}/none:1", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, router).await });
        Registry { image, asked }
    }
}
