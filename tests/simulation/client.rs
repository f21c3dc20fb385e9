//! The engine as the control loop meets it: slow, failing halfway, forgetful of what changed.

use super::book::{Shared, Stuck};
use async_trait::async_trait;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use std::time::Duration;
use tidegate::engine::fake::FakeEngine;
use tidegate::engine::{Abilities, Engine, EngineError, ErrorKind, Place, World};
use tidegate::service::replica::ReplicaId;
use tidegate::service::spec::{ImageId, Pull, Slot, Spec};
use tokio::sync::watch;

/// A call that hangs is given up after this.
const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// One life of Tidegate's connection to the engine.
pub struct Client {
    pub engine: FakeEngine,
    pub book: Shared,
    /// Counts the lives of Tidegate.
    pub life: u32,
    /// True once this life is over. Some calls are then finished by the engine all the same,
    /// others stay where they were.
    pub over: watch::Receiver<bool>,
}

/// Fate of one call. A call fails before its first step, between its two steps, or after the
/// second, when everything was done and only the answer is lost.
struct Fate {
    pauses: [Duration; 3],
    fails: Option<(Point, ErrorKind)>,
    ends_with_caller: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Point {
    Before,
    Between,
    After,
}

fn error(kind: ErrorKind, op: &'static str) -> EngineError {
    EngineError {
        kind,
        op,
        message: "fate".to_owned(),
    }
}

impl Fate {
    async fn at(&self, point: Point, op: &'static str) -> Result<(), EngineError> {
        let pause = self.pauses[point as usize];
        // Tokio's clock has a grain of a millisecond: even a sleep of nothing would take one.
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        match self.fails {
            Some((when, kind)) if when == point => Err(error(kind, op)),
            _ => Ok(()),
        }
    }
}

impl Client {
    fn fate(&self, longest_ms: u64, kinds: &[ErrorKind]) -> Fate {
        let mut book = self.book.lock();
        let failing = book.failing;
        let (slow, rng) = book.chance();
        if !slow {
            let pauses = [0, 200, 0].map(Duration::from_millis);
            return Fate {
                pauses,
                fails: None,
                ends_with_caller: true,
            };
        }
        let mut pauses = || rng.delay(longest_ms);
        let pauses = [pauses(), pauses(), pauses()];
        let points = [Point::Before, Point::Between, Point::After];
        let fails = (failing && rng.percent(12)).then(|| {
            let point = rng.pick(&points).expect("not empty");
            // Only a lost connection fails what was done.
            let kind = match point {
                Point::After => ErrorKind::Unreachable,
                _ => rng.pick(kinds).expect("not empty"),
            };
            (point, kind)
        });
        Fate {
            pauses,
            fails,
            ends_with_caller: rng.percent(50),
        }
    }

    /// Carries a call out, unless Tidegate's life ends before and the call's with it.
    async fn live<T>(&self, fate: &Fate, call: impl Future<Output = T>) -> T {
        let mut over = self.over.clone();
        // Its task was about to run when this life ended, so nothing was ever sent; or a promise
        // is broken, and the run must end rather than go round in circles.
        if *over.borrow() || self.book.lock().broken.is_some() {
            return std::future::pending().await;
        }
        if !fate.ends_with_caller {
            return call.await;
        }
        let ends = async { drop(over.wait_for(|over| *over).await) };
        tokio::select! {
            biased;
            () = ends => std::future::pending().await,
            result = call => result,
        }
    }
}

#[async_trait]
impl Engine for Client {
    /// The world at some moment of the call, maybe its beginning, maybe its end.
    async fn observe(&self) -> Result<World, EngineError> {
        const OP: &str = "list";
        let fate = self.fate(3_000, &[ErrorKind::Unreachable, ErrorKind::Failed]);
        self.book.lock().observe_begins(self.life);
        let call = async {
            fate.at(Point::Before, OP).await?;
            let seen = self.engine.observe().await?;
            fate.at(Point::Between, OP).await?;
            fate.at(Point::After, OP).await?;
            Ok(seen)
        };
        self.live(&fate, call).await
    }

    fn can(&self) -> Abilities {
        self.engine.can()
    }

    async fn fetch_image(&self, spec: &Spec) -> Result<(), EngineError> {
        const OP: &str = "find the image";
        let fate = self.fate(20_000, &[ErrorKind::Failed, ErrorKind::Unreachable]);
        let call = async {
            fate.at(Point::Before, OP).await?;
            self.engine.fetch_image(spec).await?;
            fate.at(Point::After, OP).await
        };
        self.live(&fate, call).await
    }

    async fn start(
        &self,
        spec: &Spec,
        slot: Slot,
        generation: u64,
        _place: &Place,
    ) -> Result<ReplicaId, EngineError> {
        const OP: &str = "start";
        let kinds = [ErrorKind::Failed, ErrorKind::Failed, ErrorKind::Unreachable];
        let fate = self.fate(20_000, &kinds);
        let call = async {
            let begun = self.book.lock().start_begins(self.life, &spec.name, slot);
            let result = self.start_in_steps(&fate, spec, slot, generation, OP).await;
            let mut book = self.book.lock();
            book.start_ends(begun, &result);
            result
        };
        self.live(&fate, call).await
    }

    async fn resolve(&self, image: &str, pull: Pull) -> Result<ImageId, EngineError> {
        const OP: &str = "resolve";
        let fate = self.fate(20_000, &[ErrorKind::Failed, ErrorKind::Unreachable]);
        let call = async {
            fate.at(Point::Before, OP).await?;
            let id = self.engine.resolve(image, pull).await?;
            fate.at(Point::After, OP).await.map(|()| id)
        };
        self.live(&fate, call).await
    }

    /// At once: the engine's own limit on it is short, and the stop that follows was decided on
    /// before.
    async fn last_logs(&self, id: &ReplicaId) -> Vec<String> {
        match self.fate(1, &[ErrorKind::Failed]).fails {
            Some(_) => Vec::new(),
            None => self.engine.last_logs(id).await,
        }
    }

    async fn pause(&self, id: &ReplicaId) -> Result<(), EngineError> {
        const OP: &str = "pause";
        let fate = self.fate(2_000, &[ErrorKind::Failed, ErrorKind::Unreachable]);
        let call = async {
            self.book.lock().pause_begins(id);
            fate.at(Point::Before, OP).await?;
            Engine::pause(&self.engine, id).await?;
            fate.at(Point::After, OP).await
        };
        self.live(&fate, call).await
    }

    async fn resume(&self, id: &ReplicaId) -> Result<(), EngineError> {
        const OP: &str = "resume";
        let fate = self.fate(2_000, &[ErrorKind::Failed, ErrorKind::Unreachable]);
        let call = async {
            self.book.lock().note(format!("   resume {id}"));
            fate.at(Point::Before, OP).await?;
            Engine::resume(&self.engine, id).await?;
            fate.at(Point::After, OP).await
        };
        self.live(&fate, call).await
    }

    async fn stop(&self, id: &ReplicaId, grace: Duration) -> Result<(), EngineError> {
        const OP: &str = "stop";
        let fate = self.fate(8_000, &[ErrorKind::Failed, ErrorKind::Unreachable]);
        let call = async {
            self.book.lock().stop_begins(self.life, id);
            fate.at(Point::Before, OP).await?;
            self.engine.end(id)?;
            self.is_stuck(id, OP).await?;
            fate.at(Point::Between, OP).await?;
            self.engine.stop(id, grace).await?;
            fate.at(Point::After, OP).await
        };
        let result = self.live(&fate, call).await;
        self.book.lock().stop_ends(self.life, id, &result);
        result
    }

    /// Some are lost, some come twice, some late.
    fn changes(&self) -> BoxStream<'static, ()> {
        let book = self.book.clone();
        let changes = self.engine.changes().flat_map(move |()| {
            let mut book = book.lock();
            let (slow, rng) = book.chance();
            let times = if slow { rng.below(3) } else { 1 };
            let late = if slow {
                rng.delay(2_000)
            } else {
                Duration::ZERO
            };
            let said = async move {
                if !late.is_zero() {
                    tokio::time::sleep(late).await;
                }
                stream::iter(std::iter::repeat_n((), times))
            };
            said.into_stream().flatten()
        });
        changes.boxed()
    }
}

impl Client {
    /// Fails or hangs, where that was done to the replica's slot.
    async fn is_stuck(&self, id: &ReplicaId, op: &'static str) -> Result<(), EngineError> {
        let replicas = self.engine.replicas();
        let slot = replicas.iter().find(|it| it.id == *id).map(|it| it.slot);
        let stuck = slot.and_then(|slot| self.book.lock().stuck.get(&slot).copied());
        match stuck {
            None => return Ok(()),
            Some(Stuck::Fails) => {}
            Some(Stuck::Hangs) => tokio::time::sleep(STOP_LIMIT).await,
        }
        Err(error(ErrorKind::Failed, op))
    }

    async fn start_in_steps(
        &self,
        fate: &Fate,
        spec: &Spec,
        slot: Slot,
        generation: u64,
        op: &'static str,
    ) -> Result<ReplicaId, EngineError> {
        fate.at(Point::Before, op).await?;
        let id = self.engine.create(spec, slot, generation)?;
        self.book.lock().made(self.life, &id, spec, slot);
        let hangs = self.book.lock().hanging.contains(&spec.name);
        if hangs {
            tokio::time::sleep(START_LIMIT).await;
            let (kind, forgotten) = {
                let rng = &mut self.book.lock().rng;
                let kinds = [ErrorKind::Failed, ErrorKind::Unreachable];
                (rng.pick(&kinds).expect("not empty"), rng.percent(50))
            };
            if !forgotten {
                self.engine.discard(&id);
            }
            return Err(error(kind, op));
        }
        let launched = match fate.at(Point::Between, op).await {
            Ok(()) => self.engine.launch(&id),
            Err(error) => Err(error),
        };
        if let Err(error) = launched {
            // Without the engine nobody can clean up; else it is forgotten now and then.
            let mut book = self.book.lock();
            let forgotten = book.failing && book.rng.percent(20);
            drop(book);
            if error.kind != ErrorKind::Unreachable && !forgotten {
                self.engine.discard(&id);
            }
            return Err(error);
        }
        fate.at(Point::After, op).await?;
        Ok(id)
    }
}
