//! Collection of problems, and the places that they belong to.

use super::env_file::LineError;
use super::origins::{ValueOrigin, ValueOrigins, join};
use super::problem::{Problem, Problems};
use super::syntax_error::SyntaxError;
use std::cell::RefCell;
use std::path::Path;

/// Collects problems while a file is checked.
pub(super) struct ProblemReport {
    /// Names of the files; the first one includes the others.
    files: Vec<String>,
    places: ValueOrigins,
    problems: RefCell<Vec<Problem>>,
}

impl ProblemReport {
    pub fn new(files: Vec<String>, places: ValueOrigins) -> Self {
        ProblemReport {
            files,
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

    /// Reports a problem with the text itself.
    pub fn syntax_error(&self, error: SyntaxError) {
        self.problems.borrow_mut().push(Problem {
            origin: self.file(error.file).to_owned(),
            line: Some(error.line),
            column: error.column,
            path: error.path,
            message: error.message,
            hint: error.hint,
        });
    }

    /// Reports bad lines of a file of variables.
    pub fn line_errors(&self, file: &str, errors: &[LineError]) {
        let mut problems = self.problems.borrow_mut();
        for error in errors {
            let problem = Problem {
                origin: file.to_owned(),
                line: error.line,
                column: None,
                path: String::new(),
                message: error.message.clone(),
                hint: error.hint.clone(),
            };
            // Several services may name one file.
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
    }

    /// Reports a problem with a flag or an environment variable.
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

    fn file(&self, number: usize) -> &str {
        self.files.get(number).map_or("", String::as_str)
    }

    /// Returns `value`, or all problems: those of flags, then of each file by line, then of files of
    /// variables.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Problems> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_cached_key(|problem| {
            let file = self.files.iter().position(|file| *file == problem.origin);
            let rank = match (file, problem.line) {
                (Some(file), _) => file + 1,
                (None, None) => 0,
                (None, Some(_)) => usize::MAX,
            };
            (rank, problem.line, problem.column)
        });
        match value {
            Some(value) if problems.is_empty() => Ok(value),
            _ => Err(Problems(problems)),
        }
    }
}

/// A place in the configuration, which reports its problems.
#[derive(Clone)]
pub(super) struct At<'a> {
    report: &'a ProblemReport,
    path: String,
}

impl<'a> At<'a> {
    pub fn key(&self, key: &str) -> At<'a> {
        self.at(join(&self.path, key))
    }

    pub fn index(&self, index: usize) -> At<'a> {
        self.at(format!("{}[{index}]", self.path))
    }

    /// Place at `path` within this one, as in `a.b[0]`; empty or `.` for this place itself.
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

    /// Folder of the file that this place is in; relative paths begin there.
    pub fn folder(&self) -> &'a Path {
        let file = match self.report.places.of(&self.path) {
            Some(ValueOrigin::Line { file, .. }) => file,
            _ => 0,
        };
        Path::new(self.report.file(file))
            .parent()
            .unwrap_or(Path::new(""))
    }

    /// Whether a problem was reported here or below.
    pub fn has_problems(&self) -> bool {
        let problems = self.report.problems.borrow();
        problems.iter().any(|problem| {
            let rest = problem.path.strip_prefix(&self.path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// Reports bad lines of a file of variables that is named here.
    pub fn line_errors(&self, file: &str, errors: &[LineError]) {
        self.report.line_errors(file, errors);
    }

    /// Scalar here as the user typed it, before YAML made `1.10` a number.
    pub fn text(&self) -> Option<&'a str> {
        self.report.places.text(&self.path)
    }

    /// Whether the scalar here has a variable in it.
    pub fn has_variable(&self) -> bool {
        self.report.places.filling(&self.path).is_some()
    }

    pub fn error(&self, message: impl Into<String>) {
        self.push(self, message.into(), None);
    }

    pub fn error_hint(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.push(self, message.into(), Some(hint.into()));
    }

    /// Reports a problem of this place with the origin of the first of `keys`. Flags and variables go
    /// before lines of the file, because nobody looks for them there.
    pub fn error_on(&self, keys: &[&str], message: String, hint: String) {
        let places = &self.report.places;
        let written = keys.iter().map(|key| self.key(key));
        let mut written: Vec<At<'_>> = written.filter(|at| places.has(&at.path)).collect();
        written.sort_by_key(|at| matches!(places.of(&at.path), Some(ValueOrigin::Line { .. })));
        self.push(written.first().unwrap_or(self), message, Some(hint));
    }

    fn push(&self, shown: &At<'_>, mut message: String, mut hint: Option<String>) {
        let places = &self.report.places;
        if places.is_unfilled(&shown.path) {
            return;
        }
        for filling in places.fillings(&shown.path) {
            message = filling.cover(&message);
            // A hint about the value would show what is around the covered part.
            hint = hint.filter(|hint| filling.cover(hint) == *hint);
        }
        if let Some(filling) = places.filling(&shown.path) {
            message = format!("{message} ({})", filling.origins());
        }
        let (origin, line) = match places.of(&shown.path) {
            Some(ValueOrigin::Line { file, line }) => (self.report.file(file), Some(line)),
            Some(ValueOrigin::Given(origin)) => (origin, None),
            None => (self.report.file(0), None),
        };
        self.report.problems.borrow_mut().push(Problem {
            origin: origin.to_owned(),
            line,
            column: None,
            path: self.path.clone(),
            message,
            hint,
        });
    }
}
