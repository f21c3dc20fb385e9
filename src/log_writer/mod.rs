//! Lines written on a thread of their own, so that a stalled reader blocks no request.
//!
//! ```text
//!  push ----> bounded queue ----> writer thread ----> file or stream
//!    |                                  |
//!    '-- full: dropped, counted         '-- reports how many, once lines flow again
//! ```
//!
//! The process's own log ([`process`]) and the access log share it; a [`Line`] is the difference.

mod dropped;
mod message;
pub mod process;
mod queue;
mod writer;

pub use dropped::dropped_log_lines;
pub use message::{Line, QueueEnd};
pub use queue::{QUEUE_BYTES_MAX, QUEUE_LINES_MAX, Queue, reopen};
pub use writer::{Output, Writer};
