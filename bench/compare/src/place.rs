//! Which processor does what: the edge has the first one, and the clients and the servers behind
//! share the last one, so that the edge is never in their way.

/// Files that an edge keeps open beside connections, at most.
const OTHER_FILES: u64 = 1200;

/// Command that keeps an edge on its processors.
pub fn of_the_edge() -> Vec<String> {
    match processors() {
        1 => Vec::new(),
        _ => ["taskset", "-c", "0"].map(str::to_owned).to_vec(),
    }
}

/// Command that lets an edge run anywhere, although we stay.
pub fn anywhere() -> Vec<String> {
    let all = format!("0-{}", processors() - 1);
    ["taskset", "-c", &all].map(str::to_owned).to_vec()
}

/// To be called before there is a second thread.
pub fn take_ours() -> Result<(), String> {
    match processors() {
        1 => Ok(()),
        count => kit::process::stay_on(count - 1),
    }
}

/// All of them, also when we stay on one.
pub fn processors() -> usize {
    kit::process::processors()
}

/// Clients' connections that any edge can have here: each may take two files, one to each side.
pub fn connections_max() -> Result<usize, String> {
    Ok(kit::process::open_files_max()?.saturating_sub(OTHER_FILES) as usize / 2)
}
