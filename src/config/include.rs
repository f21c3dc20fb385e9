//! The file and those that it includes, as one tree.
//!
//! Services of all files are put together; every other key at the top stands in one file. A name in
//! two files is an error that names both places, and so is a file that leads back to itself.

use super::origins::{ValueOrigin, ValueOrigins, join};
use super::shape::what;
use super::syntax_error::SyntaxError;
use super::text::{Text, read, reason_unreadable};
use super::variables::VariableSources;
use super::yaml::{Tree, parse};
use serde_yaml::{Mapping, Value};
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

pub const KEY: &str = "include";
/// Most files of one configuration.
const FILES_MAX: usize = 256;

/// A configuration with everything that it includes.
pub struct Whole {
    /// Names of the files, by the numbers in origins; the first one includes the others.
    pub files: Vec<String>,
    pub tree: Tree,
    /// Problems that end the check, because too much is missing.
    pub is_broken: bool,
}

/// Reads `source` and the files that it includes.
pub fn gather(source: &Text, sources: &VariableSources) -> Whole {
    let mut gatherer = Gatherer {
        sources,
        whole: Whole {
            files: Vec::new(),
            tree: Tree::default(),
            is_broken: false,
        },
        root: Mapping::new(),
        included: HashMap::new(),
    };
    let path = Path::new(&source.name).canonicalize().ok();
    let chain: Vec<(PathBuf, String)> = path
        .map(|path| (path, source.name.clone()))
        .into_iter()
        .collect();
    gatherer.add(source, &chain);
    let mut whole = gatherer.whole;
    whole.tree.value = Value::Mapping(gatherer.root);
    whole
}

struct Gatherer<'s> {
    sources: &'s VariableSources,
    whole: Whole,
    root: Mapping,
    /// Files so far, each with the place that includes it.
    included: HashMap<PathBuf, String>,
}

/// An entry of `include`: its place, and the folder that it is relative to.
struct Entry<'a> {
    file: usize,
    path: String,
    places: &'a ValueOrigins,
}

impl Gatherer<'_> {
    /// Adds a file; `chain` leads to it.
    fn add(&mut self, text: &Text, chain: &[(PathBuf, String)]) {
        let file = self.whole.files.len();
        self.whole.files.push(text.name.clone());
        let tree = match parse(&text.content, file, self.sources) {
            Ok(tree) => tree,
            Err(error) => {
                self.whole.tree.errors.push(error);
                self.whole.is_broken = true;
                return;
            }
        };
        self.whole.tree.errors.extend(tree.errors);
        let mut keys = match tree.value {
            Value::Null => Mapping::new(),
            Value::Mapping(keys) => keys,
            other => {
                self.whole.tree.errors.push(SyntaxError {
                    file,
                    line: 1,
                    column: None,
                    path: String::new(),
                    message: format!("expected a mapping, found {}", what(&other)),
                    hint: Some("begin with `services:`".to_owned()),
                });
                self.whole.is_broken = true;
                return;
            }
        };
        let include = keys.shift_remove(KEY);
        self.merge(file, keys, &tree.places);
        for (path, item) in entries(include) {
            let entry = Entry {
                file,
                path,
                places: &tree.places,
            };
            self.include(&entry, &item, chain);
        }
    }

    /// Puts the keys of a file beside those so far.
    fn merge(&mut self, file: usize, keys: Mapping, places: &ValueOrigins) {
        for (key, value) in keys {
            let name = key.as_str().unwrap_or_default().to_owned();
            if file > 0 && name.starts_with("x-") {
                continue;
            }
            match (self.root.get_mut(&key), value) {
                (None, value) => drop(self.root.insert(key, value)),
                (Some(Value::Mapping(here)), Value::Mapping(more)) if name == "services" => {
                    let mut doubled = Vec::new();
                    for (service, value) in more {
                        match here.contains_key(&service) {
                            true => doubled.push(service),
                            false => drop(here.insert(service, value)),
                        }
                    }
                    for service in doubled {
                        let path = join(&name, service.as_str().unwrap_or_default());
                        self.doubled(file, &path, places);
                    }
                }
                (Some(here @ Value::Null), value) if name == "services" => *here = value,
                (Some(_), Value::Null) if name == "services" => {}
                (Some(_), _) => self.doubled(file, &name, places),
            }
        }
        self.whole.tree.places.absorb(places);
    }

    fn doubled(&mut self, file: usize, path: &str, places: &ValueOrigins) {
        let first = self.shown(&self.whole.tree.places, path);
        let message = format!("is given in {first} already");
        let hint = match path.starts_with("services.") {
            true => "give one of the two another name",
            false => "keep one of the two",
        };
        self.error(
            &Entry {
                file,
                path: path.to_owned(),
                places,
            },
            message,
            hint,
        );
    }

    /// Includes a file or a folder.
    fn include(&mut self, entry: &Entry<'_>, item: &Value, chain: &[(PathBuf, String)]) {
        let Value::String(typed) = item else {
            let message = format!(
                "expected the path of a file or a folder, found {}",
                what(item)
            );
            self.error(entry, message, "as in `include: [conf.d, shop.yaml]`");
            return;
        };
        let folder = Path::new(&self.whole.files[entry.file]).parent();
        let path = folder.unwrap_or(Path::new("")).join(typed);
        let files = match files_of(&path) {
            Ok(files) => files,
            Err(error) => {
                let shown = path.display();
                let (message, hint) = match error.kind() {
                    ErrorKind::NotFound if typed.contains(['*', '?']) => (
                        format!("there is no file or folder `{shown}`"),
                        "name the folder without a pattern: its *.yaml and *.yml files are \
                         included in the order of their names",
                    ),
                    ErrorKind::NotFound => (
                        format!("there is no file or folder `{shown}`"),
                        "the path is relative to the file that it stands in",
                    ),
                    _ => (
                        format!("cannot read `{shown}`: {}", reason_unreadable(&error)),
                        "make it readable",
                    ),
                };
                self.error(entry, message, hint);
                return;
            }
        };
        for file in files {
            self.include_file(entry, &file, chain);
        }
    }

    fn include_file(&mut self, entry: &Entry<'_>, path: &Path, chain: &[(PathBuf, String)]) {
        let read = path
            .canonicalize()
            .and_then(|known| Ok((known, read(path)?)));
        let (known, text) = match read {
            Ok(read) => read,
            Err(error) => {
                let why = reason_unreadable(&error);
                let message = format!("cannot read `{}`: {why}", path.display());
                self.error(entry, message, "make it readable, or leave it out");
                return;
            }
        };
        if let Some(start) = chain.iter().position(|(before, _)| *before == known) {
            let round = chain[start..].iter().map(|(_, name)| name.as_str());
            let round: Vec<&str> = round.chain([text.name.as_str()]).collect();
            let message = format!("includes itself: {}", round.join(" -> "));
            self.error(entry, message, "take one of these steps out");
            return;
        }
        let place = self.shown(entry.places, &entry.path);
        if let Some(first) = self.included.get(&known) {
            let message = format!("`{}` is included in {first} already", text.name);
            self.error(entry, message, "include it once");
            return;
        }
        if self.whole.files.len() >= FILES_MAX {
            let message = format!("more than {FILES_MAX} files");
            self.error(entry, message, "put some of them together");
            return;
        }
        self.included.insert(known.clone(), place);
        let chain = [chain, &[(known, text.name.clone())]].concat();
        self.add(&text, &chain);
    }

    fn error(&mut self, entry: &Entry<'_>, message: String, hint: &str) {
        let line = match entry.places.of(&entry.path) {
            Some(ValueOrigin::Line { line, .. }) => line,
            _ => 1,
        };
        self.whole.tree.errors.push(SyntaxError {
            file: entry.file,
            line,
            column: None,
            path: entry.path.clone(),
            message,
            hint: Some(hint.to_owned()),
        });
    }

    /// Place of `path`, as in `edge.yaml:3`.
    fn shown(&self, places: &ValueOrigins, path: &str) -> String {
        match places.of(path) {
            Some(ValueOrigin::Line { file, line }) => {
                format!("{}:{line}", self.whole.files[file])
            }
            _ => self.whole.files[0].clone(),
        }
    }
}

/// Entries of `include`, each with its key path.
fn entries(include: Option<Value>) -> Vec<(String, Value)> {
    match include {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Sequence(items)) => {
            let items = items.into_iter().enumerate();
            items
                .map(|(index, item)| (format!("{KEY}[{index}]"), item))
                .collect()
        }
        Some(one) => vec![(KEY.to_owned(), one)],
    }
}

/// The file itself, or the YAML files in a folder, by name. Hidden files are left out, because
/// editors leave their copies so.
fn files_of(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.metadata()?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in path.read_dir()? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let is_yaml = [".yaml", ".yml"].iter().any(|end| name.ends_with(end));
        if is_yaml && !name.starts_with('.') {
            files.push(path.join(&*name));
        }
    }
    files.sort();
    Ok(files)
}
