use super::*;
use pingora::http::ResponseHeader;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// A pipe between two sides that a test holds, and how it ended and what went up.
async fn piped(idle: Duration) -> (DuplexStream, DuplexStream, JoinHandle<Ended>) {
    let (mut client, edge) = duplex(1 << 10);
    let (replica, beyond) = duplex(1 << 10);
    let asked = b"GET / HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\n\r\n";
    client.write_all(asked).await.unwrap();
    let mut session = ServerSession::new_http1(Box::new(edge));
    assert!(session.read_request().await.unwrap());
    let switched = ResponseHeader::build(101, None).unwrap();
    session
        .write_response_header(Box::new(switched))
        .await
        .unwrap();
    let mut head = [0; b"HTTP/1.1 101 Switching Protocols\r\n\r\n".len()];
    client.read_exact(&mut head).await.unwrap();
    let ended = tokio::spawn(async move {
        let early = Bytes::from_static(b"early ");
        let mut pipe = Pipe::new(&mut session, Box::new(replica), early, idle);
        (pipe.run().await, pipe.bytes_up())
    });
    (client, beyond, ended)
}

type Ended = (Result<(), String>, u64);

#[tokio::test(start_paused = true)]
async fn silence_is_counted_from_the_last_byte_whichever_way_it_went() {
    let (mut client, mut replica, ended) = piped(HOUR).await;
    let began = Instant::now();
    for _ in 0..3 {
        tokio::time::sleep(HOUR / 2).await;
        client.write_all(b"x").await.unwrap();
        tokio::time::sleep(HOUR / 2).await;
        replica.write_all(b"y").await.unwrap();
    }
    let (result, bytes_up) = ended.await.unwrap();
    assert_eq!(result, Err("nothing passed for 1h".to_owned()));
    assert_eq!(bytes_up, 3);
    assert_eq!(began.elapsed().as_secs(), (HOUR * 4).as_secs());
    let mut got = String::new();
    client.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "early yyy");
}

#[tokio::test(start_paused = true)]
async fn when_one_side_has_closed_the_other_one_is_not_waited_for_as_long() {
    let (mut client, mut replica, ended) = piped(HOUR).await;
    tokio::time::sleep(HOUR / 2).await;
    client.shutdown().await.unwrap();
    let began = Instant::now();
    let mut rest = String::new();
    replica.read_to_string(&mut rest).await.unwrap();
    for _ in 0..3 {
        tokio::time::sleep(HALF_CLOSED_IDLE * 3 / 4).await;
        replica.write_all(b"wait ").await.unwrap();
    }
    let (result, _) = ended.await.unwrap();
    assert_eq!(result, Err("nothing passed for 10s".to_owned()));
    let expected = HALF_CLOSED_IDLE * 3 * 3 / 4 + HALF_CLOSED_IDLE;
    assert_eq!(began.elapsed().as_secs(), expected.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_side_that_takes_nothing_does_not_stop_the_other_way() {
    let (client, replica, ended) = piped(HOUR).await;
    let sent = vec![7; 1 << 20];
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_replica, mut to_replica) = tokio::io::split(replica);
    // More than all buffers hold goes up, while nobody takes what came down.
    let flood = tokio::spawn({
        let sent = sent.clone();
        async move {
            to_replica.write_all(&sent).await.unwrap();
            to_replica.shutdown().await.unwrap();
        }
    });
    let up = async {
        to_client.write_all(&sent).await.unwrap();
        to_client.shutdown().await.unwrap();
    };
    let mut went_up = Vec::new();
    let (_, read) = tokio::join!(up, from_replica.read_to_end(&mut went_up));
    read.unwrap();
    assert!(went_up == sent);
    assert!(!flood.is_finished());
    let mut came_down = Vec::new();
    from_client.read_to_end(&mut came_down).await.unwrap();
    assert!(came_down == [b"early ", &sent[..]].concat());
    assert_eq!(ended.await.unwrap(), (Ok(()), sent.len() as u64));
}
