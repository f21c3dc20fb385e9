//! The server behind every edge: answers at once, with as many bytes as the path asks for.

use crate::message::Messages;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::spawn_local;

/// `/bytes/N` is answered with N bytes; everything else, also a health check, with these.
const SMALL: &[u8] = b"ok";
/// Connections that may wait to be taken: an edge may open a thousand at once.
const QUEUE: u32 = 4096;
/// Path of the health check.
pub const HEALTH: &str = "/health";
/// Answers of other sizes are not kept.
pub const SIZES: [usize; 2] = [64 << 10, 1 << 20];

struct Answers {
    small: Vec<u8>,
    large: Vec<(String, Vec<u8>)>,
}

/// Two of them, on the calling thread's `LocalSet`.
pub fn start() -> Result<[SocketAddr; 2], String> {
    let answers = Rc::new(Answers::new());
    let here = Ipv4Addr::LOCALHOST;
    Ok([one(here, Rc::clone(&answers))?, one(here, answers)?])
}

/// One that has every address of this machine, also all of 127.0.0.0/8; the port.
pub fn everywhere() -> Result<u16, String> {
    let address = one(Ipv4Addr::UNSPECIFIED, Rc::new(Answers::new()))?;
    Ok(address.port())
}

impl Answers {
    fn new() -> Answers {
        let large = SIZES.map(|size| (format!(" /bytes/{size} "), answer(&vec![b'x'; size])));
        Answers {
            small: answer(SMALL),
            large: large.to_vec(),
        }
    }
}

/// As a small framework would say it.
fn answer(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n",
        body.len(),
    );
    [head.as_bytes(), body].concat()
}

fn one(at: Ipv4Addr, answers: Rc<Answers>) -> Result<SocketAddr, String> {
    let failed = |why: std::io::Error| format!("listening: {why}");
    let socket = TcpSocket::new_v4().map_err(failed)?;
    socket.bind((at, 0).into()).map_err(failed)?;
    let listener = socket.listen(QUEUE).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            spawn_local(serve(stream, Rc::clone(&answers)));
        }
    });
    Ok(address)
}

async fn serve(mut stream: TcpStream, answers: Rc<Answers>) {
    let _ = stream.set_nodelay(true);
    let mut requests = Messages::with_buffer(16 << 10);
    while let Ok(Some(request)) = requests.next(&mut stream).await {
        let line = request.head.split(|byte| *byte == b'\r').next();
        let line = line.unwrap_or_default();
        let large = answers
            .large
            .iter()
            .find(|(path, _)| memchr::memmem::find(line, path.as_bytes()).is_some());
        let answer = large.map_or(&answers.small, |(_, answer)| answer);
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}
