//! Wakers of a task that does several things: they tell which of these is due, and leave the task
//! alone while it is at work anyway.
//!
//! A stream that writes wakes its connection, which is polled next in the same turn. Through the
//! runtime, each of these would be one more turn with nothing to do.

use futures_util::task::AtomicWaker;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

/// The task, and whether it is at work.
#[derive(Default)]
pub struct Task {
    waker: AtomicWaker,
    is_at_work: AtomicBool,
}

/// One thing that the task does.
pub struct Bell {
    task: Arc<Task>,
    is_rung: AtomicBool,
}

impl Task {
    pub fn bell(self: &Arc<Self>) -> Arc<Bell> {
        Arc::new(Bell {
            task: Arc::clone(self),
            // Everything is due at first.
            is_rung: AtomicBool::new(true),
        })
    }

    /// Begins a turn; bells that ring from now on wake nobody.
    pub fn begin(&self, waker: &Waker) {
        self.waker.register(waker);
        self.is_at_work.store(true, Ordering::SeqCst);
    }

    /// Ends a turn. Bells that rang meanwhile have to be looked at after this.
    pub fn end(&self) {
        self.is_at_work.store(false, Ordering::SeqCst);
    }
}

impl Bell {
    /// Whether it rang since the last time.
    pub fn take(&self) -> bool {
        self.is_rung.swap(false, Ordering::SeqCst)
    }

    /// Notes that it is due, by the task itself.
    pub fn ring(&self) {
        self.is_rung.store(true, Ordering::SeqCst);
    }

    pub fn is_rung(&self) -> bool {
        self.is_rung.load(Ordering::SeqCst)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_rung.store(true, Ordering::SeqCst);
        if !self.task.is_at_work.load(Ordering::SeqCst) {
            self.task.waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_bell_wakes_its_task_unless_that_is_at_work() {
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let task = Arc::new(Task::default());
        let (one, other) = (task.bell(), task.bell());
        assert!(one.take() && other.take());
        task.begin(&waker);
        Waker::from(Arc::clone(&one)).wake_by_ref();
        task.end();
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        assert!(one.is_rung() && !other.is_rung());
        assert!(one.take() && !one.take());
        Waker::from(Arc::clone(&other)).wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(other.take());
    }
}
