//! What is wrong with a configuration, for the person who wrote it.

use super::places::{Place, Places};
use super::yaml::Fault;
use serde::Serialize;
use std::cell::RefCell;
use std::fmt;

/// One thing to put right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, or the flag or environment variable that the value came from.
    pub origin: String,
    /// From 1; `None` where there is no file.
    pub line: Option<usize>,
    /// From 1; only for what is not YAML at all.
    pub column: Option<usize>,
    /// The key path; empty for the whole file.
    pub path: String,
    pub message: String,
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Every problem of a configuration, in the order of its lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// A problem with `origin` as a whole, as in "cannot be read".
    pub(super) fn whole(origin: String, message: String, hint: Option<String>) -> Self {
        Problems(vec![Problem {
            origin,
            line: None,
            column: None,
            path: String::new(),
            message,
            hint,
        }])
    }

    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{problem}")?;
        }
        match self.0.len() {
            1 => write!(f, "1 problem"),
            count => write!(f, "{count} problems"),
        }
    }
}

impl std::error::Error for Problems {}

/// Collects problems while a file is checked.
pub(super) struct Report {
    file: String,
    places: Places,
    problems: RefCell<Vec<Problem>>,
}

impl Report {
    pub fn new(file: &str, places: Places) -> Self {
        Report {
            file: file.to_owned(),
            places,
            problems: RefCell::default(),
        }
    }

    pub fn root(&self) -> At<'_> {
        At {
            report: self,
            path: String::new(),
        }
    }

    /// A problem with the text itself.
    pub fn fault(&self, fault: Fault) {
        self.problems.borrow_mut().push(Problem {
            origin: self.file.clone(),
            line: Some(fault.line),
            column: fault.column,
            path: fault.path,
            message: fault.message,
            hint: None,
        });
    }

    /// A problem with a flag or an environment variable as such.
    pub fn given(&self, origin: &str, message: String, hint: &str) {
        self.problems.borrow_mut().push(Problem {
            origin: origin.to_owned(),
            line: None,
            column: None,
            path: String::new(),
            message,
            hint: Some(hint.to_owned()),
        });
    }

    /// `value`, unless there was a problem.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Problems> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| (problem.line, problem.column));
        match value {
            Some(value) if problems.is_empty() => Ok(value),
            _ => Err(Problems(problems)),
        }
    }
}

/// A place in the configuration, and where to say what is wrong with it.
#[derive(Clone)]
pub(super) struct At<'a> {
    report: &'a Report,
    path: String,
}

impl<'a> At<'a> {
    pub fn key(&self, key: &str) -> At<'a> {
        self.at(join(&self.path, key))
    }

    pub fn index(&self, index: usize) -> At<'a> {
        self.at(format!("{}[{index}]", self.path))
    }

    /// `path` within this place, as `a.b[0]`; empty or `.` for the place itself.
    pub fn inner(&self, path: &str) -> At<'a> {
        match path {
            "" | "." => self.clone(),
            _ if path.starts_with('[') => self.at(format!("{}{path}", self.path)),
            _ => self.key(path),
        }
    }

    fn at(&self, path: String) -> At<'a> {
        At {
            report: self.report,
            path,
        }
    }

    /// The scalar here as the user wrote it, before YAML made `1.10` a number.
    pub fn text(&self) -> Option<&'a str> {
        self.report.places.text(&self.path)
    }

    pub fn error(&self, message: impl Into<String>) {
        self.push(self, message.into(), None);
    }

    pub fn error_hint(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.push(self, message.into(), Some(hint.into()));
    }

    /// A problem of this place that shows where the first of `keys` is: what a flag or the
    /// environment gives before what the file does, because nobody looks for it there.
    pub fn error_on(&self, keys: &[&str], message: String, hint: String) {
        let places = &self.report.places;
        let written = keys.iter().map(|key| self.key(key));
        let mut written: Vec<At<'_>> = written.filter(|at| places.has(&at.path)).collect();
        written.sort_by_key(|at| matches!(places.of(&at.path), Some(Place::Line(_))));
        self.push(written.first().unwrap_or(self), message, Some(hint));
    }

    fn push(&self, shown: &At<'_>, message: String, hint: Option<String>) {
        let (origin, line) = match self.report.places.of(&shown.path) {
            Some(Place::Line(line)) => (self.report.file.clone(), Some(line)),
            Some(Place::Given(origin)) => (origin.to_owned(), None),
            None => (self.report.file.clone(), None),
        };
        self.report.problems.borrow_mut().push(Problem {
            origin,
            line,
            column: None,
            path: self.path.clone(),
            message,
            hint,
        });
    }
}

pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// "did you mean `x`?", when one of `known` is close to `typed`.
pub(super) fn did_you_mean<'k>(
    typed: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<String> {
    // A slip in every fourth letter and one more; further away it is a guess, not a suggestion.
    let reach = 1 + typed.chars().count() / 4;
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(typed, name), name))
        .filter(|(distance, _)| *distance <= reach)
        .min()
        .map(|(_, name)| format!("did you mean `{name}`?"))
}

/// `a`, `b`, `c`.
pub(super) fn quoted<'k>(names: impl IntoIterator<Item = &'k str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
