//! Which processor does what: the edge has the first one, and the clients and the servers behind
//! share the last one, so that the edge is never in their way.

use std::thread::available_parallelism;

/// What keeps an edge where it is.
pub fn of_the_edge() -> Vec<String> {
    match processors() {
        1 => Vec::new(),
        _ => ["taskset", "-c", "0"].map(str::to_owned).to_vec(),
    }
}

/// To be called before there is a second thread.
pub fn take_ours() -> Result<(), String> {
    match processors() {
        1 => Ok(()),
        count => kit::process::stay_on(count - 1),
    }
}

pub fn processors() -> usize {
    available_parallelism().map_or(1, |count| count.get())
}
