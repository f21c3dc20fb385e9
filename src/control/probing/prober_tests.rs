use super::*;
use async_trait::async_trait;
use std::sync::atomic::{AtomicU32, Ordering};

/// Nobody listens at its first check; from then on all addresses answer but those that are
/// not reached.
struct ComesUp {
    checks: AtomicU32,
    unreached: Option<SocketAddr>,
}

#[async_trait]
impl Probe for ComesUp {
    async fn check(&self, address: SocketAddr) -> Result<(), String> {
        if self.unreached == Some(address) {
            std::future::pending::<()>().await;
        }
        match self.checks.fetch_add(1, Ordering::Relaxed) {
            0 if self.unreached.is_none() => Err("connection refused".to_owned()),
            _ => Ok(()),
        }
    }
}

fn target(addresses: &[SocketAddr]) -> ProbeTarget {
    ProbeTarget {
        service: ServiceName::new("web"),
        id: ReplicaId::new("a"),
        addresses: addresses.to_vec(),
        doubt: Arc::default(),
    }
}

fn timing(start_period: Duration) -> HealthTiming {
    let second = Duration::from_secs(1);
    HealthTiming {
        interval: second,
        timeout: second,
        retries: 1,
        start_period,
    }
}

async fn dialled(unreached: Option<SocketAddr>, addresses: [SocketAddr; 2]) -> SocketAddr {
    let (report, mut reports) = mpsc::channel(8);
    let target = target(&addresses);
    let probe = ComesUp {
        checks: AtomicU32::new(0),
        unreached,
    };
    let timing = timing(Duration::from_secs(30));
    let sink: Sink = Arc::new(|_| {});
    let _prober = spawn(target, None, Arc::new(probe), timing, report, sink);
    match reports.recv().await {
        Some(LoopInput::Probed {
            verdict: Verdict::Healthy { address },
            ..
        }) => address,
        _ => panic!("it is healthy"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_containers_own_address_is_dialled_though_the_published_port_answered_first() {
    let own = SocketAddr::from(([172, 17, 0, 2], 80));
    let published = SocketAddr::from(([127, 0, 0, 1], 8000));
    assert_eq!(dialled(None, [own, published]).await, own);
    assert_eq!(dialled(Some(own), [own, published]).await, published);
}

/// Refuses for three seconds, and then does not know what it is asked.
struct Begins(Instant);

#[async_trait]
impl Probe for Begins {
    async fn check(&self, _address: SocketAddr) -> Result<(), String> {
        Err(match self.0.elapsed() < Duration::from_secs(3) {
            true => "connection refused".to_owned(),
            false => "answered 404".to_owned(),
        })
    }
}

#[tokio::test(start_paused = true)]
async fn why_it_is_not_healthy_yet_is_said_when_that_changes_and_when_it_takes_long() {
    let (report, mut reports) = mpsc::channel(8);
    let own = SocketAddr::from(([172, 17, 0, 2], 80));
    let published = SocketAddr::from(([127, 0, 0, 1], 8000));
    let second = Duration::from_secs(1);
    let sink: Sink = Arc::new(|_| {});
    let probe = Arc::new(Begins(Instant::now()));
    let _prober = spawn(
        target(&[own, published]),
        None,
        probe,
        timing(6 * second),
        report,
        sink,
    );
    let mut said = Vec::new();
    while !matches!(said.last(), Some(Verdict::NeverHealthy { .. })) {
        match reports.recv().await {
            Some(LoopInput::Probed { verdict, .. }) => said.push(verdict),
            _ => panic!("only verdicts are reported"),
        }
    }
    let both = |why: &str| format!("172.17.0.2:80 and 127.0.0.1:8000 {why}");
    let yet = |seconds, why| Verdict::NotYet {
        after: seconds * second,
        why: both(why),
        is_slow: seconds == 5,
    };
    let never = Verdict::NeverHealthy {
        after: 6 * second,
        why: both("answered 404"),
    };
    let refused = yet(1, "connection refused");
    let asked = [yet(3, "answered 404"), yet(5, "answered 404")];
    assert_eq!(said, [&[refused], &asked[..], &[never]].concat());
}

/// Was healthy once, and never answers again.
struct Hangs;

#[async_trait]
impl Probe for Hangs {
    async fn check(&self, _address: SocketAddr) -> Result<(), String> {
        std::future::pending().await
    }
}

/// How long it takes to find out, while requests are answered or not.
async fn found_out_after(requests_are_answered: bool) -> Duration {
    let timing = timing(Duration::from_secs(30));
    let address = SocketAddr::from(([127, 0, 0, 1], 8000));
    let target = target(&[address]);
    let doubt = Arc::clone(&target.doubt);
    let (report, mut reports) = mpsc::channel(8);
    let began = Instant::now();
    let sink: Sink = Arc::new(|_| {});
    let _prober = spawn(target, Some(address), Arc::new(Hangs), timing, report, sink);
    let answering = async {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if requests_are_answered {
                doubt.answered();
            }
        }
    };
    tokio::select! {
        () = answering => unreachable!(),
        _ = reports.recv() => began.elapsed(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_without_an_answer_is_made_again_while_requests_get_theirs() {
    let (dead, alive) = (found_out_after(false).await, found_out_after(true).await);
    assert_eq!(dead.as_millis(), 1000);
    assert_eq!(alive.as_millis(), 1000 + 3 * 1100, "but not for ever");
}
