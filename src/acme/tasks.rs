//! Tasks of the keeper: orders, questions to CAs and to `ask`.

use super::advice::Advice;
use super::attempts::Turn;
use super::failure::Failure;
use crate::certs::{CertName, OnDemandName};
use std::collections::HashMap;
use std::future::Future;
use tokio::task::{Id, JoinSet};

/// Orders under way at once. CAs count requests, and a machine that starts with a thousand names has
/// time.
const ORDERS_MAX: usize = 8;

/// Result of a task.
pub enum Task {
    Ordered {
        turn: Turn,
        /// Key and chain as PEM.
        result: Result<String, Failure>,
    },
    Advised(Advice),
    Asked {
        question: OnDemandName,
        answer: Result<bool, String>,
    },
    /// Answer of `ask` to a name that nobody has.
    Tried(Result<bool, String>),
}

#[derive(Default)]
pub struct Tasks {
    set: JoinSet<Task>,
    running: HashMap<Id, Running>,
}

struct Running {
    name: CertName,
    /// The turn of an order.
    turn: Option<Turn>,
}

impl Tasks {
    pub fn spawn(&mut self, name: CertName, task: impl Future<Output = Task> + Send + 'static) {
        self.add(name, None, task);
    }

    pub fn order(
        &mut self,
        name: CertName,
        turn: Turn,
        order: impl Future<Output = Result<String, Failure>> + Send + 'static,
    ) {
        self.add(name, Some(turn), async move {
            let result = order.await;
            Task::Ordered { turn, result }
        });
    }

    fn add(
        &mut self,
        name: CertName,
        turn: Option<Turn>,
        task: impl Future<Output = Task> + Send + 'static,
    ) {
        let id = self.set.spawn(task).id();
        self.running.insert(id, Running { name, turn });
    }

    pub fn are_ordering(&self) -> bool {
        self.orders() > 0
    }

    pub fn have_room(&self) -> bool {
        self.orders() < ORDERS_MAX
    }

    fn orders(&self) -> usize {
        self.running
            .values()
            .filter(|task| task.turn.is_some())
            .count()
    }

    /// The next result, and the name that it is about. `None`: nothing runs. Cancel safe.
    pub async fn next(&mut self) -> Option<(Task, CertName)> {
        loop {
            match self.set.join_next_with_id().await? {
                Ok((id, task)) => {
                    if let Some(running) = self.running.remove(&id) {
                        return Some((task, running.name));
                    }
                }
                // A panic is a mistake in this program, and no reason to stop renewing.
                Err(error) => {
                    log::error!("a task of the keeper of certificates broke off: {error}");
                    if let Some(Running {
                        name,
                        turn: Some(turn),
                    }) = self.running.remove(&error.id())
                    {
                        let result = Err(Failure::new("the order broke off by itself"));
                        return Some((Task::Ordered { turn, result }, name));
                    }
                }
            }
        }
    }

    /// Stops everything; returns the names that tasks were about.
    pub async fn stop(&mut self) -> Vec<CertName> {
        self.set.shutdown().await;
        let running = std::mem::take(&mut self.running);
        running.into_values().map(|task| task.name).collect()
    }
}
