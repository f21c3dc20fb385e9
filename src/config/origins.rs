//! Origins of values: key paths with their lines, flags or variables.

use super::filled::Filling;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Origin of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueOrigin {
    Line {
        /// Number of the file; the one that includes the others is 0.
        file: usize,
        line: usize,
    },
    /// Name of a flag or an environment variable.
    Given(&'static str),
}

#[derive(Clone, Debug)]
struct OriginMark {
    place: ValueOrigin,
    text: Option<String>,
    filling: Option<Arc<Filling>>,
    /// Whether the variables in it could not be filled in, which was reported.
    is_unfilled: bool,
}

impl OriginMark {
    fn at(place: ValueOrigin) -> Self {
        OriginMark {
            place,
            text: None,
            filling: None,
            is_unfilled: false,
        }
    }
}

/// Origins by key path.
#[derive(Debug, Default)]
pub struct ValueOrigins {
    marks: BTreeMap<String, OriginMark>,
    /// Number of the file that is being read.
    file: usize,
}

impl ValueOrigins {
    pub fn of_file(file: usize) -> Self {
        ValueOrigins {
            marks: BTreeMap::new(),
            file,
        }
    }

    /// Takes over the origins of another file; those that are here stay.
    pub fn absorb(&mut self, other: &ValueOrigins) {
        for (path, mark) in &other.marks {
            let mark = || mark.clone();
            self.marks.entry(path.clone()).or_insert_with(mark);
        }
    }

    /// Origin of `path`, or of the closest path around it.
    pub fn of(&self, path: &str) -> Option<ValueOrigin> {
        let mut path = path;
        loop {
            if let Some(mark) = self.marks.get(path) {
                return Some(mark.place);
            }
            if path.is_empty() {
                return None;
            }
            path = &path[..path.rfind(['.', '[']).unwrap_or(0)];
        }
    }

    pub fn has(&self, path: &str) -> bool {
        self.marks.contains_key(path)
    }

    /// Scalar at `path` as it was typed.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.marks.get(path)?.text.as_deref()
    }

    /// Records that the value at `path` comes from a flag or an environment variable.
    pub fn give(&mut self, path: &str, origin: &'static str) {
        self.marks.retain(|other, _| !within(other, path));
        let mark = OriginMark::at(ValueOrigin::Given(origin));
        self.marks.insert(path.to_owned(), mark);
    }

    /// Records the line of `path`, unless there is one.
    pub fn add(&mut self, path: &str, line: usize) {
        // The first of two equal keys is the one that is kept.
        let mark = OriginMark::at(ValueOrigin::Line {
            file: self.file,
            line,
        });
        self.marks.entry(path.to_owned()).or_insert(mark);
    }

    /// Records the scalar at `path` as it was typed.
    pub fn typed(&mut self, path: &str, text: &str) {
        if let Some(mark) = self.marks.get_mut(path) {
            mark.text.get_or_insert_with(|| text.to_owned());
        }
    }

    /// Records the variables of the scalar at `path`; `None`: they could not be filled in.
    pub fn fill(&mut self, path: &str, filling: Option<Filling>) {
        if let Some(mark) = self.marks.get_mut(path) {
            mark.is_unfilled |= filling.is_none();
            mark.filling = mark.filling.take().or(filling.map(Arc::new));
        }
    }

    pub fn is_unfilled(&self, path: &str) -> bool {
        self.marks.get(path).is_some_and(|mark| mark.is_unfilled)
    }

    /// Variables in the scalar at `path`.
    pub fn filling(&self, path: &str) -> Option<&Filling> {
        self.marks.get(path)?.filling.as_deref()
    }

    /// Variables at `path` and below.
    pub fn fillings<'o>(&'o self, path: &'o str) -> impl Iterator<Item = &'o Filling> {
        let below = self.marks.range(path.to_owned()..);
        let below = below.take_while(move |(inner, _)| inner.starts_with(path));
        let below = below.filter(move |(inner, _)| path.is_empty() || within(inner, path));
        below.filter_map(|(_, mark)| mark.filling.as_deref())
    }

    /// Copies the origins below `from` to `to`.
    pub fn copy(&mut self, from: &str, to: &str) {
        let copies: Vec<(String, OriginMark)> = self
            .marks
            .range(from.to_owned()..)
            .take_while(|(path, _)| path.starts_with(from))
            .filter(|(path, _)| within(path, from))
            .map(|(path, mark)| (format!("{to}{}", &path[from.len()..]), mark.clone()))
            .collect();
        for (path, mark) in copies {
            self.marks.entry(path).or_insert(mark);
        }
    }
}

fn within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The path of `key` below `path`.
pub fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
