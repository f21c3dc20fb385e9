//! Pulls under way.

use super::lock::held;
use crate::engine::EngineError;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use std::collections::HashMap;
use std::sync::Mutex;

/// A pull and its result.
pub type Pulled = BoxFuture<'static, Result<(), EngineError>>;

/// Pulls by image. One without callers is cancelled.
#[derive(Default)]
pub struct Pulls {
    under_way: Mutex<HashMap<String, WeakShared<Pulled>>>,
}

impl Pulls {
    pub fn find_or_begin(&self, image: &str, begin: impl FnOnce() -> Pulled) -> Shared<Pulled> {
        let mut under_way = held(&self.under_way);
        under_way.retain(|_, pull| pull.upgrade().is_some_and(|pull| pull.peek().is_none()));
        if let Some(pull) = under_way.get(image).and_then(WeakShared::upgrade) {
            return pull;
        }
        let pull = begin().shared();
        let weak = pull.downgrade().expect("it has not ended yet");
        under_way.insert(image.to_owned(), weak);
        pull
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::docker::error::failed;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn those_who_want_the_same_image_at_the_same_time_share_its_pull() {
        let (pulls, begun) = (Pulls::default(), Arc::new(AtomicUsize::new(0)));
        let pull = |image: &str| {
            let begun = Arc::clone(&begun);
            pulls.find_or_begin(image, || {
                begun.fetch_add(1, Ordering::Relaxed);
                async {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                    Err(failed("pull", "no such image".to_owned()))
                }
                .boxed()
            })
        };
        let ended = futures_util::future::join_all(["a", "a", "b", "a"].map(pull)).await;
        assert!(ended.iter().all(Result::is_err));
        assert_eq!(begun.load(Ordering::Relaxed), 2);
        // One that has ended says nothing of the next.
        drop(pull("a"));
        assert_eq!(begun.load(Ordering::Relaxed), 3);
        // One that nobody waits for has ended.
        drop(pull("a"));
        assert_eq!(begun.load(Ordering::Relaxed), 4);
    }
}
