//! The control loop's share of a core when nothing changes, with five hundred containers.

use async_trait::async_trait;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate::control::{Control, Images, Managed};
use tidegate::engine::fake::FakeEngine;
use tidegate::engine::testing;
use tidegate::plugin::Probe;
use tidegate::service::spec::{Bounds, Source};
use tidegate::service::store::{Reader, store};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

const SERVICES: u16 = 50;
const EACH: u16 = 10;
const STARTS_WITHIN: Duration = Duration::from_secs(60);
const LASTS: Duration = Duration::from_secs(10);

/// Everything is well, at once: what real checks take is the checks' own.
struct Well;

#[async_trait]
impl Probe for Well {
    async fn check(&self, _address: SocketAddr) -> Result<(), String> {
        Ok(())
    }
}

fn managed(number: u16) -> Managed {
    let mut spec = testing::containers(&format!("web-{number}"));
    if let Source::Container(template) = &mut spec.source {
        template.image = "web:1".to_owned();
        template.first_port = 10_000 + number * EACH * 2;
    }
    spec.health.start_period = Duration::from_secs(30);
    spec.stop_grace_period = Duration::from_secs(10);
    spec.bounds = Bounds {
        min: EACH.into(),
        max: EACH.into(),
    };
    Managed {
        spec: Arc::new(spec),
        probe: Arc::new(Well),
        scaler: None,
    }
}

pub fn measure() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (ready, share) = runtime.block_on(settled_share());
    println!(
        "control loop, {ready} containers, nothing changes: {:.2} % of a core",
        share * 100.0
    );
}

async fn settled_share() -> (usize, f64) {
    let (writer, reader) = store();
    let engine = Arc::new(FakeEngine::new());
    let (control, handle) = Control::new(engine, writer, Arc::new(|_| {}), 1000);
    let (_over, shutdown) = watch::channel(false);
    let loop_ = tokio::spawn(control.run(shutdown));
    handle
        .reconfigure((0..SERVICES).map(managed).collect(), Images::Keep)
        .await;
    let all = usize::from(SERVICES * EACH);
    let up = async {
        while ready(&reader) < all {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(STARTS_WITHIN, up).await.expect("all are ready");
    sleep(Duration::from_secs(2)).await;
    let process = kit::process::Process::new(std::process::id());
    let before = process.cpu().expect("it is us");
    sleep(LASTS).await;
    let used = process.cpu().expect("it is us") - before;
    loop_.abort();
    (ready(&reader), used.as_secs_f64() / LASTS.as_secs_f64())
}

fn ready(reader: &Reader) -> usize {
    let snapshot = reader.load();
    snapshot
        .services
        .values()
        .map(|view| view.ready.len())
        .sum()
}
