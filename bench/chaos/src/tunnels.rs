//! WebSockets that are opened while something happens, and must all live through it.

use futures_util::{SinkExt, StreamExt};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, accept_async, connect_async};

pub const PATH: &str = "/ws";
pub const COUNT: usize = 400;
const ECHOES_WITHIN: Duration = Duration::from_secs(10);

/// A server that says back whatever it hears, on connections that it never closes.
pub struct Echo {
    pub address: SocketAddr,
    server: AbortHandle,
}

impl Echo {
    pub async fn start() -> Result<Echo, String> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.map_err(|why| format!("an echo server: {why}"))?;
        let address = listener.local_addr().map_err(|why| why.to_string())?;
        let server = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(echo(stream));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Echo {
            address,
            server: server.abort_handle(),
        })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn echo(stream: TcpStream) {
    // A health check that only connects is no handshake.
    let Ok(mut socket) = accept_async(stream).await else {
        return;
    };
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() && socket.send(message).await.is_err() {
            return;
        }
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

#[derive(Default)]
pub struct Tunnels {
    open: Vec<Socket>,
    pub upgraded: usize,
    pub why: Vec<String>,
}

impl Tunnels {
    /// Opens `COUNT` of them, spread evenly over `within`, each with an echo.
    pub async fn open(address: SocketAddr, within: Duration) -> Tunnels {
        let began = Instant::now();
        let mut opening = JoinSet::new();
        for number in 0..COUNT {
            sleep_until(began + within * number as u32 / COUNT as u32).await;
            opening.spawn(async move {
                let opened = timeout(
                    ECHOES_WITHIN,
                    connect_async(format!("ws://{address}{PATH}")),
                );
                let (mut socket, _) = opened
                    .await
                    .map_err(|_| "no 101 in time".to_owned())?
                    .map_err(|why| why.to_string())?;
                says_it_back(&mut socket).await?;
                Ok::<_, String>(socket)
            });
        }
        let mut tunnels = Tunnels::default();
        while let Some(opened) = opening.join_next().await {
            match opened.unwrap_or_else(|why| Err(why.to_string())) {
                Ok(socket) => tunnels.open.push(socket),
                Err(why) => tunnels.why.push(format!("not opened: {why}")),
            }
        }
        tunnels.upgraded = tunnels.open.len();
        tunnels
    }

    /// How many of them still echo.
    pub async fn alive(&mut self) -> usize {
        let mut asking = JoinSet::new();
        for mut socket in self.open.drain(..) {
            asking.spawn(async move {
                says_it_back(&mut socket).await?;
                Ok::<_, String>(socket)
            });
        }
        while let Some(answered) = asking.join_next().await {
            match answered.unwrap_or_else(|why| Err(why.to_string())) {
                Ok(socket) => self.open.push(socket),
                Err(why) => self.why.push(format!("died: {why}")),
            }
        }
        self.open.len()
    }
}

async fn says_it_back(socket: &mut Socket) -> Result<(), String> {
    let exchange = async {
        socket.send(Message::text("still here")).await?;
        socket.next().await.transpose()
    };
    match timeout(ECHOES_WITHIN, exchange).await {
        Ok(Ok(Some(message))) if message.to_text().is_ok_and(|text| text == "still here") => Ok(()),
        Ok(Ok(Some(message))) => Err(format!("answered with {message:?}")),
        Ok(Ok(None)) => Err("closed".to_owned()),
        Ok(Err(why)) => Err(why.to_string()),
        Err(_) => Err("no echo in time".to_owned()),
    }
}
