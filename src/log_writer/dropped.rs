//! The count of lines that the process's own log lost.

use prometheus::IntCounter;
use std::sync::OnceLock;

/// Lines of the process's own log that were dropped. One for the process, as its log is.
pub fn dropped_log_lines() -> &'static IntCounter {
    static DROPPED: OnceLock<IntCounter> = OnceLock::new();
    DROPPED.get_or_init(|| {
        let counter = IntCounter::new(
            "tidegate_log_lines_dropped_total",
            "Lines of the log that were dropped because nothing read them in time.",
        );
        counter.expect("ours and valid")
    })
}
