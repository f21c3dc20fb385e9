//! A service that sleeps for as long as each request says, on a few requests at once.
//!
//! `GET /busy/250000` keeps a slot for that many microseconds; `SLOTS` says how many there are
//! (4), and more requests wait in line. `START_MS` is how long it takes until it listens. Sleeping
//! costs no processor, so many of these fit on a small machine.

#![forbid(unsafe_code)]

use std::io::Result;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::time::sleep;

const SLOTS: u64 = 4;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let number = |name: &str, default: u64| {
        let typed = std::env::var(name).ok();
        typed
            .and_then(|typed| typed.parse().ok())
            .unwrap_or(default)
    };
    let slots = Arc::new(Semaphore::new(number("SLOTS", SLOTS) as usize));
    let mut leave = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = leave.recv() => return Ok(()),
        () = sleep(Duration::from_millis(number("START_MS", 0))) => {}
    }
    let listener = TcpListener::bind(("0.0.0.0", 80)).await?;
    loop {
        tokio::select! {
            // By then the edge has taken it out of rotation, and nothing is in flight.
            _ = leave.recv() => return Ok(()),
            accepted = listener.accept() => {
                let slots = Arc::clone(&slots);
                let (stream, _) = accepted?;
                tokio::spawn(async move { drop(serve(stream, &slots).await) });
            }
        }
    }
}

async fn serve(stream: TcpStream, slots: &Semaphore) -> Result<()> {
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    while let Some(request) = lines.next_line().await? {
        while lines
            .next_line()
            .await?
            .is_some_and(|line| !line.is_empty())
        {}
        let micros = request.strip_prefix("GET /busy/").and_then(|rest| {
            let number = rest.split(' ').next()?;
            number.parse::<u64>().ok()
        });
        if let Some(micros) = micros {
            let slot = slots.acquire().await;
            sleep(Duration::from_micros(micros)).await;
            drop(slot);
        }
        write
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .await?;
    }
    Ok(())
}
