//! No circles of imports.

use super::graph::Graph;
use super::source::{Source, crate_in, library};
use std::collections::BTreeMap;

/// Rooms that still have a circle; none may come in, and this list is to be empty.
const NOT_YET: &[&str] = &[];

/// Crates beside the library; each is one room.
const CRATES: &[&str] = &[
    "bench/attack/src",
    "bench/chaos/src",
    "bench/compare/src",
    "bench/kit/src",
    "bench/replay/src",
    "examples/acts/load/src",
    "examples/acts/src",
];

#[test]
fn no_room_has_a_circle() {
    let graph = Graph::new(library());
    let mut rooms: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, file) in graph.files.iter().enumerate() {
        if let Some(room) = file.module.first() {
            rooms.entry(room.clone()).or_default().push(at);
        }
    }
    let mut broken = Vec::new();
    for (room, members) in rooms {
        let circles = shown(&graph, &members);
        match (circles.is_empty(), NOT_YET.contains(&room.as_str())) {
            (true, true) => broken.push(format!(
                "`{room}` has no circle any more: take it out of NOT_YET in tests/tidy/circles.rs"
            )),
            (false, false) => broken.extend(circles),
            _ => {}
        }
    }
    for folder in CRATES {
        let graph = Graph::new(crate_in(folder, &[]));
        let members: Vec<usize> = (0..graph.files.len()).collect();
        broken.extend(shown(&graph, &members));
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn shown(graph: &Graph, members: &[usize]) -> Vec<String> {
    let circles = graph.circles(members).into_iter();
    circles
        .map(|circle| {
            let names: Vec<&str> = circle
                .iter()
                .map(|at| graph.files[*at].name.as_str())
                .collect();
            format!(
                "a circle of imports: {}; move what both need into a file that imports neither",
                names.join(" -> ")
            )
        })
        .collect()
}

/// Circles among files that are given by name and text.
fn circles(files: &[(&str, &str)]) -> Vec<String> {
    let files = files.iter().map(|(name, text)| {
        let module = name.trim_end_matches(".rs").trim_end_matches("/mod");
        let module: Vec<&str> = module.split('/').filter(|part| *part != "mod").collect();
        Source::new(&format!("/{name}"), &module, text)
    });
    let graph = Graph::new(files.collect());
    let members: Vec<usize> = (0..graph.files.len()).collect();
    let circles = graph.circles(&members).into_iter();
    circles
        .map(|circle| {
            let names: Vec<&str> = circle
                .iter()
                .map(|at| graph.files[*at].name.as_str())
                .collect();
            names.join(" ")
        })
        .collect()
}

const LISTS: (&str, &str) = (
    "room/mod.rs",
    "mod a; mod b; mod c; pub use a::A; pub use b::B;",
);

#[test]
fn two_files_that_import_each_other_are_a_circle() {
    let a = ("room/a.rs", "use super::b::B; pub struct A(B);");
    let b = ("room/b.rs", "pub struct B; fn f() { crate::room::a::g() }");
    assert_eq!(
        circles(&[LISTS, a, b]),
        ["/room/a.rs /room/b.rs /room/a.rs"]
    );
}

#[test]
fn a_longer_way_round_is_shown_whole_and_once() {
    let a = ("room/a.rs", "use super::b; pub fn a() { b::b() }");
    let b = ("room/b.rs", "use super::{c::C}; pub fn b() {}");
    let c = (
        "room/c.rs",
        "use crate::room::a; pub struct C; fn f() { a::a() }",
    );
    let expected = ["/room/a.rs /room/b.rs /room/c.rs /room/a.rs"];
    assert_eq!(circles(&[LISTS, a, b, c]), expected);
}

#[test]
fn a_re_export_is_an_import_of_the_file_that_defines_it() {
    let a = ("room/a.rs", "use super::B; pub struct A(B);");
    let b = ("room/b.rs", "pub struct B;");
    assert!(circles(&[LISTS, a, b]).is_empty());
    let b = ("room/b.rs", "use crate::room::{self, A}; pub struct B;");
    assert_eq!(circles(&[LISTS, a, b]).len(), 1);
}

#[test]
fn a_parent_that_defines_what_its_children_import_is_in_the_circle() {
    let parent = (
        "room/mod.rs",
        "mod a; use a::A; pub const LIMIT: u8 = 1; struct Room(A);",
    );
    let a = ("room/a.rs", "use super::LIMIT; pub struct A;");
    assert_eq!(
        circles(&[parent, a]),
        ["/room/mod.rs /room/a.rs /room/mod.rs"]
    );
}

#[test]
fn tests_and_words_in_texts_make_no_circle() {
    let a = ("room/a.rs", "use super::b::B; pub struct A(B);");
    let b = (
        "room/b.rs",
        "/// As `super::a::A`.\npub struct B; const S: &str = \"super::a::A\"; \
         #[cfg(test)] mod tests { use super::super::a::A; }",
    );
    assert!(circles(&[LISTS, a, b]).is_empty());
}
