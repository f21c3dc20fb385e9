//! A client that speaks HTTP/2, with the preface and no question before it.

use super::client::Answer;
use bytes::Bytes;
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Time for an answer beside floods, on a machine that runs other tests as well.
const LATE: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_secs(15);

pub struct Client {
    pub sender: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

/// A request that was begun.
pub struct Begun {
    pub answer: ResponseFuture,
    pub body: SendStream<Bytes>,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Client {
        Client::connect_with(&Builder::new(), address).await
    }

    pub async fn connect_with(builder: &Builder, address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).await.expect("connected");
        stream.set_nodelay(true).expect("an open socket");
        Client::over(builder, stream).await
    }

    /// A client on a connection that is open already.
    pub async fn over<S>(builder: &Builder, stream: S) -> Client
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let shaken: Result<(_, Connection<_, Bytes>), _> = builder.handshake(stream).await;
        let (sender, connection) = shaken.expect("a handshake");
        Client {
            sender,
            connection: tokio::spawn(connection),
        }
    }

    /// Begins a request.
    pub async fn begin(&self, request: http::request::Builder, ends: bool) -> Begun {
        let request = request.body(()).expect("a request");
        let ready = timeout(SOON, self.sender.clone().ready()).await;
        let mut sender = ready.expect("in time").expect("room for a request");
        let (answer, body) = sender.send_request(request, ends).expect("it is taken");
        Begun { answer, body }
    }

    /// Sends a request, and returns its whole answer.
    pub async fn send(
        &self,
        request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> Result<Answer, h2::Error> {
        let body = body.into();
        let mut begun = self.begin(request, body.is_empty()).await;
        if !body.is_empty() {
            // The connection keeps it until there is room.
            begun.body.send_data(body, true)?;
        }
        begun.whole().await.map(|(answer, _)| answer)
    }

    pub async fn get(&self, path: &str) -> Result<Answer, h2::Error> {
        let uri = format!("http://web.example{path}");
        self.send(Request::get(uri), "").await
    }

    /// Waits for the end of the connection; the reason, where the server gave one.
    pub async fn ended(self) -> Option<Reason> {
        drop(self.sender);
        let ended = timeout(SOON, self.connection).await;
        let ended = ended.expect("it ends").expect("no panic");
        ended.err().and_then(|error| error.reason())
    }
}

impl Begun {
    pub async fn head(&mut self) -> Result<Response<RecvStream>, h2::Error> {
        timeout(LATE, &mut self.answer).await.expect("in time")
    }

    /// The whole answer, and its trailers.
    pub async fn whole(mut self) -> Result<(Answer, HeaderMap), h2::Error> {
        let (head, mut body) = self.head().await?.into_parts();
        let mut whole = Vec::new();
        while let Some(piece) = data(&mut body).await {
            whole.extend_from_slice(&piece?);
        }
        let trailers = body.trailers().await?.unwrap_or_default();
        let answer = Answer {
            status: head.status,
            headers: head.headers,
            body: whole.into(),
        };
        Ok((answer, trailers))
    }
}

/// The next piece of a body, for which there is room again at once.
pub async fn data(body: &mut RecvStream) -> Option<Result<Bytes, h2::Error>> {
    loop {
        let piece = timeout(SOON, body.data()).await.expect("in time")?;
        if let Ok(piece) = &piece {
            let _ = body.flow_control().release_capacity(piece.len());
        }
        // The end may come as a piece of nothing.
        if piece.as_ref().map_or(true, |piece| !piece.is_empty()) {
            return Some(piece);
        }
    }
}
