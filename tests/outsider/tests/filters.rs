//! All that filters may do, on every way that a request may take.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(20);
const WEBSOCKET: &str = "connection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

struct Edge {
    address: SocketAddr,
    folder: tempfile::TempDir,
    /// Heads and bodies that the replica got.
    got: Arc<Mutex<Vec<String>>>,
    child: Child,
}

impl Drop for Edge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Edge {
    fn start(is_pingora: bool) -> Edge {
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
        let configuration = format!(
            "listen: [\"{address}\"]\nadmin: off\nstate_dir: {0}\n\
             plugins: [access-log: {{ path: {0}/log }}, gate, upper, pages]\n\
             services:\n  any: {{ addresses: [\"{1}\"], healthcheck: {{ type: tcp, interval: 60s }} }}\n",
            folder.path().display(),
            upstream.local_addr().unwrap(),
        );
        let got = Arc::default();
        let gets = Arc::clone(&got);
        std::thread::spawn(move || {
            for stream in upstream.incoming().flatten() {
                let got = Arc::clone(&gets);
                std::thread::spawn(move || replica(stream, &got));
            }
        });
        let file = folder.path().join("tidegate.yaml");
        std::fs::write(&file, configuration).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_filters"));
        command.args(["run", "-c"]).arg(file);
        if is_pingora {
            command.env("TIDEGATE_TEST_PINGORA_ONLY", "1");
        }
        let edge = Edge {
            address,
            folder,
            got,
            child: command.spawn().unwrap(),
        };
        let deadline = Instant::now() + SOON;
        while edge.is_not_ready() {
            assert!(Instant::now() < deadline, "it does not become ready");
            std::thread::sleep(Duration::from_millis(20));
        }
        edge
    }

    fn is_not_ready(&self) -> bool {
        TcpStream::connect(self.address).is_err() || self.ask("GET /", "", "").status != 200
    }

    /// Sends a request with a connection of its own.
    fn ask(&self, line: &str, headers: &str, body: &str) -> Answer {
        let mut text = format!("{line} HTTP/1.1\r\nhost: a\r\n{headers}");
        if !headers.contains("upgrade") {
            text.push_str("connection: close\r\n");
        }
        if !body.is_empty() && !headers.contains("chunked") {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        write!(stream, "{text}\r\n{body}").unwrap();
        Answer::read(&mut BufReader::new(stream), line.starts_with("HEAD"))
    }

    /// The last request that the replica got.
    fn last(&self) -> String {
        self.got.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn read(from: &mut impl BufRead, to_head: bool) -> Answer {
        let head = head(from).to_ascii_lowercase();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let body = match () {
            () if to_head || status == Some(101) => String::new(),
            () => body(from, &head, true),
        };
        Answer {
            status: status.unwrap_or_else(|| panic!("{head:?}")),
            head,
            body,
        }
    }
}

/// Lines up to an empty one.
fn head(from: &mut impl BufRead) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && from.read_line(&mut head).is_ok_and(|count| count > 0) {}
    head
}

fn body(from: &mut impl BufRead, head: &str, until_close: bool) -> String {
    let mut body = Vec::new();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    if head.contains("transfer-encoding: chunked") {
        loop {
            let mut size = String::new();
            from.read_line(&mut size).unwrap();
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            let mut chunk = vec![0; size + 2];
            from.read_exact(&mut chunk).unwrap();
            if size == 0 {
                break;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    } else if let Some(length) = length {
        body.resize(length.parse().unwrap(), 0);
        from.read_exact(&mut body).unwrap();
    } else if until_close {
        from.read_to_end(&mut body).unwrap();
    }
    String::from_utf8(body).unwrap()
}

/// Answers by the path.
fn replica(stream: TcpStream, got: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let head = head(&mut reader);
        if head.is_empty() {
            return;
        }
        let body = body(&mut reader, &head.to_ascii_lowercase(), false);
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        got.lock().unwrap().push(format!("{head}{body}"));
        let answer = match path.as_str() {
            path if path.contains("socket/declined") => {
                "HTTP/1.1 403 Forbidden\r\ncontent-length: 5\r\n\r\nhello"
            }
            path if path.contains("socket") => {
                "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\
                 upgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\
                 hello"
            }
            "/upper/slow" => "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello",
            "/upper/chunked" => {
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
                 5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n"
            }
            "/upper/close" => "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello",
            "/upper/old" => "HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            "/upper/part" => {
                "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 0-2/5\r\n\
                 content-length: 3\r\n\r\nhel"
            }
            "/upper/none" => "HTTP/1.1 204 No Content\r\n\r\n",
            "/upper/empty" => "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "/upper/fails" | "/fails" => {
                "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 9\r\n\r\nboom"
            }
            _ if head.starts_with("HEAD") => "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
            _ => "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        };
        stream.write_all(answer.as_bytes()).unwrap();
        if path == "/upper/slow" {
            std::thread::sleep(Duration::from_millis(100));
            stream.write_all(b"world").unwrap();
        }
        if answer.contains("close\r\n") {
            return;
        }
    }
}

#[test]
fn filters_do_the_same_on_the_plain_way() {
    every_verdict(&Edge::start(false));
}

#[test]
fn filters_do_the_same_on_the_way_through_pingora() {
    every_verdict(&Edge::start(true));
}

fn every_verdict(edge: &Edge) {
    decisions(edge);
    bodies(edge);
    transforms(edge);
    instead(edge);
    tunnels(edge);
    // The log shows the target that was asked for, and the replica saw another.
    assert_eq!(edge.ask("GET /old", "", "").status, 200);
    assert!(
        edge.last().starts_with("GET /new?from=old HTTP/1.1\r\n"),
        "{}",
        edge.last()
    );
    let deadline = Instant::now() + SOON;
    let is_logged = || {
        let log = std::fs::read_to_string(edge.folder.path().join("log")).unwrap();
        log.contains(r#""target":"/old""#)
    };
    while !is_logged() {
        assert!(Instant::now() < deadline, "its target is not in the log");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn decisions(edge: &Edge) {
    let forged = "Remote-User: root\r\nremote_user: root\r\n";
    assert_eq!(edge.ask("GET /wait", forged, "").body, "hello");
    let last = edge.last().to_ascii_lowercase();
    assert!(
        last.contains("remote-user: alice\r\n") && !last.contains("root"),
        "{last}"
    );
    assert_eq!(edge.ask("GET /other", forged, "").body, "hello");
    let last = edge.last().to_ascii_lowercase();
    assert!(!last.contains("remote"), "{last}");
    let before = edge.got.lock().unwrap().len();
    let answer = edge.ask("GET /wait?deny", "", "");
    assert_eq!((answer.status, answer.body.as_str()), (403, "denied"));
    assert_eq!(edge.got.lock().unwrap().len(), before);

    // A client that leaves takes the decision along.
    let dropped = || edge.ask("GET /dropped", "", "").body;
    let before: u32 = dropped().parse().unwrap();
    let mut stream = TcpStream::connect(edge.address).unwrap();
    stream
        .write_all(b"GET /wait?hang HTTP/1.1\r\nhost: a\r\n\r\n")
        .unwrap();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(dropped(), before.to_string());
    drop(stream);
    let deadline = Instant::now() + SOON;
    while dropped() != (before + 1).to_string() {
        assert!(Instant::now() < deadline, "the decision goes on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn bodies(edge: &Edge) {
    for (headers, body) in [
        ("", "good"),
        ("transfer-encoding: chunked\r\n", "4\r\ngood\r\n0\r\n\r\n"),
    ] {
        assert_eq!(edge.ask("POST /body", headers, body).status, 200);
        let last = edge.last().to_ascii_lowercase();
        assert!(
            last.contains("x-read: 4\r\n") && last.ends_with("good"),
            "{last}"
        );
    }
    for (headers, body, status) in [
        ("", "evil", 403),
        (
            "transfer-encoding: chunked\r\n",
            "4\r\nevil\r\n0\r\n\r\n",
            403,
        ),
        ("", "12345678901234567", 413),
        (
            "transfer-encoding: chunked\r\n",
            "11\r\n12345678901234567\r\n0\r\n\r\n",
            413,
        ),
    ] {
        assert_eq!(
            edge.ask("POST /body", headers, body).status,
            status,
            "{body}"
        );
    }
    // A client that waits to be told gets its word before the filter has the body.
    let mut stream = TcpStream::connect(edge.address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
        .write_all(
            b"POST /body HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n",
        )
        .unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    assert!(head(&mut reader).starts_with("HTTP/1.1 100 "));
    stream.write_all(b"good").unwrap();
    assert_eq!(Answer::read(&mut reader, false).status, 200);
    let last = edge.last().to_ascii_lowercase();
    assert!(
        last.contains("x-read: 4\r\n") && !last.contains("expect"),
        "{last}"
    );
}

fn transforms(edge: &Edge) {
    for (line, expected) in [
        ("GET /upper", "HELLO!"),
        ("GET /upper/slow", "HELLOWORLD!"),
        ("GET /upper/chunked", "HELLOWORLD!"),
        ("GET /upper/close", "HELLO!"),
        ("GET /upper/old", "HELLO!"),
        ("GET /upper/denied", "DENIED!"),
        ("GET /upper/part", "hel"),
        ("GET /upper/none", ""),
        ("GET /upper/empty", ""),
        ("HEAD /upper", ""),
        ("GET /other", "hello"),
    ] {
        let answer = edge.ask(line, "", "");
        assert_eq!(answer.body, expected, "{line}: {answer:?}");
        let is_upper = answer.head.contains("x-upper: yes\r\n");
        assert_eq!(is_upper, expected.ends_with('!'), "{line}: {answer:?}");
    }
    let answer = edge.ask("HEAD /upper", "", "");
    assert!(answer.head.contains("content-length: 5\r\n"), "{answer:?}");
    let answer = edge.ask("GET /upper/denied", "", "");
    assert!(answer.head.contains("content-length: 7\r\n"), "{answer:?}");
}

fn instead(edge: &Edge) {
    for (line, expected) in [("GET /fails", "sorry"), ("GET /upper/fails", "SORRY!")] {
        let answer = edge.ask(line, "", "");
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (502, expected),
            "{line}"
        );
        let length = format!("content-length: {}\r\n", expected.len());
        assert!(answer.head.contains(&length), "{answer:?}");
    }
    let log = std::fs::read_to_string(edge.folder.path().join("log")).unwrap();
    assert!(!log.contains("answers instead"), "it is no error: {log}");
}

fn tunnels(edge: &Edge) {
    let answer = edge.ask("GET /wait/socket", WEBSOCKET, "");
    assert_eq!(answer.status, 101, "{answer:?}");
    let last = edge.last().to_ascii_lowercase();
    assert!(last.contains("remote-user: alice\r\n"), "{last}");
    for (line, status, expected) in [
        ("GET /wait/socket?deny", 403, "denied"),
        ("GET /socket/declined", 403, "hello"),
        ("GET /upper/socket/declined", 403, "HELLO!"),
        ("GET /socket/unwanted", 502, "sorry"),
    ] {
        let answer = edge.ask(line, WEBSOCKET, "");
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (status, expected),
            "{line}"
        );
    }
}
