//! Names that clients ask for: only those that `ask` allows, within limits.

use super::keeper::{Kept, wanted};
use crate::support::pebble::{Behaviour, Pebble};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::Mutex;
use tidegate::certs::CertName;
use tidegate::certs::settings::{ChallengeKind, OnDemandSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A program that allows names which begin with `good`, and notes what it was asked.
struct Ask {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Ask {
    async fn start() -> Ask {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = vec![0; 4096];
                let count = stream.read(&mut head).await.unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..count]).into_owned();
                let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let status = match target.contains("domain=good") {
                    true => "200 OK",
                    false => "403 Forbidden",
                };
                noted.lock().unwrap().push(target);
                let answer =
                    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Ask { address, asked }
    }

    fn count(&self, name: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        let about = format!("domain={name}&");
        asked
            .iter()
            .filter(|target| target.contains(&about))
            .count()
    }
}

#[tokio::test]
async fn a_name_that_is_allowed_comes_while_its_client_waits_and_others_are_asked_for_once() {
    let pebble = Pebble::start(Behaviour::default()).await;
    let ask = Ask::start().await;
    let mut wanted = wanted(&pebble, &[], &[ChallengeKind::Http01]);
    wanted.has_catch_all = true;
    Arc::make_mut(&mut wanted.settings).on_demand = Some(OnDemandSettings {
        ask: format!("http://{}/allowed", ask.address),
    });
    let kept = Kept::serving(wanted.clone(), &pebble).await;
    let client: IpAddr = "192.0.2.7".parse().unwrap();
    let arrival = async |kept: &Kept, name: &str| {
        let name: CertName = name.parse().unwrap();
        kept.awaited.arrival(&name, client, &kept.table).await
    };
    // Several clients at once are one question and one order.
    tokio::join!(
        arrival(&kept, "good.example.com"),
        arrival(&kept, "good.example.com")
    );
    // A loaded machine may need longer than a hello waits.
    kept.has("good.example.com").await;
    assert!(arrival(&kept, "good.example.com").await);
    assert_eq!(pebble.orders(), 1, "{}", pebble.log());
    assert!(kept.report("good.example.com").unwrap().is_on_demand);
    for _ in 0..3 {
        assert!(!arrival(&kept, "bad.example.com").await);
    }
    assert_eq!(ask.count("bad.example.com"), 1);
    assert!(!arrival(&kept, "203.0.113.5").await);
    assert_eq!(pebble.orders(), 1);
    assert!(
        ask.asked
            .lock()
            .unwrap()
            .iter()
            .any(|target| target.contains("client=192.0.2.7"))
    );

    // After a restart the certificate is there again, even before this process orders, and nobody is
    // asked.
    let asked = ask.count("good.example.com");
    let again = Kept::waiting(kept.crash(), wanted);
    assert!(arrival(&again, "good.example.com").await);
    assert_eq!(ask.count("good.example.com"), asked);
    assert_eq!(pebble.orders(), 1);
}
