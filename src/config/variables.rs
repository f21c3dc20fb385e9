//! Sources of the file's variables: the environment, then `.env` beside the file.

use super::env::Env;
use super::env_file::{self, EnvFile};
use super::text::{read, reason_unreadable};
use serde::Serialize;
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Values of variables, and a note of each that was asked for.
pub struct VariableSources {
    env: Env,
    path: PathBuf,
    /// Content of `.env`; read when a variable is not in the environment.
    beside: OnceCell<EnvFile>,
    used: RefCell<BTreeMap<String, VariableOrigin>>,
}

/// Origin of a variable's value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VariableOrigin {
    Environment,
    File { file: String, line: usize },
    NotSet,
}

impl fmt::Display for VariableOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VariableOrigin::Environment => f.write_str("the environment"),
            VariableOrigin::File { file, line } => write!(f, "{file}:{line}"),
            VariableOrigin::NotSet => f.write_str("not set"),
        }
    }
}

/// A variable that the configuration refers to. Its value is shown nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UsedVariable {
    pub name: String,
    pub from: VariableOrigin,
}

impl VariableSources {
    /// Sources for the configuration at `file`.
    pub fn beside(file: &Path, env: &Env) -> Self {
        VariableSources {
            env: env.clone(),
            path: file.parent().unwrap_or(Path::new("")).join(".env"),
            beside: OnceCell::new(),
            used: RefCell::default(),
        }
    }

    pub fn env(&self) -> &Env {
        &self.env
    }

    /// Value of a variable, which may be empty.
    pub fn lookup(&self, name: &str) -> Option<String> {
        self.find(name).0
    }

    /// Value of a variable, and its origin.
    pub fn find(&self, name: &str) -> (Option<String>, VariableOrigin) {
        let (value, from) = match self.env.lookup(name) {
            Some(value) => (Some(value), VariableOrigin::Environment),
            None => match self.read().values.get(name) {
                Some(found) => {
                    let file = self.path.display().to_string();
                    let line = found.line;
                    (
                        Some(found.value.clone()),
                        VariableOrigin::File { file, line },
                    )
                }
                None => (None, VariableOrigin::NotSet),
            },
        };
        let mut used = self.used.borrow_mut();
        used.insert(name.to_owned(), from.clone());
        (value, from)
    }

    /// Name and bad lines of `.env`, as far as it was needed.
    pub fn problems(&self) -> (String, &[env_file::LineError]) {
        let errors = self.beside.get().map_or(&[][..], |beside| &beside.errors);
        (self.path.display().to_string(), errors)
    }

    pub fn used(&self) -> Vec<UsedVariable> {
        let used = self.used.borrow();
        let used = used.iter().map(|(name, from)| UsedVariable {
            name: name.clone(),
            from: from.clone(),
        });
        used.collect()
    }

    fn read(&self) -> &EnvFile {
        self.beside.get_or_init(|| match read(&self.path) {
            Ok(text) => env_file::parse(&text.content, &|name| self.env.lookup(name)),
            // A folder of that name is somebody else's.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => {
                EnvFile::default()
            }
            Err(error) => EnvFile::unreadable(reason_unreadable(&error)),
        })
    }
}
