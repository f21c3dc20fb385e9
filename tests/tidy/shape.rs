//! The shape of files.

use super::graph::Graph;
use super::source::{files, library, root};
use std::fs;

const LINES_MAX: usize = 450;
const MEDIAN_MAX: usize = 140;

/// Files that are still too long; none may come in, and this list is to be empty.
const TOO_LONG_YET: &[&str] = &[];
/// Files `mod.rs` that still define something; none may come in, and this list is to be empty.
const DEFINES_YET: &[&str] = &[];

#[test]
fn a_mod_rs_only_lists_and_re_exports() {
    let graph = Graph::new(library());
    let mut broken = gone(DEFINES_YET);
    for (at, file) in graph.files.iter().enumerate() {
        if !file.name.ends_with("/mod.rs") {
            continue;
        }
        match (
            graph.only_lists(at),
            DEFINES_YET.contains(&file.name.as_str()),
        ) {
            (true, true) => broken.push(format!(
                "{} only lists: take it out of DEFINES_YET in tests/tidy/shape.rs",
                file.name
            )),
            (false, false) => broken.push(format!(
                "{}: a `mod.rs` only lists and re-exports; move what it defines into a file that \
                 is named after it",
                file.name
            )),
            _ => {}
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn files_are_short() {
    let all = [files("src", "rs"), files("plugins", "rs")].concat();
    let mut lines = Vec::new();
    let mut broken = gone(TOO_LONG_YET);
    for path in all {
        let name = path.strip_prefix(root()).expect("below it");
        let name = name.to_string_lossy().into_owned();
        let count = fs::read_to_string(&path).expect("readable").lines().count();
        lines.push(count);
        match (count > LINES_MAX, TOO_LONG_YET.contains(&name.as_str())) {
            (false, true) => broken.push(format!(
                "{name} is short enough: take it out of TOO_LONG_YET in tests/tidy/shape.rs"
            )),
            (true, false) => broken.push(format!(
                "{name} has {count} lines, and {LINES_MAX} are the most; split it by what it is about"
            )),
            _ => {}
        }
    }
    lines.sort_unstable();
    let median = lines[lines.len() / 2];
    if median > MEDIAN_MAX {
        broken.push(format!(
            "the median file has {median} lines, and {MEDIAN_MAX} are the most"
        ));
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn gone(listed: &[&str]) -> Vec<String> {
    let gone = listed.iter().filter(|name| !root().join(name).exists());
    gone.map(|name| format!("{name} is gone: take it out of its list in tests/tidy/shape.rs"))
        .collect()
}
