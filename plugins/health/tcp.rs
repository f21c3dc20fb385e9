use super::{LAST_RESORT, backend, in_words};
use crate::plugin::prelude::*;
use pingora_load_balancing::health_check::{HealthCheck, TcpHealthCheck};
use std::sync::LazyLock;

/// A replica is healthy when it accepts a connection.
///
/// This says less than `http`: the kernel accepts connections for a program that hangs, and
/// Docker does for a published port whose container is gone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tcp {}

impl Plugin for Tcp {
    const NAME: &'static str = "tcp";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        hooks.probe(TcpProbe);
        Ok(())
    }
}

struct TcpProbe;

/// One for all services, which differ in nothing here: making it reads the platform's
/// certificates, which takes milliseconds and 200 KiB.
static CHECK: LazyLock<TcpHealthCheck> = LazyLock::new(|| {
    let mut check = TcpHealthCheck::default();
    check.peer_template.options.connection_timeout = Some(LAST_RESORT);
    check
});

#[async_trait]
impl Probe for TcpProbe {
    async fn check(&self, address: SocketAddr) -> Result<(), String> {
        let result = CHECK.check(&backend(address)).await;
        result.map_err(|error| in_words(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn check(address: SocketAddr) -> Result<(), String> {
        let probe = testing::install::<Tcp>("").unwrap().probe.unwrap();
        probe.check(address).await
    }

    #[tokio::test]
    async fn an_open_port_is_healthy_and_a_closed_one_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(check(address).await, Ok(()));
        drop(listener);
        assert_eq!(check(address).await, Err("connection refused".into()));
    }
}
