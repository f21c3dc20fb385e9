//! Mutual exclusion by name, for things that must not be created twice.

use super::lock::held;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// One turn at a time for each name.
#[derive(Default)]
pub struct Turns {
    waiting: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Turns {
    pub async fn take(&self, thing: String) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut waiting = held(&self.waiting);
            waiting.retain(|_, turn| Arc::strong_count(turn) > 1);
            waiting.entry(thing).or_default().clone()
        };
        turn.lock_owned().await
    }
}
