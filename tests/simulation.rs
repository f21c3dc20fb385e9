//! The control loop in a world of faults, on paused time: whatever goes wrong, every promise
//! holds at every step, and when the faults cease, the world comes to be as it was declared.
//!
//! A seed makes the very same run. `SIM_SEED=n` replays one, `SIM_SEEDS=n` plays more; a seed
//! that fails prints itself and everything that happened.

mod book;
mod client;
mod rng;
mod stage;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// About half a minute on two cores.
const SEEDS: u64 = 2000;
const FAILURES_SHOWN: usize = 40;

#[test]
fn no_fault_breaks_a_promise_and_the_world_heals() {
    let number = |name: &str| -> Option<u64> {
        let value = std::env::var(name).ok()?;
        Some(value.parse().expect("a number"))
    };
    if let Some(seed) = number("SIM_SEED") {
        let run = stage::play(seed);
        println!("{}", run.log.join("\n"));
        assert_eq!(run.broken, None, "seed {seed}");
        return;
    }
    let seeds = number("SIM_SEEDS").unwrap_or(SEEDS);
    let (next, failed) = (AtomicU64::new(0), Mutex::new(BTreeMap::new()));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    let broken = match catch_unwind(AssertUnwindSafe(|| stage::play(seed))) {
                        Ok(run) => run.broken,
                        Err(_) => Some("it panicked".to_owned()),
                    };
                    if let Some(broken) = broken {
                        failed.lock().expect("no panic").insert(seed, broken);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no panic");
    let Some((first, _)) = failed.first_key_value() else {
        return;
    };
    println!("{}", stage::play(*first).log.join("\n"));
    for (seed, broken) in failed.iter().take(FAILURES_SHOWN) {
        println!("SIM_SEED={seed}: {broken}");
    }
    panic!(
        "{} of {seeds} seeds failed; the first one is shown",
        failed.len()
    );
}

#[test]
fn a_seed_makes_the_very_same_run() {
    for seed in [1, 2] {
        assert_eq!(stage::play(seed).log, stage::play(seed).log);
    }
}
