//! Counts the instructions in user space that a request takes behind each edge, by callgrind, and
//! keeps the profile.

#![forbid(unsafe_code)]

use clap::{Parser, ValueEnum};
use compare::backend;
use compare::client::connection::{Ask, Connection};
use compare::edge::{Edge, Setup, Which};
use kit::process::Process;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::process::Command;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, timeout};

/// Under callgrind everything is some fifty times slower.
const STARTS_WITHIN: Duration = Duration::from_secs(120);
const ONE_WITHIN: Duration = Duration::from_secs(120);
/// `rep movsb` would count as an instruction for each byte that it moves.
const NO_REP: &str = "GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=1000000000:\
    glibc.cpu.x86_rep_stosb_threshold=1000000000";
/// So that pools, tables and the allocator are warm.
const WARM_UP: usize = 100;

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Case {
    /// A small GET
    Get,
    /// The same, with an access log
    GetLogged,
    /// 10 KiB of a body
    Post,
    /// 1 MiB of a body
    #[value(name = "post-1m")]
    PostHuge,
    /// 64 KiB of an answer
    Large,
    /// 1 MiB of an answer
    #[value(name = "1m")]
    Huge,
}

impl Case {
    const ALL: [Case; 6] = [
        Case::Get,
        Case::GetLogged,
        Case::Post,
        Case::PostHuge,
        Case::Large,
        Case::Huge,
    ];

    fn about(self) -> &'static str {
        match self {
            Case::Get => "small GET",
            Case::GetLogged => "small GET, access log",
            Case::Post => "10 KiB POST",
            Case::PostHuge => "1 MiB POST",
            Case::Large => "64 KiB answer",
            Case::Huge => "1 MiB answer",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Case::Get => "get",
            Case::GetLogged => "get-logged",
            Case::Post => "post",
            Case::PostHuge => "post-huge",
            Case::Large => "large",
            Case::Huge => "huge",
        }
    }

    fn ask(self) -> Ask {
        match self {
            Case::Get | Case::GetLogged => Ask::small(),
            Case::Post => Ask::post(10 << 10),
            Case::PostHuge => Ask::post(1 << 20),
            Case::Large => Ask::large(64 << 10),
            Case::Huge => Ask::large(1 << 20),
        }
    }
}

#[derive(Parser)]
struct Options {
    /// The binary under test
    tidegate: PathBuf,
    /// Only these cases
    #[arg(long, value_enum)]
    only: Vec<Case>,
    /// Only these edges; Caddy is there when it is named, because Go suits callgrind badly
    #[arg(long, value_enum)]
    edge: Vec<Which>,
    /// Requests that are counted
    #[arg(long, default_value_t = 1000)]
    requests: usize,
    /// Where the profiles go
    #[arg(long, default_value = "target/instructions")]
    profiles: PathBuf,
    /// Write the table into this file, between its marks
    #[arg(long)]
    update: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    match LocalSet::new().run_until(run(&options)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("instructions: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), String> {
    kit::process::raise_open_files()?;
    let or = |chosen: &[Case]| match chosen.is_empty() {
        true => Case::ALL.to_vec(),
        false => chosen.to_vec(),
    };
    let edges = match options.edge.is_empty() {
        true => vec![Which::Tidegate, Which::Haproxy, Which::Nginx],
        false => options.edge.clone(),
    };
    let failed = |why| format!("{}: {why}", options.profiles.display());
    fs::create_dir_all(&options.profiles).map_err(failed)?;
    let profiles = options.profiles.canonicalize().map_err(failed)?;
    let binary = options.tidegate.canonicalize();
    let binary = binary.map_err(|why| format!("{}: {why}", options.tidegate.display()))?;
    let versions: Result<Vec<String>, String> =
        edges.iter().map(|edge| edge.version(&binary)).collect();
    let versions = versions?.join(", ");
    let replicas = backend::start()?;
    let names: Vec<&str> = edges.iter().map(|edge| edge.name()).collect();
    let mut text = format!(
        "{versions}; {} requests, one at a time on one connection.\n\n| request | {} |\n|---|{}\n",
        options.requests,
        names.join(" | "),
        "--:|".repeat(names.len()),
    );
    println!("instructions per request:");
    for case in or(&options.only) {
        let mut counts = Vec::new();
        for which in &edges {
            let file = profiles.join(format!("{}-{}.out", which.name(), case.name()));
            let setup = Setup {
                which: *which,
                tidegate: binary.clone(),
                replicas: replicas.to_vec(),
                services: None,
                health: backend::HEALTH,
                logs_requests: case == Case::GetLogged,
                certificate: None,
                under: callgrind(&file),
                starts_within: STARTS_WITHIN,
            };
            let count = measure(&setup, case, options.requests, &file).await?;
            println!("  {:<22} {:<10} {count:>8.0}", case.about(), which.name());
            counts.push((*which, count));
        }
        let peer = counts.iter().find(|(which, _)| *which == Which::Haproxy);
        let peer = peer.map(|(_, count)| *count);
        text += &format!("| {} |", case.about());
        for (which, count) in &counts {
            let ratio = peer.filter(|_| *which != Which::Haproxy);
            let ratio = ratio.map(|peer| format!(" ({:.2})", count / peer));
            text += &format!(" {count:.0}{} |", ratio.unwrap_or_default());
        }
        text += "\n";
    }
    println!(
        "\n{text}\nprofiles, and the 25 first functions of each (.txt): {}",
        profiles.display()
    );
    match &options.update {
        Some(file) => kit::marks::update(file, "instructions", &text),
        None => Ok(()),
    }
}

fn callgrind(file: &Path) -> Vec<String> {
    vec![
        "env".to_owned(),
        NO_REP.to_owned(),
        "valgrind".to_owned(),
        "--tool=callgrind".to_owned(),
        format!("--callgrind-out-file={}", file.display()),
    ]
}

/// A dump holds what was counted since the one before. So the first one takes the start-up and
/// the warming up, the second one the requests, and the third one as much time without requests:
/// what health checks and clocks took is subtracted.
async fn measure(setup: &Setup, case: Case, count: usize, file: &Path) -> Result<f64, String> {
    remove_dumps(file);
    let edge = Edge::start(setup).await?;
    let ask = case.ask();
    let mut connection = Connection::open(Ipv4Addr::LOCALHOST, edge.address, &ask).await?;
    requests(&mut connection, &ask, WARM_UP).await?;
    dump(&edge.process).await?;
    let began = Instant::now();
    requests(&mut connection, &ask, count).await?;
    let took = began.elapsed();
    dump(&edge.process).await?;
    sleep(took).await;
    dump(&edge.process).await?;
    edge.stop().await;
    let [busy, idle] = [2, 3].map(|number| total(&numbered(file, number)));
    let count = (busy? as f64 - idle? as f64) / count as f64;
    let _ = fs::rename(numbered(file, 2), file);
    annotate(file).await?;
    remove_dumps(file);
    Ok(count)
}

async fn requests(connection: &mut Connection, ask: &Ask, count: usize) -> Result<(), String> {
    let all = async {
        for _ in 0..count {
            connection.ask(ask).await?;
        }
        Ok(())
    };
    let all = timeout(ONE_WITHIN, all).await;
    all.unwrap_or_else(|_| Err(format!("{count} requests took more than {ONE_WITHIN:?}")))
}

async fn dump(process: &Process) -> Result<(), String> {
    let dumped = Command::new("callgrind_control")
        .args(["--dump", &process.id().to_string()])
        .kill_on_drop(true)
        .output();
    let dumped = timeout(Duration::from_secs(20), dumped).await;
    let dumped = dumped.map_err(|_| "callgrind_control does not come back".to_owned())?;
    let dumped = dumped.map_err(|why| {
        format!("callgrind_control: {why}\n  hint: `scripts/setup --bench` installs valgrind")
    })?;
    let said = String::from_utf8_lossy(&dumped.stdout).into_owned();
    match said.contains("OK") {
        true => Ok(()),
        false => Err(format!("callgrind_control: {said}")),
    }
}

fn numbered(file: &Path, number: u32) -> PathBuf {
    PathBuf::from(format!("{}.{number}", file.display()))
}

fn remove_dumps(file: &Path) {
    for number in 1..10 {
        let _ = fs::remove_file(numbered(file, number));
    }
}

fn total(file: &Path) -> Result<u64, String> {
    let text = fs::read_to_string(file).map_err(|why| format!("{}: {why}", file.display()))?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total = total.and_then(|total| total.split_whitespace().next()?.parse().ok());
    total.ok_or_else(|| format!("{} has no totals", file.display()))
}

async fn annotate(file: &Path) -> Result<(), String> {
    let output = Command::new("callgrind_annotate")
        .args(["--auto=no", "--threshold=100"])
        .arg(file)
        .output();
    let output = timeout(Duration::from_secs(60), output).await;
    let output = output.map_err(|_| "callgrind_annotate does not come back".to_owned())?;
    let output = output.map_err(|why| format!("callgrind_annotate: {why}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let is_entry = |line: &&str| {
        let first = line
            .trim_start()
            .split([' ', '('])
            .next()
            .unwrap_or_default();
        !first.is_empty()
            && first
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b',')
    };
    // The first one is the sum; after it come those that never returned, with all of it.
    let is_whole = |line: &&str| line.contains("(100.0%)") || line.contains("(99.");
    let top: Vec<&str> = text
        .lines()
        .filter(is_entry)
        .enumerate()
        .filter(|(number, line)| *number == 0 || !is_whole(line))
        .map(|(_, line)| line)
        .take(26)
        .collect();
    let shown = file.with_extension("txt");
    fs::write(&shown, top.join("\n") + "\n").map_err(|why| format!("{}: {why}", shown.display()))
}
