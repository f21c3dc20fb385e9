//! A stranger's binary, with a stranger's plugin, does what the real one does and a little more.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

const START_WITHIN: Duration = Duration::from_secs(20);

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_plugin_of_an_outsider_marks_each_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (edge, upstream) = (free_address(), TcpListener::bind("127.0.0.1:0").unwrap());
    let configuration = format!(
        "listen: [\"{edge}\"]\nadmin: off\nstate_dir: {}\nplugins: [geo: {{ country: NL }}]\n\
         services:\n  any: {{ addresses: [\"{}\"] }}\n",
        folder.path().display(),
        upstream.local_addr().unwrap(),
    );
    std::thread::spawn(move || upstream.incoming().flatten().for_each(answer));
    let file = folder.path().join("tidegate.yaml");
    std::fs::write(&file, configuration).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_outsider"))
        .args(["run", "-c"])
        .arg(file)
        .spawn();
    let _running = Running(child.unwrap());
    let answer = ask(edge);
    assert!(answer.contains("x-country: NL\r\n"), "{answer}");
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn answer(mut stream: TcpStream) {
    // A health check connects and says nothing.
    if stream.read(&mut [0; 1024]).is_ok_and(|length| length > 0) {
        let _ =
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
}

/// Asks until the edge listens and its one replica is ready.
fn ask(edge: SocketAddr) -> String {
    let deadline = Instant::now() + START_WITHIN;
    loop {
        let mut answer = String::new();
        if let Ok(mut stream) = TcpStream::connect(edge) {
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
            let _ = stream.read_to_string(&mut answer);
        }
        if answer.starts_with("HTTP/1.1 200") {
            return answer;
        }
        assert!(Instant::now() < deadline, "no answer, but: {answer}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
