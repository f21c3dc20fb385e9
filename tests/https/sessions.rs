//! Sessions that are resumed, also by the next process.

use super::Site;
use crate::support::tls::{Client, is_resumed};

#[tokio::test]
async fn a_client_resumes_its_session_in_both_versions() {
    let site = Site::start(&["a.test", "b.test"], "", "").await;
    let old = Client::with_tls12(site.https, &site.authority);
    for (client, version) in [(site.client(), "1.3"), (old, "1.2")] {
        assert!(!is_resumed(&client, "a.test").await);
        assert!(is_resumed(&client, "a.test").await);
        assert!(!is_resumed(&client, "b.test").await, "of another host");
        site.counts("resumed", version, 1).await;
    }
}

#[tokio::test]
async fn a_session_outlives_an_upgrade_and_not_a_restart() {
    let mut site = Site::start(&["a.test"], "", "").await;
    let client = site.client();
    assert!(!is_resumed(&client, "a.test").await);
    let next = site.edge.upgraded().await;
    site.edge
        .says("took over: finishing requests in flight")
        .await;
    assert!(is_resumed(&client, "a.test").await, "{}", next.log());
    site.edge = next;
    site.edge.stop_now();
    site.edge.spawn(&[]);
    site.edge.listening().await;
    site.edge.ready().await;
    assert!(!is_resumed(&client, "a.test").await);
}

#[tokio::test]
async fn a_socket_that_a_supervisor_passes_speaks_tls() {
    let mut site = Site::prepare(&["a.test"]).await;
    site.edge = site.edge.holding(site.https);
    site.edge.write(&site.yaml(&["a.test"], "", ""));
    // Clients that connect before the process is there wait in the kernel.
    let client = site.client();
    let early = tokio::spawn(async move { client.connect("a.test").await.is_ok() });
    site.edge = site.edge.spawned().await;
    assert!(early.await.unwrap());
    site.edge.ready().await;
    assert_eq!(site.client().get("a.test", "/x").await.status, 200);
}
