//! A closed loop: each client asks again when it has its answer. Shows what an edge can do at most.

use super::{Client, Clients};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Failures that follow each other at once would be all that is measured.
const AFTER_FAILURE: Duration = Duration::from_millis(10);

/// Between two of them at the beginning, so that listen queues are not what is measured.
const STEP: Duration = Duration::from_micros(200);

#[derive(Default)]
struct Counts {
    answered: Cell<u64>,
    failed: Cell<u64>,
    first_failure: RefCell<Option<String>>,
}

/// Runs until it is dropped.
pub struct Closed {
    counts: Rc<Counts>,
    _clients: JoinSet<()>,
}

impl Closed {
    pub fn start(clients: &Clients) -> Closed {
        let counts: Rc<Counts> = Rc::default();
        let mut tasks = JoinSet::new();
        for number in 0..clients.connections {
            let (clients, counts) = (clients.clone(), Rc::clone(&counts));
            tasks.spawn_local(async move {
                sleep(STEP * number as u32).await;
                one(clients, counts).await;
            });
        }
        Closed {
            counts,
            _clients: tasks,
        }
    }

    pub fn answered(&self) -> u64 {
        self.counts.answered.get()
    }

    /// How many failed, and why the first one did.
    pub fn failed(&self) -> Option<(u64, String)> {
        let why = self.counts.first_failure.borrow().clone()?;
        Some((self.counts.failed.get(), why))
    }
}

async fn one(clients: Clients, counts: Rc<Counts>) {
    let mut client = Client::new(&clients);
    loop {
        match client.ask().await {
            Ok(()) => counts.answered.set(counts.answered.get() + 1),
            Err(why) => {
                counts.failed.set(counts.failed.get() + 1);
                counts.first_failure.borrow_mut().get_or_insert(why);
                sleep(AFTER_FAILURE).await;
            }
        }
    }
}
