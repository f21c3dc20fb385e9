//! The smallest service that the engine's tests can run: one static file, no crates; `image.rs`
//! compiles it by itself.
//!
//! As the first process of a container it ignores SIGTERM, as programs without a handler do
//! there; with `ON_TERM=exit` it ends. `LATE` is how many milliseconds pass before it listens,
//! `BACKLOG` how many connections may wait to be accepted.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

const SIGTERM: i32 = 15;

unsafe extern "C" {
    fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
    fn _exit(code: i32) -> !;
    fn listen(socket: i32, backlog: i32) -> i32;
}

extern "C" fn leave(_: i32) {
    unsafe { _exit(0) }
}

fn main() {
    if env::var("ON_TERM").as_deref() == Ok("exit") {
        unsafe { signal(SIGTERM, leave) };
    }
    let port = env::var("PORT").map_or(80, |port| port.parse().unwrap());
    if let Ok(late) = env::var("LATE") {
        thread::sleep(Duration::from_millis(late.parse().unwrap()));
    }
    let listener = TcpListener::bind(("0.0.0.0", port)).unwrap();
    if let Ok(backlog) = env::var("BACKLOG") {
        let backlog = backlog.parse().unwrap();
        assert_eq!(unsafe { listen(listener.as_raw_fd(), backlog) }, 0);
    }
    for client in listener.incoming() {
        thread::spawn(move || client.map(serve));
    }
}

/// Keeps a core busy.
fn burn(time: Duration) -> u64 {
    let began = Instant::now();
    let mut rounds = 0;
    while began.elapsed() < time {
        rounds += 1;
    }
    rounds
}

/// Grants a WebSocket to the sample key of RFC 6455 and says back whatever comes.
fn tunnel(mut client: &TcpStream) {
    let granted = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                   Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    let _ = client.write_all(granted.as_bytes());
    let mut bytes = [0; 1024];
    while let Ok(count @ 1..) = client.read(&mut bytes) {
        let _ = client.write_all(&bytes[..count]);
    }
}

fn serve(client: TcpStream) {
    let mut lines = BufReader::new(&client).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    lines.find(|line| line.is_empty());
    let path = request.split(' ').nth(1).unwrap_or("/");
    let words: Vec<&str> = path.split('/').skip(1).collect();
    if words == ["tunnel"] {
        return tunnel(&client);
    }
    let answer = match words[..] {
        ["exit", code] => process::exit(code.parse().unwrap()),
        ["burn", millis] => Some(burn(Duration::from_millis(millis.parse().unwrap())).to_string()),
        ["env", name] => env::var(name).ok(),
        ["read", file] => fs::read_to_string(format!("/data/{file}")).ok(),
        ["write", file, text] => fs::write(format!("/data/{file}"), text)
            .map(|()| text.into())
            .ok(),
        _ => Some(env::var("HOSTNAME").unwrap_or_default()),
    };
    let (status, body) = match answer {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", String::new()),
    };
    let length = body.len();
    let _ = write!(
        &client,
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
}
