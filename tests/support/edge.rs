//! The real binary with a configuration of the test's own.

use super::client::{self, Answer};
use super::{docker, free_port, until};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_tidegate");
const START_WITHIN: Duration = Duration::from_secs(20);
/// No command of the binary takes this long, `run` apart.
const COMMAND_WITHIN: Duration = Duration::from_secs(60);
/// The user and group without rights, by the same number on every Linux.
const NOBODY: u32 = 65534;

pub struct Edge {
    pub address: SocketAddr,
    pub admin: SocketAddr,
    /// Shared with its successors.
    pub folder: Arc<TempDir>,
    /// Its containers, and no others, carry this name.
    pub instance: String,
    environment: Vec<(&'static str, String)>,
    /// A test of this program that runs in place of the binary, and the variable in which it finds
    /// its arguments.
    stand_in: Option<(&'static str, &'static str)>,
    is_nobody: bool,
    has_containers: AtomicBool,
    passes: Option<Arc<TcpListener>>,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
    child: Option<Child>,
}

impl Edge {
    /// Starts with `services` (and whatever else) below the keys that every test sets.
    pub async fn start(services: &str) -> Edge {
        let edge = Edge::prepare(services);
        edge.spawned().await
    }

    pub fn prepare(services: &str) -> Edge {
        let admin = free_port();
        let edge = Edge {
            address: ([127, 0, 0, 1], free_port()).into(),
            admin: ([127, 0, 0, 1], admin).into(),
            folder: Arc::new(TempDir::new().expect("a folder")),
            instance: format!("test-edge-{}-{admin}", std::process::id()),
            environment: Vec::new(),
            stand_in: None,
            is_nobody: false,
            has_containers: AtomicBool::new(false),
            passes: None,
            log: Arc::default(),
            reader: None,
            child: None,
        };
        edge.write(services);
        edge
    }

    /// Another process with everything that this one has: addresses, folder, configuration.
    pub fn successor(&self) -> Edge {
        Edge {
            address: self.address,
            admin: self.admin,
            folder: Arc::clone(&self.folder),
            instance: self.instance.clone(),
            environment: self.environment.clone(),
            stand_in: self.stand_in,
            is_nobody: self.is_nobody,
            has_containers: AtomicBool::new(self.has_containers.load(Ordering::Relaxed)),
            passes: None,
            log: Arc::default(),
            reader: None,
            child: None,
        }
    }

    /// This edge with the addresses, folder and configuration of `other`, and an environment of
    /// its own.
    pub fn instead_of(mut self, other: &Edge) -> Edge {
        let mut next = other.successor();
        next.environment = std::mem::take(&mut self.environment);
        next
    }

    /// Starts a successor and waits until it has taken over.
    pub async fn upgraded(&self) -> Edge {
        let mut next = self.successor();
        next.spawn(&["--upgrade"]);
        next.says("took over from process").await;
        next
    }

    /// Waits until its log has `words`.
    pub async fn says(&self, words: &str) {
        let deadline = tokio::time::Instant::now() + START_WITHIN;
        while !self.log().contains(words) {
            let log = self.log();
            let now = tokio::time::Instant::now();
            assert!(now < deadline, "`{words}` is not in its log:\n{log}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Sets a variable for every process of this edge.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Edge {
        self.set(name, value);
        self
    }

    pub fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.environment.push((name, value.into()));
    }

    /// Holds a socket that listens on `address` and passes it to whatever is started from now on.
    pub fn holding(mut self, address: SocketAddr) -> Edge {
        self.passes = Some(Arc::new(TcpListener::bind(address).expect("a free port")));
        self
    }

    /// Runs a test of this program in place of the binary, for plugins of the test's own. It finds
    /// the arguments in `variable`, one a line.
    pub fn run_by(mut self, test: &'static str, variable: &'static str) -> Edge {
        self.stand_in = Some((test, variable));
        self
    }

    /// Gives up every right for what is started from now on, when there is one to give up.
    pub fn by_nobody(mut self) -> Edge {
        let binary = self.folder.path().join("tidegate");
        // By a process of its own: a file that this one holds open for writing is inherited by
        // whatever another test starts at that moment, and then the kernel will not run it.
        let copied = Command::new("cp").arg(BINARY).arg(&binary).status();
        assert!(copied.expect("cp").success(), "copied");
        if nix::unistd::geteuid().is_root() {
            for path in [self.folder.path(), &binary, &self.file()] {
                chown(path, Some(NOBODY), Some(NOBODY)).expect("given away");
            }
        }
        self.is_nobody = true;
        self
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("tidegate.yaml")
    }

    /// Replaces the configuration file.
    pub fn write(&self, services: &str) {
        let head = format!(
            "listen: [\"{}\"]\nadmin: {{ listen: \"{}\", hosts: [edge.example.com] }}\nstate_dir: {}\nthreads: 2\n\
             instance: {}\n",
            self.address,
            self.admin,
            self.folder.path().display(),
            self.instance,
        );
        if services.contains("image:") {
            self.has_containers.store(true, Ordering::Relaxed);
        }
        std::fs::write(self.file(), head + services).expect("written");
    }

    pub async fn spawned(mut self) -> Edge {
        self.spawn(&[]);
        self.listening().await;
        self
    }

    pub fn spawn(&mut self, arguments: &[&str]) {
        let file = self.file();
        let file = file.to_str().expect("text");
        self.spawn_bare(&[&["run", "-c", file], arguments].concat());
    }

    /// Like `spawn`, with nothing but `arguments`.
    pub fn spawn_bare(&mut self, arguments: &[&str]) {
        let mut command = self.command(arguments);
        if let Some(listener) = &self.passes {
            let listener = listener.try_clone().expect("a descriptor");
            command = passing(&command, listener.into());
        }
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the binary");
        let stderr = child.stderr.take().expect("piped");
        let log = Arc::clone(&self.log);
        self.reader = Some(std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                log.lock().expect("no panic").push(line);
            }
        }));
        self.child = Some(child);
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let folder = self.folder.path();
        let mut command = if self.is_nobody {
            command(folder.join("tidegate"), folder)
        } else if let Some((test, variable)) = self.stand_in {
            let program = std::env::current_exe().expect("this program");
            let mut command = command(program, folder);
            command
                .args([test, "--exact", "--include-ignored", "--nocapture"])
                .env(variable, arguments.join("\n"))
                .stdout(Stdio::null());
            command
        } else {
            command(BINARY, folder)
        };
        if self.is_nobody && nix::unistd::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        if self.stand_in.is_none() {
            command.args(arguments);
        }
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        command.envs(environment);
        command
    }

    /// Runs another command of the binary with this edge's configuration.
    pub async fn tidegate(&self, arguments: &[&str]) -> Ran {
        let file = self.file();
        let file = file.to_str().expect("text");
        ran(self.command(&[arguments, &["-c", file]].concat())).await
    }

    /// Starts it to see it refuse: the exit code, and what it said.
    pub async fn refused(&mut self) -> (Option<i32>, String) {
        self.spawn(&[]);
        let code = self.ended(START_WITHIN).await;
        (code, self.log())
    }

    pub async fn listening(&self) {
        until("the edge listens", START_WITHIN, || async {
            let edge = tokio::net::TcpStream::connect(self.address).await;
            let admin = tokio::net::TcpStream::connect(self.admin).await;
            (edge.is_ok() && admin.is_ok()).then_some(())
        })
        .await;
    }

    /// Waits until each service has a replica in rotation.
    pub async fn ready(&self) {
        until("every service is ready", START_WITHIN, || async {
            (client::get(self.admin, "/readyz").await.status == 200).then_some(())
        })
        .await;
    }

    pub async fn get(&self, path: &str) -> Answer {
        client::get(self.address, path).await
    }

    /// One service as the admin API shows it.
    pub async fn service(&self, name: &str) -> serde_json::Value {
        client::get(self.admin, &format!("/api/v1/services/{name}"))
            .await
            .json()
    }

    /// Replicas of a service, as in `8000=ready 8001=starting`.
    pub async fn picture(&self, service: &str) -> String {
        picture_of(&self.service(service).await)
    }

    /// Waits until `service` looks like this, as in `8000=ready 8001=starting`.
    pub async fn shows(&self, service: &str, picture: &str, within: Duration) {
        let last = Mutex::new(String::new());
        let look = || async {
            let now = self.picture(service).await;
            let same = now == picture;
            *last.lock().expect("no panic") = now;
            same.then_some(())
        };
        let deadline = tokio::time::Instant::now() + within;
        while look().await.is_none() {
            let now = tokio::time::Instant::now();
            assert!(
                now < deadline,
                "{service} is `{}` and not `{picture}`\n{}",
                last.lock().expect("no panic"),
                self.log(),
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn metric(&self, name: &str) -> Option<f64> {
        let text = client::get(self.admin, "/metrics").await.text();
        let line = text.lines().find(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(' '))
        })?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// Waits until the metric has this value: much is counted after the client has its answer.
    pub async fn counts(&self, name: &str, value: f64) {
        until(&format!("{name} {value}"), START_WITHIN, || async {
            (self.metric(name).await == Some(value)).then_some(())
        })
        .await;
    }

    /// Waits for the line: the log comes through a pipe of its own, later than what it tells of.
    pub async fn logs(&self, text: &str) {
        until(text, START_WITHIN, || async {
            self.log().contains(text).then_some(())
        })
        .await;
    }

    pub fn log(&self) -> String {
        self.log.lock().expect("no panic").join("\n")
    }

    pub fn pid(&self) -> i32 {
        self.child.as_ref().expect("running").id() as i32
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), signal).expect("signalled");
    }

    /// Waits for the process to end by itself.
    pub async fn ended(&mut self, within: Duration) -> Option<i32> {
        let mut child = self.child.take().expect("running");
        let deadline = tokio::time::Instant::now() + within;
        loop {
            if let Some(status) = child.try_wait().expect("a child of ours") {
                if let Some(reader) = self.reader.take() {
                    reader.join().expect("no panic");
                }
                return status.code();
            }
            if tokio::time::Instant::now() >= deadline {
                let _ = child.kill();
                let _ = child.wait();
                panic!("it did not end within {within:?}\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// kill -9, as a crash would.
    pub fn crash(&mut self) {
        assert!(self.child.is_some(), "running");
        self.stop_now();
    }

    /// Ends the process, whatever it is doing.
    pub fn stop_now(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.stop_now();
        // The last one of several that share them removes the containers.
        if self.has_containers.load(Ordering::Relaxed) && Arc::strong_count(&self.folder) == 1 {
            docker::clean(&format!("label=io.tidegate.instance={}", self.instance));
            forget_lock(&self.instance);
        }
        if std::thread::panicking() {
            eprintln!(
                "--- the edge's log ---\n{}",
                self.log
                    .lock()
                    .map(|log| log.join("\n"))
                    .unwrap_or_default()
            );
        }
    }
}

/// One that was killed leaves its lock's file behind.
fn forget_lock(instance: &str) {
    let files = std::fs::read_dir("/run/tidegate").into_iter().flatten();
    for file in files.flatten() {
        let name = file.file_name();
        if name.to_string_lossy().starts_with(&format!("{instance}-")) {
            let _ = std::fs::remove_file(file.path());
        }
    }
}

fn picture_of(service: &serde_json::Value) -> String {
    let replicas = service["replicas"].as_array().cloned().unwrap_or_default();
    let words = replicas.iter().map(|replica| {
        format!(
            "{}={}",
            replica["slot"],
            replica["state"].as_str().unwrap_or("?")
        )
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// Runs a command of the binary in an empty folder.
pub async fn tidegate(arguments: &[&str]) -> Ran {
    let folder = TempDir::new().expect("a folder");
    let mut command = command(BINARY, folder.path());
    command.args(arguments);
    ran(command).await
}

pub async fn ran(command: Command) -> Ran {
    let mut command = tokio::process::Command::from(command);
    let output = command.kill_on_drop(true).output();
    let output = tokio::time::timeout(COMMAND_WITHIN, output)
        .await
        .expect("it ends")
        .expect("the binary");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Ran {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// The binary, in `folder`, with nothing of its own in the environment.
fn command(binary: impl AsRef<OsStr>, folder: &Path) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TIDEGATE_") {
            command.env_remove(name);
        }
    }
    command
        .env_remove("LISTEN_FDS")
        .env("TIDEGATE_LOG", "tidegate=debug,warn")
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

/// The same command with `socket` passed to it, as systemd does it. A shell knows the number of
/// the process that it becomes.
fn passing(command: &Command, socket: OwnedFd) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args([
            "-c",
            "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"",
            "sh",
        ])
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(socket);
    if let Some(folder) = command.get_current_dir() {
        shell.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}
