//! The client in front of a server that fails on purpose.

use super::{Ask, Failure, Load, MIX, Sent, Target};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

const SLOW: Duration = Duration::from_millis(400);

const fn ask(path: &'static str) -> Ask {
    Ask {
        method: "GET",
        path,
        body_bytes: 0,
        slow: false,
        filler_bytes: 0,
        fresh: false,
    }
}

async fn send(address: SocketAddr, rate: f64, mix: &'static [Ask], time: Duration) -> Sent {
    let target = Target { address, tls: None };
    let load = Load::start(target, rate, mix);
    sleep(time).await;
    load.stop().await.expect("a report")
}

#[tokio::test]
async fn slow_answers_do_not_slow_the_schedule() {
    static SLOW_ONLY: [Ask; 1] = [ask("/slow")];
    let address = server().await;
    let sent = send(address, 200.0, &SLOW_ONLY, Duration::from_secs(1)).await;
    assert!(
        sent.samples.len().abs_diff(200) <= 5,
        "{}",
        sent.samples.len()
    );
    for (number, sample) in sent.samples.iter().enumerate() {
        assert_eq!(sample.number, number as u64);
        assert_eq!(sample.due, Duration::from_secs_f64(number as f64 / 200.0));
        assert_eq!(sample.outcome, Ok(()));
        assert!(sample.wait >= SLOW, "{sample:?}");
    }
}

#[tokio::test]
async fn every_failure_is_remembered_with_what_failed() {
    static FAILING: [Ask; 7] = [
        ask("/well"),
        ask("/502"),
        ask("/500"),
        ask("/close"),
        ask("/short"),
        ask("/reset"),
        Ask {
            method: "POST",
            body_bytes: 100,
            ..ask("/wrong-echo")
        },
    ];
    let address = server().await;
    let sent = send(address, 140.0, &FAILING, Duration::from_millis(500)).await;
    assert!(sent.samples.len() >= 60, "{}", sent.samples.len());
    for sample in &sent.samples {
        let expected = match sample.ask.path {
            "/well" => Ok(()),
            "/502" => Err(Failure::Status {
                code: 502,
                by_replica: false,
            }),
            "/500" => Err(Failure::Status {
                code: 500,
                by_replica: true,
            }),
            "/close" => Err(Failure::Closed),
            "/short" => Err(Failure::ShortBody),
            "/reset" => Err(Failure::Reset),
            "/wrong-echo" => Err(Failure::WrongBody),
            other => panic!("{other}"),
        };
        assert_eq!(sample.outcome, expected, "{sample:?}");
    }
}

#[tokio::test]
async fn nobody_listening_is_a_failure_of_each_request() {
    static WELL: [Ask; 1] = [ask("/well")];
    let address = TcpListener::bind("127.0.0.1:0")
        .await
        .and_then(|listener| listener.local_addr())
        .expect("a port that nobody listens on any more");
    let sent = send(address, 100.0, &WELL, Duration::from_millis(200)).await;
    assert!(sent.samples.len() >= 15);
    for sample in sent.samples {
        assert_eq!(sample.outcome, Err(Failure::Refused));
    }
}

/// Which connection carried a request is not a matter of luck, and closing an idle one is not a
/// failure.
#[tokio::test]
async fn a_connection_is_used_again_until_the_server_closes_it() {
    static USED: [Ask; 3] = [
        ask("/well"),
        ask("/last"),
        Ask {
            fresh: true,
            ..ask("/well")
        },
    ];
    let address = server().await;
    let sent = send(address, 30.0, &USED, Duration::from_secs(1)).await;
    for sample in &sent.samples {
        assert_eq!(sample.outcome, Ok(()), "{sample:?}");
        let after_first = sample.ask.path == "/last";
        assert_eq!(sample.reused, after_first, "{sample:?}");
    }
}

#[tokio::test]
async fn the_whole_mix_is_answered_by_a_server_that_echoes() {
    let address = server().await;
    let sent = send(address, 300.0, &MIX, Duration::from_secs(1)).await;
    for sample in sent.samples {
        assert_eq!(sample.outcome, Ok(()), "{:?}", sample.ask);
    }
}

/// A server of its own, which does what the path says.
async fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

async fn serve(mut stream: TcpStream) -> Option<()> {
    let mut read = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = find(&read, b"\r\n\r\n") {
                break read.drain(..end + 4).collect::<Vec<u8>>();
            }
            more(&mut stream, &mut read).await?;
        };
        let head = String::from_utf8(head).ok()?.to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().expect("a number"));
        while read.len() < length {
            more(&mut stream, &mut read).await?;
        }
        read.drain(..length);
        let path = head.split(' ').nth(1)?;
        let path = path.split('?').next()?;
        let echo = |length: usize| answer("200 OK", "", &format!(r#"{{"bodyLength":{length}}}"#));
        let (answer, last) = match path {
            "/slow" => {
                sleep(SLOW).await;
                (answer("200 OK", "", "{}"), false)
            }
            "/502" => (answer("502 Bad Gateway", "", ""), false),
            "/500" => (answer("500 Oops", "x-acts-replica: a\r\n", "{}"), false),
            "/close" => return None,
            "/short" => (answer("200 OK", "", "{}").replace("{}", "{"), true),
            "/reset" => {
                stream.set_zero_linger().ok()?;
                return None;
            }
            "/last" => (answer("200 OK", "", "{}"), true),
            "/wrong-echo" => (echo(length + 1), false),
            _ => (echo(length), false),
        };
        stream.write_all(answer.as_bytes()).await.ok()?;
        if last || head.contains("connection: close") {
            return None;
        }
    }
}

fn answer(status: &str, header: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{header}content-length: {length}\r\n\r\n{body}")
}

async fn more(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<()> {
    match stream.read_buf(read).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(()),
    }
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes
        .windows(pattern.len())
        .position(|window| window == pattern)
}
