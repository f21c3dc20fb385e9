//! Connections to the admin API, limited in number and in time.

use super::problem::problem;
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::VecDeque;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::{Sleep, sleep};

/// Timeout of a whole head, counted from the end of the request before it.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Timeout of a client that reads nothing of an answer.
const TAKES_WITHIN: Duration = Duration::from_secs(30);
/// Time after the end for requests of new connections; hyper alone would close a connection without a
/// request, although its first one is on the way.
const FIRST_WORD_WITHIN: Duration = Duration::from_millis(200);
/// Limit of ordinary connections: dashboards, scrapers and operators.
const CONNECTIONS_MAX: usize = 256;
/// Connections in reserve, on which only health is answered, once. A new one replaces the oldest, so
/// that idle ones keep no probe out.
const RESERVE_MAX: usize = 32;
/// Paths that the reserve answers.
const HEALTH: [&str; 2] = ["/healthz", "/readyz"];

/// Serves `listener` with the `router` for each client's address, until `over`. Requests that have
/// begun, or are on their way, are answered.
pub async fn serve<L: Listener>(
    mut listener: L,
    router: impl Fn(L::Addr) -> Router,
    over: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut reserve = Reserve::default();
    let (leave, leaving) = watch::channel(());
    let mut over = pin!(over);
    loop {
        let (stream, address) = tokio::select! {
            () = &mut over => break,
            accepted = listener.accept() => accepted,
        };
        let place = Arc::clone(&places).try_acquire_owned().ok();
        let (router, displaced) = match place {
            Some(_) => (router(address), None),
            None => (
                router(address).layer(middleware::from_fn(only_health)),
                Some(reserve.take()),
            ),
        };
        let mut leaving = leaving.clone();
        tokio::spawn(async move {
            let mut served = pin!(
                http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_WITHIN)
                    .keep_alive(displaced.is_none())
                    .serve_connection(
                        TokioIo::new(Impatient::new(stream)),
                        TowerToHyperService::new(router)
                    )
            );
            let served = tokio::select! {
                served = &mut served => served,
                () = is_displaced(displaced) => return,
                () = async {
                    // Its other end is gone.
                    let _ = leaving.changed().await;
                    sleep(FIRST_WORD_WITHIN).await;
                } => {
                    served.as_mut().graceful_shutdown();
                    served.await
                }
            };
            if let Err(error) = served {
                log::debug!("a connection to the admin API ended: {error}");
            }
            drop(place);
        });
    }
    drop(leave);
}

/// The connections beyond the ordinary ones, oldest first.
#[derive(Default)]
struct Reserve(VecDeque<oneshot::Sender<()>>);

impl Reserve {
    /// Resolves when a later connection takes its place.
    fn take(&mut self) -> oneshot::Receiver<()> {
        self.0.retain(|place| !place.is_closed());
        if self.0.len() >= RESERVE_MAX {
            self.0.pop_front();
        }
        let (place, displaced) = oneshot::channel();
        self.0.push_back(place);
        displaced
    }
}

async fn is_displaced(place: Option<oneshot::Receiver<()>>) {
    match place {
        Some(displaced) => drop(displaced.await),
        None => std::future::pending().await,
    }
}

async fn only_health(request: Request, next: Next) -> Response {
    match HEALTH.contains(&request.uri().path()) {
        true => next.run(request).await,
        false => problem(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{CONNECTIONS_MAX} connections are open already; close some"),
        ),
    }
}

/// A connection that breaks when its client reads nothing for a while, which hyper does not check.
struct Impatient<S> {
    stream: S,
    /// Deadline while something is written and nothing is read.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl<S> Impatient<S> {
    fn new(stream: S) -> Impatient<S> {
        Impatient {
            stream,
            stuck: None,
        }
    }

    fn heed<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        let stuck = self
            .stuck
            .get_or_insert_with(|| Box::pin(sleep(TAKES_WITHIN)));
        ready!(stuck.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.heed(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.heed(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::sync::mpsc;
    use tokio::task::yield_now;
    use tokio::time::Instant;

    struct Few(mpsc::Receiver<DuplexStream>);

    impl Listener for Few {
        type Io = DuplexStream;
        type Addr = ();

        async fn accept(&mut self) -> (DuplexStream, ()) {
            match self.0.recv().await {
                Some(stream) => (stream, ()),
                None => std::future::pending().await,
            }
        }

        fn local_addr(&self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// A served address, to which connections are sent.
    fn served() -> mpsc::Sender<DuplexStream> {
        served_until(std::future::pending())
    }

    fn served_until(over: impl Future<Output = ()> + Send + 'static) -> mpsc::Sender<DuplexStream> {
        let (sender, receiver) = mpsc::channel(1);
        let router = Router::new()
            .route("/", get(async || "here"))
            .route("/readyz", get(async || "ready"))
            .route("/much", get(async || vec![b'x'; 1 << 20]));
        tokio::spawn(serve(Few(receiver), move |()| router.clone(), over));
        sender
    }

    async fn connect(served: &mpsc::Sender<DuplexStream>) -> DuplexStream {
        let (ours, theirs) = duplex(1 << 10);
        served.send(theirs).await.unwrap();
        ours
    }

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

    #[tokio::test(start_paused = true)]
    async fn a_head_that_drips_in_has_one_deadline_and_so_has_one_that_never_comes() {
        let served = served();
        for drips in [true, false] {
            let mut stream = connect(&served).await;
            stream.write_all(HEAD).await.unwrap();
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200");
            let began = Instant::now();
            let (mut reader, mut writer) = tokio::io::split(stream);
            let dripping = async {
                while drips && writer.write_all(b"G").await.is_ok() {
                    sleep(Duration::from_secs(1)).await;
                }
                std::future::pending::<()>().await
            };
            let mut rest = Vec::new();
            tokio::select! {
                () = dripping => unreachable!(),
                _ = reader.read_to_end(&mut rest) => {}
            }
            assert!(began.elapsed() <= HEAD_WITHIN + Duration::from_secs(1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_nothing_is_left_and_whoever_is_slow_gets_everything() {
        let served = served();
        let mut stuck = connect(&served).await;
        let much = b"GET /much HTTP/1.1\r\nhost: a\r\n\r\n";
        stuck.write_all(much).await.unwrap();
        sleep(TAKES_WITHIN + Duration::from_secs(1)).await;
        let mut taken = Vec::new();
        let _ = stuck.read_to_end(&mut taken).await;
        assert!(taken.len() < 1 << 20, "{}", taken.len());

        let mut slow = connect(&served).await;
        slow.write_all(much).await.unwrap();
        let mut left: usize = 1 << 20;
        let mut some = [0; 1 << 14];
        while left > 0 {
            let took = slow.read(&mut some).await.unwrap();
            assert_ne!(took, 0, "{left} bytes are missing");
            left = left.saturating_sub(took);
            sleep(TAKES_WITHIN / 64).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_connected_just_before_the_end_is_answered_and_who_says_nothing_is_left() {
        let (end, over) = oneshot::channel::<()>();
        let served = served_until(async { drop(over.await) });
        let mut late = connect(&served).await;
        let mut silent = connect(&served).await;
        // Both are taken up.
        yield_now().await;
        end.send(()).unwrap();
        served.closed().await;
        late.write_all(HEAD).await.unwrap();
        let mut answer = Vec::new();
        late.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
        assert_eq!(silent.read(&mut [0]).await.unwrap(), 0, "closed");
    }

    #[tokio::test(start_paused = true)]
    async fn idle_connections_keep_out_others_but_no_probe_and_places_come_back() {
        let served = served();
        let mut kept = Vec::new();
        for _ in 0..CONNECTIONS_MAX + 2 * RESERVE_MAX {
            kept.push(connect(&served).await);
        }
        for (head, status) in [
            (HEAD, &b"HTTP/1.1 503"[..]),
            (b"GET /readyz HTTP/1.1\r\nhost: a\r\n\r\n", b"HTTP/1.1 200"),
        ] {
            let mut one_more = connect(&served).await;
            one_more.write_all(head).await.unwrap();
            let mut answer = Vec::new();
            one_more.read_to_end(&mut answer).await.unwrap();
            assert!(answer.starts_with(status), "{answer:?}");
        }
        let displaced = &mut kept[CONNECTIONS_MAX];
        assert_eq!(displaced.read(&mut [0]).await.unwrap(), 0, "closed");
        drop(kept);
        sleep(Duration::from_millis(1)).await;
        let mut stream = connect(&served).await;
        stream.write_all(HEAD).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    }
}
