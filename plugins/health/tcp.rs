use super::backend::LAST_RESORT;
use crate::plugin::prelude::*;
use std::io::{Error, ErrorKind};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Docker's proxy accepts for a container without a listener, and closes the connection after its
/// own attempt failed.
const WATCHED: Duration = Duration::from_millis(50);

/// A replica is healthy when it accepts a connection and, on loopback, does not close it within
/// 50 ms: Docker publishes ports there, and accepts by itself.
///
/// This check proves less than `http`: the kernel accepts connections for a program that hangs.
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

pub(super) struct TcpProbe;

#[async_trait]
impl Probe for TcpProbe {
    async fn check(&self, address: SocketAddr) -> Result<(), String> {
        let connected = timeout(LAST_RESORT, TcpStream::connect(address)).await;
        let mut stream = match connected {
            Ok(connected) => connected.map_err(|error| in_words(&error))?,
            Err(_) => return Err("no connection in time".into()),
        };
        if !address.ip().is_loopback() {
            return Ok(());
        }
        match timeout(WATCHED, stream.read(&mut [0])).await {
            Ok(Ok(0)) => Err("accepted a connection and closed it at once".into()),
            Ok(Err(error)) => Err(in_words(&error)),
            // The program waits for the client, or speaks first.
            Err(_) | Ok(Ok(_)) => Ok(()),
        }
    }
}

fn in_words(error: &Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".into(),
        ErrorKind::ConnectionReset => "accepted a connection and reset it at once".into(),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            "no route to the replica".into()
        }
        _ => error.to_string(),
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

    #[tokio::test]
    async fn a_port_that_docker_accepts_for_nobody_is_not_healthy() {
        let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = proxy.local_addr().unwrap();
        let closes = async {
            let (accepted, _) = proxy.accept().await.unwrap();
            drop(accepted);
            std::future::pending::<()>().await
        };
        tokio::select! {
            checked = check(address) => {
                assert_eq!(checked, Err("accepted a connection and closed it at once".into()));
            }
            () = closes => unreachable!(),
        }
    }
}
