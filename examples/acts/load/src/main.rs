#![forbid(unsafe_code)]

use clap::Parser;
use load::Load;
use std::process::ExitCode;
use std::time::Duration;

/// Uploads distinct images through an edge, and reads each back from every replica
#[derive(Parser)]
struct Flags {
    /// Host and port of the edge
    #[arg(long, default_value = "127.0.0.1:80")]
    edge: String,
    /// How many images
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    images: u64,
    /// Another number uploads other images
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Requests at once
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    at_once: u16,
    /// Milliseconds to wait after each image
    #[arg(long, default_value_t = 0)]
    pause_ms: u64,
    /// Upload nothing, and only read what an earlier run uploaded
    #[arg(long)]
    read_only: bool,
    /// Write the images into this folder, and ask nobody
    #[arg(long, value_name = "FOLDER")]
    write: Option<std::path::PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags = Flags::parse();
    let load = Load {
        edge: flags.edge,
        numbers: 0..flags.images,
        seed: flags.seed,
        at_once: flags.at_once.into(),
        pause: Duration::from_millis(flags.pause_ms),
        shows_progress: true,
    };
    if let Some(folder) = flags.write {
        return match load.write(&folder) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("load: writing into {}: {error}", folder.display());
                ExitCode::FAILURE
            }
        };
    }
    let mut failed = false;
    if !flags.read_only {
        let report = load.upload().await;
        println!("{report}");
        failed |= !report.failures.is_empty();
    }
    let report = load.verify().await;
    println!("{report}");
    failed |= !report.failures.is_empty();
    match failed {
        false => ExitCode::SUCCESS,
        true => ExitCode::FAILURE,
    }
}
