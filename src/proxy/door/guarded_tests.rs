use super::*;
use crate::proxy::chain::Chain;
use crate::proxy::door::places::Places;
use crate::proxy::door::wire::Wire;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

/// A guarded stream without a socket, its connection, and the client's end of it.
fn guarded(holds: usize) -> (Guarded<DuplexStream>, Arc<Connection>, DuplexStream) {
    let settings = Arc::new(Settings::with(Chain::default()));
    let place = Arc::new(Places::default()).take(None, &settings.bounds);
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
    let wire = Wire::new(Ipv4Addr::LOCALHOST.into(), here, place.unwrap());
    let connection = Arc::new(Connection::new(wire));
    let (inner, client) = duplex(holds);
    let guarded = Guarded::new(inner, Arc::clone(&connection), settings);
    (guarded, connection, client)
}

/// All that the client gets until the end.
async fn rest(mut client: DuplexStream) -> String {
    let mut all = String::new();
    client.read_to_string(&mut all).await.unwrap();
    all
}

/// Reads once, for as long as the connection lives; `None`: it was ended from within.
async fn read(guarded: &mut Guarded<DuplexStream>) -> Option<io::Result<Vec<u8>>> {
    let mut room = [0; 4096];
    poll_fn(|cx| {
        let mut buf = ReadBuf::new(&mut room);
        match Pin::new(&mut *guarded).poll_read(cx, &mut buf) {
            Poll::Ready(read) => Poll::Ready(Some(read.map(|()| buf.filled().to_vec()))),
            Poll::Pending if guarded.connection.wire.is_over() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_request_passes_through_any_stream() {
    let (mut guarded, connection, mut client) = guarded(7);
    let head = "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n";
    let asks = async {
        client.write_all(head.as_bytes()).await.unwrap();
        rest(client).await
    };
    let answers = async {
        let mut came = Vec::new();
        while came.len() < head.len() {
            came.extend(read(&mut guarded).await.expect("it lives").unwrap());
        }
        assert_eq!(came, head.as_bytes());
        assert_eq!(connection.phase(), Phase::Head, "until somebody says more");
        connection.enter(Phase::Answer);
        guarded.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        guarded.send(b"Content-Length: 2\r\n\r\n").await.unwrap();
        guarded.write_all(b"ok").await.unwrap();
        guarded.shutdown().await.unwrap();
    };
    let (got, ()) = tokio::join!(asks, answers);
    assert_eq!(got, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

#[tokio::test(start_paused = true)]
async fn half_a_head_is_told_that_its_time_is_over() {
    let (mut guarded, _connection, mut client) = guarded(1 << 10);
    client.write_all(b"GET / HT").await.unwrap();
    assert_eq!(read(&mut guarded).await.unwrap().unwrap(), b"GET / HT");
    assert!(read(&mut guarded).await.is_none(), "it is ended");
    let said = rest(client).await;
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_too_large_is_refused() {
    let (mut guarded, connection, mut client) = guarded(4 << 10);
    let limit = guarded.settings.limits.header_bytes as usize;
    client.write_all(&vec![b'x'; limit + 1]).await.unwrap();
    read(&mut guarded).await.unwrap().unwrap();
    assert_eq!(connection.phase(), Phase::Head);
    assert!(read(&mut guarded).await.is_none(), "it is ended");
    assert!(rest(client).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test(start_paused = true)]
async fn one_who_says_nothing_is_told_nothing() {
    let (mut guarded, _connection, client) = guarded(1 << 10);
    assert!(read(&mut guarded).await.is_none(), "it is ended");
    drop(guarded);
    assert_eq!(rest(client).await, "");
}

#[tokio::test(start_paused = true)]
async fn one_who_takes_nothing_of_an_answer_is_given_up() {
    let (mut guarded, connection, _client) = guarded(10);
    connection.enter(Phase::Answer);
    let sent = guarded.send(&[b'x'; 100]).await;
    assert_eq!(sent.unwrap_err().kind(), ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn bytes_behind_a_request_that_is_lent_wait_for_the_next_one() {
    let (mut guarded, connection, mut client) = guarded(1 << 10);
    client.write_all(b"dyGET").await.unwrap();
    guarded.lend(BytesMut::from(&b"bo"[..]));
    connection.expect(Some(4));
    let mut body = Vec::new();
    while body.len() < 4 {
        body.extend(read(&mut guarded).await.expect("it lives").unwrap());
    }
    assert_eq!(body, b"body");
    assert_eq!(guarded.take_back(), "GET");
}
