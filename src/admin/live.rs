//! The state for streams: rendered as JSON when it changes and once a second, once for all streams.

use super::history::History;
use super::numbers::{AllNumbers, SAMPLE_EVERY, Sampler};
use super::series::PastSeries;
use super::view;
use crate::service::store::Reader;
use serde::Serialize;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, sleep_until};

/// Delay of a change, in which further ones are collected.
const SHOW_WITHIN: Duration = Duration::from_millis(250);

/// Measured numbers, and the state for streams. Clones share them.
#[derive(Clone)]
pub struct Live(Arc<LiveState>);

struct LiveState {
    numbers: watch::Sender<Arc<AllNumbers>>,
    past: Mutex<PastSeries>,
    board: watch::Sender<Arc<Board>>,
}

/// Every service as JSON.
#[derive(Default)]
pub struct Board {
    pub engine_up: bool,
    pub services: BTreeMap<String, Card>,
}

pub struct Card {
    pub json: Arc<str>,
    /// Version of the content, without ages.
    pub version: u64,
}

impl Default for Live {
    fn default() -> Live {
        Live(Arc::new(LiveState {
            numbers: watch::Sender::default(),
            past: Mutex::default(),
            board: watch::Sender::default(),
        }))
    }
}

impl Live {
    pub fn numbers(&self) -> Arc<AllNumbers> {
        Arc::clone(&self.0.numbers.borrow())
    }

    /// Numbers of the last minutes.
    pub fn lately(&self) -> view::RecentSeries {
        self.past().lately()
    }

    /// A channel with the state, which changes with it.
    pub fn watch(&self, reader: &Reader, history: &History) -> watch::Receiver<Arc<Board>> {
        if self.0.board.receiver_count() == 0 {
            // Nobody looked, so nothing was shown.
            self.show(reader, history);
        }
        self.0.board.subscribe()
    }

    /// Measures while it is polled, and renders the state while there are streams.
    pub async fn run(self, mut reader: Reader, history: History) {
        let mut sampler = Sampler::new(Instant::now());
        let mut tick = tokio::time::interval(SAMPLE_EVERY);
        // Points are taken for exactly a second apart.
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut show_at: Option<Instant> = None;
        loop {
            let is_watched = self.0.board.receiver_count() > 0;
            tokio::select! {
                biased;
                _ = tick.tick() => {
                    let snapshot = reader.load();
                    let numbers = sampler.sample(&snapshot, Instant::now());
                    self.past().note(&snapshot, &numbers);
                    self.0.numbers.send_replace(Arc::new(numbers));
                    history.keep_only(|name| snapshot.services.contains_key(name));
                }
                () = sleep_until(show_at.unwrap_or_else(Instant::now)), if show_at.is_some() => {}
                changed = reader.changed(), if is_watched && show_at.is_none() => {
                    if changed.is_err() {
                        return;
                    }
                    show_at = Some(Instant::now() + SHOW_WITHIN);
                    continue;
                }
            }
            show_at = None;
            reader.seen();
            if self.0.board.receiver_count() > 0 {
                self.show(&reader, &history);
            }
        }
    }

    fn past(&self) -> MutexGuard<'_, PastSeries> {
        self.0.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, reader: &Reader, history: &History) {
        let overview = view::overview(&reader.load(), &self.numbers(), history);
        let services = overview.services.into_iter().filter_map(Card::new);
        let board = Board {
            engine_up: overview.engine_up,
            services: services.collect(),
        };
        self.0.board.send_replace(Arc::new(board));
    }
}

impl Card {
    fn new(mut service: view::ServiceJson) -> Option<(String, Card)> {
        let json = serde_json::to_string(&service).ok()?;
        for replica in &mut service.replicas {
            (replica.since_seconds, replica.age_seconds) = (0.0, None);
        }
        let card = Card {
            json: json.into(),
            version: fingerprint(&service)?,
        };
        Some((service.name, card))
    }
}

fn fingerprint(value: &impl Serialize) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    serde_json::to_vec(value).ok()?.hash(&mut hasher);
    Some(hasher.finish())
}
