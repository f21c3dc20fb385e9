//! Plays one row on one way.

use super::outcome::Outcome;
use super::replica::Replicas;
use super::row::{Row, Step};
use super::wire::{Message, Wire};
use crate::support::client;
use crate::support::edge::Edge;
use socket2::SockRef;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// Longer than any step takes on a busy machine.
const SOON: Duration = Duration::from_secs(15);
/// Between two looks at what has no event.
const A_MOMENT: Duration = Duration::from_millis(20);
/// Service whose answer shows that a connection is still open.
pub const PROBE: &str = "probe";

pub struct Stage<'a> {
    pub row: &'a Row,
    pub edge: &'a Edge,
    /// Where clients connect.
    pub address: SocketAddr,
    pub replicas: &'a Replicas,
    /// Text of the row as this way sends it.
    pub carries: fn(&str) -> Option<String>,
    clients: Vec<Client>,
    current: usize,
}

/// A client's connection, and what came on it.
struct Client {
    wire: Option<Wire>,
    answers: Vec<Message>,
    rest: Option<Vec<u8>>,
}

impl Client {
    async fn connected(address: SocketAddr) -> Result<Client, String> {
        let stream = TcpStream::connect(address).await;
        let stream = stream.map_err(|error| error.to_string())?;
        let _ = stream.set_nodelay(true);
        Ok(Client {
            wire: Some(Wire::new(stream)),
            answers: Vec::new(),
            rest: None,
        })
    }

    fn wire(&mut self) -> Result<&mut Wire, String> {
        self.wire.as_mut().ok_or("its client has left".to_owned())
    }

    async fn receive(&mut self, to_head: bool) -> Result<(), String> {
        let wire = self.wire()?;
        if let Some(mut answer) = wire.head().await {
            wire.answer_body(&mut answer, to_head).await;
            self.answers.push(answer);
        }
        Ok(())
    }

    /// Whether another request is answered on it.
    async fn stays(&mut self) -> bool {
        let Some(wire) = &mut self.wire else {
            return false;
        };
        let request = format!("GET /{PROBE} HTTP/1.1\r\nhost: {PROBE}\r\n\r\n");
        wire.send(request.as_bytes()).await;
        let Some(mut answer) = wire.head().await else {
            return false;
        };
        wire.answer_body(&mut answer, false).await;
        answer.status() == 200
    }
}

impl<'a> Stage<'a> {
    pub fn new(
        row: &'a Row,
        (edge, address): (&'a Edge, SocketAddr),
        replicas: &'a Replicas,
        carries: fn(&str) -> Option<String>,
    ) -> Stage<'a> {
        Stage {
            row,
            edge,
            address,
            replicas,
            carries,
            clients: Vec::new(),
            current: 0,
        }
    }

    /// Plays the row to its end.
    pub async fn play(mut self) -> Result<Outcome, String> {
        self.clients.push(Client::connected(self.address).await?);
        for (number, step) in self.row.steps.iter().enumerate() {
            let stepped = timeout(SOON, self.step(step)).await;
            let stepped = stepped.unwrap_or_else(|_| Err("it takes too long".to_owned()));
            stepped.map_err(|error| format!("step {number}: {error}; {}", self.so_far()))?;
        }
        let mut outcome = Outcome::default();
        for (number, client) in self.clients.iter_mut().enumerate() {
            let name = format!("client.{number}");
            for (number, answer) in client.answers.iter().enumerate() {
                outcome.message(&format!("{name}.answer.{number}"), answer);
            }
            if let Some(rest) = &client.rest {
                outcome.note(format!("{name}.rest"), rest.escape_ascii().to_string());
            }
            let stays = timeout(SOON, client.stays()).await;
            let stays = stays.map_err(|_| "its connection is open and nothing comes on it")?;
            let stays = if stays { "stays" } else { "closed" };
            outcome.note(format!("{name}.connection"), stays);
        }
        for (number, (replica, request)) in self.replicas.requests().iter().enumerate() {
            let name = format!("replica.{number}");
            outcome.note(format!("{name}.number"), replica.to_string());
            outcome.message(&name, request);
        }
        Ok(outcome)
    }

    fn so_far(&self) -> String {
        let answers = self.clients.iter().flat_map(|client| &client.answers);
        let lines: Vec<&str> = answers.map(|answer| answer.line.as_str()).collect();
        let requests = self.replicas.requests();
        format!("answered {lines:?}, asked {} times", requests.len())
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        let client = &mut self.clients[self.current];
        match step {
            Step::Use(number) => {
                while self.clients.len() <= *number {
                    self.clients.push(Client::connected(self.address).await?);
                }
                self.current = *number;
            }
            Step::Send(text) => {
                let text = (self.carries)(text).ok_or("this way does not carry it")?;
                let text = text.replace('@', self.row.name);
                client.wire()?.send(text.as_bytes()).await;
            }
            Step::Receive => client.receive(false).await?,
            Step::ReceiveToHead => client.receive(true).await?,
            Step::ReceivePart(part) => {
                let received = client.wire()?.receive_until(part).await;
                if !received {
                    let left = client.wire()?.take_unread().escape_ascii().to_string();
                    return Err(format!("no {part:?} came, but {left}"));
                }
            }
            Step::ReceiveEnd => client.rest = Some(client.wire()?.receive_rest().await),
            Step::EndSending => {
                let stream = &mut client.wire()?.stream;
                let _ = tokio::io::AsyncWriteExt::shutdown(stream).await;
            }
            Step::Leave => {
                let socket = SockRef::from(&client.wire()?.stream);
                let _ = socket.set_linger(Some(Duration::ZERO));
                client.wire = None;
            }
            Step::AwaitRequests(count) => {
                let count = *count;
                self.replicas
                    .wait_for(move |seen| seen.requests.len() >= count)
                    .await;
            }
            Step::Resume(number) => self.replicas.resume(*number),
            Step::AwaitClose => self.replicas.wait_for(|seen| seen.ended > 0).await,
            Step::Stop(number) => self.replicas.stop(*number).await,
            Step::Heal => self.replicas.heal(),
            Step::AwaitHeld(count) => {
                let name = format!("tidegate_held_requests{{service=\"{}\"}}", self.row.name);
                while self.edge.metric(&name).await != Some(*count as f64) {
                    sleep(A_MOMENT).await;
                }
            }
            Step::AwaitReplicas(picture) => {
                while self.edge.picture(self.row.name).await != *picture {
                    sleep(A_MOMENT).await;
                }
            }
        }
        Ok(())
    }
}

/// Waits until every service has this many ready replicas.
pub async fn ready(edge: &Edge, services: impl IntoIterator<Item = (&str, usize)>) {
    for (service, count) in services {
        let ready = (0..count).map(|slot| format!("{slot}=ready"));
        let picture = ready.collect::<Vec<_>>().join(" ");
        edge.shows(service, &picture, SOON).await;
    }
}

/// Metrics, as soon as no request is in flight and `expected` requests are counted. A smaller
/// count is returned after [`SOON`], for the comparison to show it.
pub async fn counted(edge: &Edge, expected: usize) -> String {
    let sum = |metrics: &str, name: &str| -> f64 {
        let lines = metrics.lines().filter(|line| line.starts_with(name));
        let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        values.sum()
    };
    let is_idle = |metrics: &str| sum(metrics, "tidegate_http_requests_in_flight{") == 0.0;
    let mut last = String::new();
    let settled = async {
        loop {
            last = client::get(edge.admin, "/metrics").await.text();
            let count = sum(&last, "tidegate_http_requests_total{");
            if is_idle(&last) && count >= expected as f64 {
                return;
            }
            sleep(A_MOMENT).await;
        }
    };
    let _ = timeout(SOON, settled).await;
    assert!(is_idle(&last), "requests are in flight when all are over");
    last
}
