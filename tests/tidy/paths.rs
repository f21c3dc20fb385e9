//! Paths in code: those of `use` declarations, and those in between.

/// An import, as in `pub use a::b::{c as d, e::*}`, which is two of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    pub path: Vec<String>,
    /// The name that it has here; `None`: a glob.
    pub name: Option<String>,
}

/// Everything that one file names.
#[derive(Default, Debug)]
pub struct Names {
    pub imports: Vec<Import>,
    /// Other paths of two words or more, as in `super::x::Y`.
    pub paths: Vec<Vec<String>>,
    /// Names of items that are defined here.
    pub items: Vec<String>,
    /// Names of modules that are declared here.
    pub modules: Vec<String>,
}

const ITEMS: &[&str] = &[
    "fn",
    "struct",
    "enum",
    "union",
    "trait",
    "const",
    "static",
    "type",
    "macro_rules",
];

pub fn names(code: &str) -> Names {
    let words = words(code);
    let mut names = Names::default();
    let mut at = 0;
    while at < words.len() {
        let word = words[at].as_str();
        let before = at.checked_sub(1).map_or("", |at| words[at].as_str());
        let next = words.get(at + 1).map_or("", String::as_str);
        if word == "use" && next != "<" {
            at = import(&words, at + 1, &[], &mut names.imports);
        } else if word == "mod" && is_name(next) {
            names.modules.push(next.to_owned());
            at += 2;
        } else if ITEMS.contains(&word) && (is_name(next) || next == "!") {
            let name = if next == "!" {
                words.get(at + 2)
            } else {
                words.get(at + 1)
            };
            names.items.extend(name.cloned());
            at += 1;
        } else if is_name(word) && next == "::" && before != "::" {
            let (path, end) = path(&words, at);
            names.paths.push(path);
            at = end;
        } else {
            at += 1;
        }
    }
    names
}

/// Reads one tree of a `use` behind `prefix`; returns the index behind it.
fn import(words: &[String], from: usize, prefix: &[String], into: &mut Vec<Import>) -> usize {
    let mut path = prefix.to_vec();
    let mut at = from;
    loop {
        match words.get(at).map_or(";", String::as_str) {
            "::" => at += 1,
            "{" => {
                at += 1;
                while words.get(at).is_some_and(|word| word != "}") {
                    at = import(words, at, &path, into);
                    at += usize::from(words.get(at).is_some_and(|word| word == ","));
                }
                return at + 1;
            }
            "*" => {
                into.push(Import { path, name: None });
                return at + 1;
            }
            "as" => {
                let name = words.get(at + 1).cloned();
                into.push(Import { path, name });
                return at + 2;
            }
            word if is_name(word) => {
                // `a::{self}` is `a`.
                if word != "self" || path.is_empty() {
                    path.push(word.to_owned());
                }
                at += 1;
            }
            _ => {
                let name = path.last().cloned();
                into.push(Import { path, name });
                return at;
            }
        }
    }
}

fn path(words: &[String], from: usize) -> (Vec<String>, usize) {
    let mut path = vec![words[from].clone()];
    let mut at = from + 1;
    while words.get(at).is_some_and(|word| word == "::")
        && let Some(word) = words.get(at + 1).filter(|word| is_name(word))
    {
        path.push(word.clone());
        at += 2;
    }
    (path, at.max(from + 1))
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn words(code: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let length = match first {
            first if is_part(first) => rest.find(|c| !is_part(c)).unwrap_or(rest.len()),
            ':' if rest.starts_with("::") => 2,
            other => other.len_utf8(),
        };
        words.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    words
}

#[test]
fn every_form_of_an_import_is_read() {
    let code = "pub use a::b; use c::{self, d as e, f::{g, h::*}}; fn x() -> impl T + use<> { \
                super::i::j(K::L); m!() } mod n; const O: u8 = crate::p::<u8>();";
    let names = names(code);
    let shown: Vec<String> = names
        .imports
        .iter()
        .map(|import| {
            let name = import.name.as_deref().unwrap_or("*");
            format!("{}={name}", import.path.join("."))
        })
        .collect();
    assert_eq!(shown, ["a.b=b", "c=c", "c.d=e", "c.f.g=g", "c.f.h=*"]);
    let paths: Vec<String> = names.paths.iter().map(|path| path.join(".")).collect();
    assert_eq!(paths, ["super.i.j", "K.L", "crate.p"]);
    assert_eq!(names.items, ["x", "O"]);
    assert_eq!(names.modules, ["n"]);
}
