//! Opening a connection to a replica.
//!
//! Pingora asks for one only when it has none that can be used again, so this is the place where
//! connections take turns, and where those on their way to a replica that is lost are given up.

use super::secured::for_pingora;
use crate::proxy::request::failure;
use crate::service::replica::Replica;
use crate::service::replica::dials::DialTurn;
use crate::service::replica::stream::ReplicaStream;
use crate::service::spec::{Forward, UpstreamTls, tls_failure};
use async_trait::async_trait;
use futures_util::poll;
use pingora::connectors::l4::Connect;
use pingora::http::ResponseHeader;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::{Error, ErrorType, Result};
use std::io::ErrorKind;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

/// A program that is well has taken a connection up by then. Whether it has is only known when it
/// answers, which may take long for other reasons.
const TAKEN_UP_WITHIN: Duration = Duration::from_millis(10);

/// The kernel's buffer for an answer until it is read, which the kernel doubles. Left alone this
/// grows to several MiB (`net.ipv4.tcp_rmem`) for each client that does not read.
const UNREAD_BYTES_MAX: u32 = 128 << 10;

/// How long a request waits in line for its turn to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Another replica would do: the wait counts against the time to connect, and is over as soon
    /// as this one is doubted.
    Little,
    /// There is no other one, so the request keeps its place in line, as it would wait for a
    /// replica that is on its way.
    Until(Duration),
}

impl Patience {
    /// The longest wait, where a connection may take `within` that time.
    pub fn longest(self, within: Duration) -> Duration {
        match self {
            Patience::Little => within,
            Patience::Until(longest) => longest,
        }
    }
}

/// One attempt's connection, should a new one be needed.
#[derive(Debug)]
pub struct Dial {
    replica: Arc<Replica>,
    within: Duration,
    tls: Option<UpstreamTls>,
    patience: Patience,
    began: Instant,
    has_waited: AtomicBool,
    left_the_line: AtomicBool,
    /// Descriptor of the connection, once there is one.
    descriptor: AtomicI32,
    /// Ends the turn when it is dropped.
    turn: Mutex<Option<oneshot::Sender<()>>>,
}

#[async_trait]
impl Connect for Dial {
    async fn connect(&self, _address: &SocketAddr) -> Result<Stream> {
        Ok(for_pingora(self.stream().await?))
    }
}

impl Dial {
    pub fn new(replica: &Arc<Replica>, forward: &Forward, patience: Patience) -> Dial {
        Dial {
            replica: Arc::clone(replica),
            within: forward.connect_timeout,
            tls: forward.upstream.tls.clone(),
            patience,
            began: Instant::now(),
            has_waited: AtomicBool::new(false),
            left_the_line: AtomicBool::new(false),
            descriptor: AtomicI32::new(-1),
            turn: Mutex::default(),
        }
    }

    pub async fn stream(&self) -> Result<ReplicaStream> {
        let turn = self.turn().await?;
        self.connect_in(turn).await
    }

    /// Waits in line. Nothing was sent to the replica by then, not even a packet.
    pub async fn turn(&self) -> Result<DialTurn> {
        let mut turn = pin!(self.replica.connections.dials.turn());
        if let Poll::Ready(turn) = poll!(&mut turn) {
            return Ok(turn);
        }
        self.has_waited.store(true, Ordering::Relaxed);
        tokio::select! {
            biased;
            () = self.replica.connections.lost() => Err(failure::lost()),
            turn = turn => Ok(turn),
            () = self.runs_out_of_patience() => {
                self.left_the_line.store(true, Ordering::Relaxed);
                let what = "waiting for a turn to connect to a replica";
                Err(Error::explain(ErrorType::ConnectTimedout, what))
            }
        }
    }

    pub async fn connect_in(&self, turn: DialTurn) -> Result<ReplicaStream> {
        tokio::select! {
            biased;
            () = self.replica.connections.lost() => Err(failure::lost()),
            dialled = self.dial_secured(turn) => dialled,
        }
    }

    /// Whether its turn did not come at once.
    pub fn has_waited(&self) -> bool {
        self.has_waited.load(Ordering::Relaxed)
    }

    /// Whether no turn came while another replica could be asked.
    pub fn left_the_line(&self) -> bool {
        self.left_the_line.load(Ordering::Relaxed)
    }

    /// Descriptor of the connection, which Pingora does not know when there is TLS above it.
    pub fn descriptor(&self) -> RawFd {
        self.descriptor.load(Ordering::Relaxed)
    }

    /// How long ago it began.
    pub fn took(&self) -> Duration {
        self.began.elapsed()
    }

    async fn runs_out_of_patience(&self) {
        match self.patience {
            Patience::Until(longest) => sleep(longest).await,
            Patience::Little => {
                let _ = timeout(self.within, self.replica.doubt.spread()).await;
            }
        }
    }

    async fn dial_secured(&self, turn: DialTurn) -> Result<ReplicaStream> {
        let stream = self.dial(turn).await?;
        let Some(tls) = &self.tls else {
            return Ok(ReplicaStream::Clear(stream));
        };
        let shaken = timeout(self.within, tls.connect(stream, self.replica.address.ip()));
        match shaken.await {
            Ok(Ok(stream)) => {
                self.is_answered();
                Ok(ReplicaStream::Secured(Box::new(stream)))
            }
            Ok(Err(error)) => Err(unsecured(error)),
            Err(_) => {
                let what = "no TLS handshake within connect_timeout";
                Err(Error::explain(ErrorType::TLSHandshakeTimedout, what))
            }
        }
    }

    async fn dial(&self, turn: DialTurn) -> Result<TcpStream> {
        let dials = &self.replica.connections.dials;
        let within = match self.patience {
            // As long as a connection takes that is made at all.
            Patience::Little => self.within.saturating_sub(self.took()).max(self.within / 2),
            Patience::Until(_) => self.within,
        };
        let replica = &self.replica;
        log::debug!(
            "{}: a new connection to {}, at {}",
            replica.service,
            replica.id.on(replica.slot),
            replica.address
        );
        let dialled = timeout(within, connect(self.replica.address)).await;
        let error = match dialled {
            Ok(Ok(stream)) => {
                dials.succeeded();
                self.descriptor.store(stream.as_raw_fd(), Ordering::Relaxed);
                self.keep(turn);
                return Ok(stream);
            }
            Ok(Err(error)) => error,
            Err(_) => std::io::Error::from(ErrorKind::TimedOut),
        };
        let kind = match error.kind() {
            ErrorKind::ConnectionRefused => ErrorType::ConnectRefused,
            ErrorKind::TimedOut => {
                dials.came_to_nothing(turn);
                ErrorType::ConnectTimedout
            }
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => ErrorType::ConnectNoRoute,
            _ => ErrorType::ConnectError,
        };
        Err(Error::because(kind, "connecting to a replica", error))
    }

    /// The replica has said something, so it has taken the connection up.
    pub fn is_answered(&self) {
        drop(self.kept().take());
    }

    fn keep(&self, turn: DialTurn) {
        let (sender, answered) = oneshot::channel();
        *self.kept() = Some(sender);
        tokio::spawn(async move {
            let _ = timeout(TAKEN_UP_WITHIN, answered).await;
            drop(turn);
        });
    }

    fn kept(&self) -> impl std::ops::DerefMut<Target = Option<oneshot::Sender<()>>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a replica keeps a silent connection, as its answer says.
pub fn keep_alive(answer: &ResponseHeader) -> Option<Duration> {
    let values = answer.headers.get_all("keep-alive").iter();
    let parts = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let mut seconds = parts.filter_map(|part| {
        let (name, value) = std::str::from_utf8(part).ok()?.split_once('=')?;
        let is_timeout = name.trim().eq_ignore_ascii_case("timeout");
        is_timeout.then(|| value.trim().parse::<u32>().ok())?
    });
    Some(Duration::from_secs(seconds.next()?.into()))
}

fn unsecured(error: std::io::Error) -> Box<Error> {
    let what = tls_failure(&error).unwrap_or_else(|| "shaking hands for TLS".to_owned());
    let kind = match error.kind() {
        ErrorKind::InvalidData => ErrorType::TLSHandshakeFailure,
        // The replica went away under the handshake.
        _ => ErrorType::ConnectError,
    };
    Error::because(kind, what, error)
}

async fn connect(address: std::net::SocketAddr) -> std::io::Result<TcpStream> {
    let socket = match address.is_ipv4() {
        true => TcpSocket::new_v4()?,
        false => TcpSocket::new_v6()?,
    };
    socket.set_recv_buffer_size(UNREAD_BYTES_MAX)?;
    socket.set_nodelay(true)?;
    socket.connect(address).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::replica::ReplicaId;
    use crate::service::replica::dials::DIALS_MAX;
    use crate::service::spec::ServiceName;
    use crate::service::store::store;
    use futures_util::future::join_all;
    use socket2::SockRef;
    use tokio::net::TcpListener;

    const WITHIN: Duration = Duration::from_secs(1);

    fn forward() -> Forward {
        Forward {
            connect_timeout: WITHIN,
            ..Forward::default()
        }
    }

    const LONGEST: Duration = Duration::from_secs(10);

    /// A replica all of whose turns are taken.
    async fn busy() -> (Arc<Replica>, Vec<DialTurn>) {
        let (writer, _reader) = store();
        let address = ([127, 0, 0, 1], 80).into();
        let name = ServiceName::new("web");
        let id = ReplicaId::new("a");
        let replica = writer.new_replica(name, id, 8000, 1, address, Arc::default());
        let turns = (0..DIALS_MAX).map(|_| replica.connections.dials.turn());
        let turns = join_all(turns).await;
        (Arc::new(replica), turns)
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_leaves_the_line_of_a_doubted_replica() {
        let (replica, _turns) = busy().await;
        let dial = Dial::new(&replica, &forward(), Patience::Little);
        let mut waits = pin!(dial.turn());
        assert!(poll!(&mut waits).is_pending());
        replica.doubt.raise();
        let error = waits.await.unwrap_err();
        assert_eq!(*error.etype(), ErrorType::ConnectTimedout);
        assert!(dial.left_the_line());
        assert_eq!(dial.took(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_for_a_turn_counts_against_the_time_to_connect() {
        let (replica, _turns) = busy().await;
        let dial = Dial::new(&replica, &forward(), Patience::Little);
        assert!(dial.turn().await.is_err() && dial.left_the_line());
        assert!(dial.took() < WITHIN * 2, "{:?}", dial.took());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_without_another_replica_keeps_its_place_in_line() {
        let (replica, mut turns) = busy().await;
        let dial = Dial::new(&replica, &forward(), Patience::Until(LONGEST));
        let mut waits = pin!(dial.turn());
        replica.doubt.raise();
        let early = timeout(LONGEST / 2, &mut waits).await;
        assert!(early.is_err(), "it waits");
        turns.pop();
        let _turn = waits.await.expect("its turn");
        let dial = Dial::new(&replica, &forward(), Patience::Until(LONGEST));
        assert!(dial.turn().await.is_err(), "but not for ever");
    }

    #[test]
    fn an_answer_may_say_how_long_its_connection_is_kept() {
        for (value, expected) in [
            ("timeout=5", Some(5)),
            ("max=100, Timeout = 15", Some(15)),
            ("timeout=5, max=1000", Some(5)),
            ("max=100", None),
            ("timeout=soon", None),
            ("timeout=-1", None),
        ] {
            let mut answer = ResponseHeader::build(200, None).unwrap();
            assert_eq!(keep_alive(&answer), None);
            answer.insert_header("Keep-Alive", value).unwrap();
            let seconds = keep_alive(&answer).map(|time| time.as_secs());
            assert_eq!(seconds, expected, "{value}");
        }
    }

    /// A size that is set is kept; what is left alone grows while an answer is read.
    #[tokio::test]
    async fn what_a_replica_sends_ahead_has_a_bound() {
        let replica = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = connect(replica.local_addr().unwrap()).await.unwrap();
        let bytes = SockRef::from(&stream).recv_buffer_size().unwrap();
        // Linux doubles what it is told (socket(7)).
        assert_eq!(bytes, 2 * UNREAD_BYTES_MAX as usize);
    }
}
