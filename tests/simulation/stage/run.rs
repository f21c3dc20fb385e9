//! One run, from its seed to its end.

use super::faults::{FAULTS, PLANNED, WITNESS, WITNESSED};
use super::state::Stage;
use std::time::Duration;
use tidegate::service::spec::ServiceName;
use tokio::time::sleep;

/// Log of a run, and the promise that was broken.
pub struct Run {
    pub log: Vec<String>,
    pub broken: Option<String>,
}

pub fn play(seed: u64) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let book = runtime.block_on(async {
        let mut stage = Stage::new(seed);
        stage.run().await;
        stage.book.clone()
    });
    drop(runtime);
    let mut book = book.lock();
    Run {
        log: std::mem::take(&mut book.log),
        broken: book.broken.take(),
    }
}

impl Stage {
    pub async fn run(&mut self) {
        // Each run leaves some faults out, so that the others are seen by themselves.
        let mut kinds: Vec<usize> = (0..FAULTS).collect();
        kinds.retain(|_| self.book.lock().rng.percent(60));
        if self.below(6) == 0 {
            kinds = PLANNED.collect();
            let mut book = self.book.lock();
            (book.planned, book.failing) = (true, false);
        } else if self.below(4) == 0 {
            kinds = WITNESSED.collect();
            let mut book = self.book.lock();
            (book.slow, book.failing) = (false, false);
            book.witness = Some(ServiceName::new(WITNESS));
        }
        self.begin().await;
        let steps = 20 + self.below(80);
        for _ in 0..steps {
            let pause = self.pause();
            sleep(pause).await;
            if let Some(kind) = self.pick(&kinds) {
                self.fault(kind).await;
            }
            self.requests();
            self.judge();
            if self.book.lock().broken.is_some() {
                return;
            }
        }
        if self.below(5) == 0 {
            self.calm();
            if self.below(2) == 0 {
                self.book.lock().planned = false;
                self.restart().await;
            }
        } else {
            self.heal().await;
            self.wake_all().await;
        }
        self.leave().await;
    }

    pub fn pause(&mut self) -> Duration {
        let rng = &mut self.book.lock().rng;
        match rng.below(8) {
            0 => Duration::ZERO,
            1 | 2 => rng.millis(1, 50),
            3..=5 => rng.millis(50, 2_000),
            6 => rng.millis(2_000, 10_000),
            _ => rng.millis(10_000, 30_000),
        }
    }
}
