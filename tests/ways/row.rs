//! One row of the table: a script for clients and replicas, and the intended differences.

use super::replica::{Act, Script};

/// One step of a row's script. `@` in a text stands for the row's name.
#[derive(Clone)]
pub enum Step {
    /// Switches to this connection, opened if it is new; a row begins on 0.
    Use(usize),
    Send(String),
    /// Reads the next answer, interim or final.
    Receive,
    /// Reads the next answer to a HEAD.
    ReceiveToHead,
    /// Reads until these bytes have come.
    ReceivePart(&'static str),
    /// Reads to the end of the connection.
    ReceiveEnd,
    /// Shuts the sending half down.
    EndSending,
    /// Resets the connection. A plain close looks like a half close, which the edge bears for 5 s.
    Leave,
    /// Waits until replicas have this many requests.
    AwaitRequests(usize),
    /// Ends the pause of this replica.
    Resume(usize),
    /// Waits until the edge has closed a replica's connection.
    AwaitClose,
    /// Makes this replica refuse connections from now on.
    Stop(usize),
    /// Lets the health checks of an unready row succeed.
    Heal,
    /// Waits until this many requests are held.
    AwaitHeld(usize),
    /// Waits until the API shows the replicas as `0=sick 1=ready`.
    AwaitReplicas(&'static str),
}

/// An intended difference: the way, the line of the outcome (`*` for anything), and the reason.
pub type Difference = (&'static str, &'static str, &'static str);

pub struct Row {
    /// Name of the row, of its service and of its host.
    pub name: &'static str,
    /// Further keys of the service.
    pub settings: &'static str,
    pub replicas: Vec<Script>,
    /// Whether the replicas are ready from the beginning.
    pub is_ready: bool,
    pub steps: Vec<Step>,
    /// Statuses that clients get on the first way, by connection.
    pub answers: &'static [u16],
    /// Lines in the access log.
    pub records: usize,
    pub differs: Vec<Difference>,
    /// Lines that depend on a race and are not compared, each with the reason.
    pub unsteady: &'static [(&'static str, &'static str)],
    /// Ways that the row does not take, each with the reason.
    pub without: &'static [(&'static str, &'static str)],
}

pub const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
pub const HINTED: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n\
    HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
/// Reason of differences in several rows.
pub const UNREAD: &str = "Pingora answers before it reads the body, and then ends the connection";
pub const GET: &str = "GET /@ HTTP/1.1\r\nhost: @\r\n\r\n";

/// Reads a request and answers it.
pub fn answers(text: &'static str) -> Vec<Act> {
    vec![Act::Read, Act::Write(text)]
}

pub fn get(lines: &str) -> String {
    format!("GET /@ HTTP/1.1\r\nhost: @\r\n{lines}\r\n")
}

pub fn post(body: &str) -> String {
    let length = body.len();
    format!("POST /@ HTTP/1.1\r\nhost: @\r\ncontent-length: {length}\r\n\r\n{body}")
}

pub fn chunked(pieces: &[&str]) -> String {
    let mut text = "POST /@ HTTP/1.1\r\nhost: @\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
    for piece in pieces {
        text += &format!("{:x}\r\n{piece}\r\n", piece.len());
    }
    text + "0\r\n\r\n"
}

/// A row with one ready replica that answers 200.
pub fn row(name: &'static str) -> Row {
    Row {
        name,
        settings: "",
        replicas: vec![vec![answers(OK)]],
        is_ready: true,
        steps: Vec::new(),
        answers: &[200],
        records: 1,
        differs: Vec::new(),
        unsteady: &[],
        without: &[],
    }
}

impl Row {
    pub fn asks(mut self, text: impl Into<String>) -> Row {
        let text = text.into();
        let is_head = text.starts_with("HEAD ");
        self.steps.push(Step::Send(text));
        self.steps.push(match is_head {
            true => Step::ReceiveToHead,
            false => Step::Receive,
        });
        self
    }

    pub fn steps(mut self, steps: impl IntoIterator<Item = Step>) -> Row {
        self.steps.extend(steps);
        self
    }

    pub fn with(mut self, settings: &'static str) -> Row {
        self.settings = settings;
        self
    }

    /// The only replica's answer to everything.
    pub fn answered_by(self, text: &'static str) -> Row {
        self.replica(vec![answers(text)])
    }

    pub fn replica(mut self, script: Script) -> Row {
        self.replicas = vec![script];
        self
    }

    pub fn replicas(mut self, scripts: impl IntoIterator<Item = Script>) -> Row {
        self.replicas = scripts.into_iter().collect();
        self
    }

    pub fn unready(mut self) -> Row {
        self.is_ready = false;
        self
    }

    pub fn gets(mut self, answers: &'static [u16]) -> Row {
        self.answers = answers;
        self
    }

    pub fn records(mut self, count: usize) -> Row {
        self.records = count;
        self
    }

    pub fn differs(mut self, difference: Difference) -> Row {
        self.differs.push(difference);
        self
    }

    pub fn unsteady(mut self, lines: &'static [(&'static str, &'static str)]) -> Row {
        self.unsteady = lines;
        self
    }

    pub fn without(mut self, ways: &'static [(&'static str, &'static str)]) -> Row {
        self.without = ways;
        self
    }
}
