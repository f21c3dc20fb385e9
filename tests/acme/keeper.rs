//! The keeper of certificates beside a small server that gives its answers, in one process with the
//! test.

use crate::support::pebble::Pebble;
use crate::support::until;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tidegate::acme::{CertificateHandle, Connections, Keeper, Wanted, handle};
use tidegate::certs::challenges::{ACME_TLS_ALPN, HTTP_01_PATH};
use tidegate::certs::settings::{AcmeSettings, Ca, ChallengeKind, ChallengePorts};
use tidegate::certs::{
    Awaited, CertName, CertificateSource, Certificates, Challenges, NameReport, Reports,
    certificates, crypto, reports,
};
use tidegate::plugin::prelude::Event;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::server::{Acceptor, ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

pub const SOON: Duration = Duration::from_secs(40);

/// A keeper with its folder.
pub struct Kept {
    pub folder: Arc<TempDir>,
    pub table: Certificates,
    pub challenges: Challenges,
    pub awaited: Awaited,
    pub reports: Reports,
    pub handle: CertificateHandle,
    pub events: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
    server: Option<AnswerServer>,
}

impl Kept {
    /// Starts, and takes control; nothing listens where `pebble` asks.
    pub async fn start(wanted: Wanted) -> Kept {
        let kept = Kept::waiting(Arc::new(TempDir::new().expect("a folder")), wanted);
        kept.handle.take_control().await;
        kept
    }

    /// Starts behind a server that gives the answers, and takes control.
    pub async fn serving(wanted: Wanted, pebble: &Pebble) -> Kept {
        let folder = Arc::new(TempDir::new().expect("a folder"));
        Kept::waiting(folder, wanted).served(pebble).await
    }

    /// Gives the answers, and takes control.
    pub async fn served(mut self, pebble: &Pebble) -> Kept {
        self.server = Some(AnswerServer::start(pebble, &self.challenges).await);
        self.handle.take_control().await;
        self
    }

    /// Starts beside another process that has control.
    pub fn waiting(folder: Arc<TempDir>, wanted: Wanted) -> Kept {
        crypto::install();
        let (_files, writer, table) = certificates();
        let (awaited, questions) = Awaited::new();
        let (report_writer, reports) = reports();
        let challenges = Challenges::default();
        let events: Arc<Mutex<Vec<String>>> = Arc::default();
        let (handle, orders) = handle(wanted.clone());
        let told = Arc::clone(&events);
        let connections = Connections {
            writer,
            challenges: challenges.clone(),
            awaited: awaited.clone(),
            questions,
            reports: report_writer,
            tell: Arc::new(move |event: &Event| {
                told.lock().expect("whole").push(event.to_string());
            }),
        };
        let keeper = Keeper::new(folder.path(), wanted, connections);
        Kept {
            folder,
            table,
            challenges,
            awaited,
            reports,
            handle,
            events,
            task: tokio::spawn(keeper.run(orders)),
            server: None,
        }
    }

    /// Ends as a crash does; returns the folder.
    pub fn crash(self) -> Arc<TempDir> {
        Arc::clone(&self.folder)
    }

    pub fn report(&self, name: &str) -> Option<NameReport> {
        let name: CertName = name.parse().expect("a name");
        let reports = self.reports.load();
        reports.iter().find(|report| report.name == name).cloned()
    }

    /// Serial of the certificate that is served.
    pub fn serial(&self, name: &str) -> Option<String> {
        let table = self.table.load();
        let held = table.find(&name.parse().expect("a name"))?;
        Some(held.serial.clone())
    }

    /// Waits for a certificate; returns its serial.
    pub async fn has(&self, name: &str) -> String {
        until(&format!("a certificate for {name}"), SOON, || async {
            let serial = self.serial(name);
            let why = self.report(name).and_then(|report| report.last_error);
            assert!(serial.is_some() || why.is_none(), "{name}: {why:?}");
            serial
        })
        .await
    }

    /// Waits for a failure of the name's order; returns the reason.
    pub async fn fails(&self, name: &str) -> String {
        until(&format!("a failure of {name}"), SOON, || async {
            self.report(name)?.last_error
        })
        .await
    }

    pub fn origin(&self, name: &str) -> CertificateSource {
        let report = self.report(name).expect("a report");
        report.held.expect("held").source.clone()
    }

    pub fn tls_folder(&self) -> std::path::PathBuf {
        self.folder.path().join("tls")
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Names ordered at `pebble`.
pub fn wanted(pebble: &Pebble, names: &[&str], kinds: &[ChallengeKind]) -> Wanted {
    let settings = AcmeSettings {
        email: Some("ops@example.com".to_owned()),
        for_routes: true,
        ca: vec![Ca::Directory(pebble.directory())],
        ca_root: Some(pebble.root()),
        challenges: kinds.to_vec(),
        hosts: names
            .iter()
            .map(|name| name.parse().expect("a name"))
            .collect(),
        resolvers: vec![pebble.dns],
        challenge_ports: ChallengePorts {
            http: pebble.http_port,
            tls: pebble.tls_port,
        },
        ..AcmeSettings::nothing()
    };
    Wanted {
        settings: Arc::new(settings),
        routes: Vec::new(),
        has_catch_all: false,
        files: Vec::new(),
    }
}

/// Gives the answers of `challenges` at both ports, as the proxy does.
pub struct AnswerServer(Vec<JoinHandle<()>>);

impl AnswerServer {
    pub async fn start(pebble: &Pebble, challenges: &Challenges) -> AnswerServer {
        let http = listen(pebble.http_port).await;
        let tls = listen(pebble.tls_port).await;
        let (over_http, over_tls) = (challenges.clone(), challenges.clone());
        AnswerServer(vec![
            tokio::spawn(async move {
                while let Ok((stream, _)) = http.accept().await {
                    tokio::spawn(answer_http(stream, over_http.clone()));
                }
            }),
            tokio::spawn(async move {
                while let Ok((stream, _)) = tls.accept().await {
                    tokio::spawn(answer_tls(stream, over_tls.clone()));
                }
            }),
        ])
    }
}

impl Drop for AnswerServer {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

async fn listen(port: u16) -> TcpListener {
    let address: SocketAddr = ([127, 0, 0, 1], port).into();
    until("the port is free", SOON, || async {
        TcpListener::bind(address).await.ok()
    })
    .await
}

async fn answer_http(mut stream: TcpStream, challenges: Challenges) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let token = head
        .strip_prefix("GET ")
        .and_then(|rest| rest.strip_prefix(HTTP_01_PATH))
        .and_then(|rest| rest.split(' ').next());
    let answer = token.and_then(|token| challenges.http(token));
    let (status, body) = match &answer {
        Some(answer) => ("200 OK", answer.as_ref()),
        None => ("404 Not Found", "no"),
    };
    let length = body.len();
    let text =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}

#[derive(Debug)]
struct One(Arc<CertifiedKey>);

impl ResolvesServerCert for One {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

async fn answer_tls(stream: TcpStream, challenges: Challenges) {
    let Ok(start) = LazyConfigAcceptor::new(Acceptor::default(), stream).await else {
        return;
    };
    let name = start.client_hello().server_name().map(str::to_owned);
    let Some(key) = name.and_then(|name| challenges.tls(&name)) else {
        return;
    };
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(One(key)));
    config.alpn_protocols = vec![ACME_TLS_ALPN.to_vec()];
    if let Ok(mut stream) = start.into_stream(Arc::new(config)).await {
        let _ = stream.shutdown().await;
    }
}

/// Paths below `folder` that end in `end`.
pub fn files(folder: &Path, end: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return found;
    };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() {
            found.extend(files(&path, end));
        } else if path.to_string_lossy().ends_with(end) {
            found.push(path);
        }
    }
    found.sort();
    found
}
