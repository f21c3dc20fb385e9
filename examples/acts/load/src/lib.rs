//! Uploads distinct images through an edge and reads each back, byte for byte, from other replicas
//! than the one that took it.
#![forbid(unsafe_code)]

mod act;
mod client;
mod picture;
mod png;
mod progress;
mod random;

use act::{Act, CATEGORIES};
use client::Client;
use progress::Progress;
use serde_json::json;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fmt, io};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Reads of an image for each replica that is ready, at most: others ask at the same time, so the
/// turns are not all ours.
const READS_MAX: usize = 12;

/// More of them say nothing new.
const FAILURES_SHOWN: usize = 10;

#[derive(Clone)]
pub struct Load {
    /// Host and port.
    pub edge: String,
    /// Which images: the same number with the same seed is the same image.
    pub numbers: Range<u64>,
    pub seed: u64,
    pub at_once: usize,
    /// After each image.
    pub pause: Duration,
    pub shows_progress: bool,
}

/// Result over all images.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub uploaded: u64,
    /// Uploaded by an earlier run with the same seed.
    pub there_already: u64,
    /// Reads that were the same, byte for byte.
    pub read: u64,
    /// Attempts that met a crash, a busy edge or a broken connection, and were made again.
    pub repeated: u64,
    /// Names of the replicas that answered.
    pub replicas: BTreeSet<String>,
    pub failures: Vec<String>,
}

impl Report {
    fn add(&mut self, other: Report) {
        self.uploaded += other.uploaded;
        self.there_already += other.there_already;
        self.read += other.read;
        self.repeated += other.repeated;
        self.replicas.extend(other.replicas);
        self.failures.extend(other.failures);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let replicas = self.replicas.len();
        write!(
            f,
            "{} uploaded, {} there already, {} read byte for byte, through {replicas} replicas; \
             {} attempts repeated, {} failed",
            self.uploaded,
            self.there_already,
            self.read,
            self.repeated,
            self.failures.len(),
        )?;
        for failure in self.failures.iter().take(FAILURES_SHOWN) {
            write!(f, "\n  {failure}")?;
        }
        Ok(())
    }
}

impl Load {
    pub async fn upload(&self) -> Report {
        let mut client = Client::new(&self.edge);
        for category in CATEGORIES.iter() {
            let body = json!([category.name]).to_string();
            let failure = match client.post("/api/v1/categories", body).await {
                Ok(answer) if answer.status == 201 || exists(&answer.text()) => continue,
                Ok(answer) => format!("category {}: {}", category.name, answer.text()),
                Err(why) => why,
            };
            return Report {
                failures: vec![failure],
                ..Report::default()
            };
        }
        self.each(Job::Upload).await
    }

    /// The images as files, named by their numbers.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        for number in self.numbers.clone() {
            let image = Act::new(self.seed, number).image;
            std::fs::write(folder.join(format!("{number:03}.png")), image)?;
        }
        Ok(())
    }

    /// Reads every image from as many replicas as there are.
    pub async fn verify(&self) -> Report {
        self.each(Job::Read).await
    }

    fn progress(&self, what: &'static str) -> Progress {
        let all = self.numbers.end.saturating_sub(self.numbers.start);
        Progress::new(what, all, self.shows_progress)
    }

    /// Does the same with every act, several at once.
    async fn each(&self, job: Job) -> Report {
        let total = Arc::new(Mutex::new(Report::default()));
        let progress = Arc::new(self.progress(job.name()));
        let next = Arc::new(AtomicU64::new(self.numbers.start));
        let mut workers = JoinSet::new();
        for _ in 0..self.at_once.max(1) {
            let load = self.clone();
            let (next, total, progress) = (next.clone(), total.clone(), progress.clone());
            workers.spawn(async move {
                let mut client = Client::new(&load.edge);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= load.numbers.end {
                        return;
                    }
                    let act = Act::new(load.seed, number);
                    let mut report = Report::default();
                    let done = match job {
                        Job::Upload => upload(&mut client, &act, &mut report).await,
                        Job::Read => read(&mut client, &act, &mut report).await,
                    };
                    report.failures.extend(done.err());
                    report.repeated = std::mem::take(&mut client.repeated);
                    {
                        let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
                        total.add(report);
                        progress.step(total.repeated, total.failures.len());
                    }
                    sleep(load.pause).await;
                }
            });
        }
        let mut total_failures = Vec::new();
        while let Some(worker) = workers.join_next().await {
            total_failures.extend(worker.err().map(|error| error.to_string()));
        }
        progress.end();
        let mut total = total.lock().unwrap_or_else(PoisonError::into_inner).clone();
        total.failures.extend(total_failures);
        total
    }
}

#[derive(Clone, Copy)]
enum Job {
    Upload,
    Read,
}

impl Job {
    fn name(self) -> &'static str {
        match self {
            Job::Upload => "uploading",
            Job::Read => "reading",
        }
    }
}

async fn upload(client: &mut Client, act: &Act, report: &mut Report) -> Result<(), String> {
    let before = client.repeated;
    let answer = client.post("/api/v1/acts", act.body()).await?;
    report.replicas.extend(answer.replica().map(str::to_owned));
    match answer.status.as_u16() {
        201 => report.uploaded += 1,
        // An attempt whose answer was lost had been carried out.
        400 if exists(&answer.text()) && client.repeated > before => report.uploaded += 1,
        400 if exists(&answer.text()) => report.there_already += 1,
        _ => {
            return Err(format!(
                "act {}: {}: {}",
                act.id,
                answer.status,
                answer.text()
            ));
        }
    }
    Ok(())
}

/// Reads until as many replicas as are ready have shown the image; without the edge's word on how
/// many that are, until nobody new has answered three times in a row.
async fn read(client: &mut Client, act: &Act, report: &mut Report) -> Result<(), String> {
    let path = format!("/api/v1/acts/{}/image", act.id);
    let (mut seen, mut old) = (BTreeSet::new(), 0);
    for turn in 1_usize.. {
        let answer = client.get(&path).await?;
        if answer.status != 200 || answer.body != act.image {
            let (status, bytes) = (answer.status, answer.body.len());
            let wanted = act.image.len();
            return Err(format!(
                "act {}: {status} with {bytes} bytes that are not the {wanted} uploaded",
                act.id
            ));
        }
        report.read += 1;
        report.replicas.extend(answer.replica().map(str::to_owned));
        let who = answer
            .place()
            .map_or(answer.replica(), |(slot, _)| Some(slot));
        old = match seen.insert(who.unwrap_or_default().to_owned()) {
            true => 0,
            false => old + 1,
        };
        let ready = answer.place().map(|(_, ready)| ready);
        if ready.map_or(old >= 3, |ready| seen.len() >= ready) {
            return Ok(());
        }
        if turn >= READS_MAX * ready.unwrap_or(1) {
            break;
        }
    }
    let shown = seen.len();
    Err(format!("act {}: only {shown} replicas showed it", act.id))
}

fn exists(text: &str) -> bool {
    text.contains("exists already")
}
