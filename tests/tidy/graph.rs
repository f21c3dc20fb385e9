//! The graph of imports: which file names what another file defines.

use super::paths::{Names, names};
use super::source::Source;
use std::collections::{BTreeMap, BTreeSet};

/// A re-export of a re-export of … ends somewhere.
const DEPTH_MAX: usize = 16;

pub struct Graph {
    pub files: Vec<Source>,
    names: Vec<Names>,
    modules: BTreeMap<Vec<String>, usize>,
}

impl Graph {
    pub fn new(files: Vec<Source>) -> Graph {
        let modules = files.iter().enumerate();
        Graph {
            modules: modules
                .map(|(at, file)| (file.module.clone(), at))
                .collect(),
            names: files.iter().map(|file| names(&file.code)).collect(),
            files,
        }
    }

    /// The rooms of the crate that a file names, its own left out.
    pub fn rooms(&self, file: usize) -> BTreeSet<String> {
        let own = self.files[file].module.first();
        let all = self.absolute(file).into_iter();
        all.filter_map(|path| path.into_iter().next())
            .filter(|room| Some(room) != own)
            .collect()
    }

    /// The files that a file imports. One that only lists and re-exports imports nothing, and
    /// whoever names what it re-exports imports the file that defines it.
    pub fn imports(&self, file: usize) -> BTreeSet<usize> {
        if self.only_lists(file) {
            return BTreeSet::new();
        }
        let paths = self.absolute(file).into_iter();
        let found = paths.flat_map(|path| self.defining(&path, DEPTH_MAX));
        found.filter(|found| *found != file).collect()
    }

    /// Whether it defines nothing.
    pub fn only_lists(&self, file: usize) -> bool {
        let code = &self.files[file].code;
        let is_impl = code
            .split_whitespace()
            .any(|word| word == "impl" || word.starts_with("impl<"));
        self.names[file].items.is_empty() && !is_impl
    }

    /// Everything of this crate that a file names, from the root of the crate.
    fn absolute(&self, file: usize) -> Vec<Vec<String>> {
        let names = &self.names[file];
        let mut known = BTreeMap::new();
        let mut all = Vec::new();
        for import in &names.imports {
            let Some(path) = self.reached(file, &import.path, &BTreeMap::new()) else {
                continue;
            };
            if let Some(name) = &import.name {
                known.insert(name.clone(), path.clone());
                all.push(path);
            } else {
                all.extend(self.under(&path));
            }
        }
        let paths = names.paths.iter();
        all.extend(paths.filter_map(|path| self.reached(file, path, &known)));
        all
    }

    /// Names that a glob brings: all that the module defines or re-exports.
    fn under(&self, module: &[String]) -> Vec<Vec<String>> {
        let Some(&file) = self.modules.get(module) else {
            return vec![module.to_vec()];
        };
        let imports = self.names[file].imports.iter();
        let imported = imports.filter_map(|import| import.name.clone());
        let names = imported.chain(self.names[file].items.iter().cloned());
        names.map(|name| [module, &[name]].concat()).collect()
    }

    /// `None`: a path that leads out of the crate.
    fn reached(
        &self,
        file: usize,
        path: &[String],
        known: &BTreeMap<String, Vec<String>>,
    ) -> Option<Vec<String>> {
        let module = &self.files[file].module;
        let (first, rest) = path.split_first()?;
        let mut base = match first.as_str() {
            "crate" => Vec::new(),
            "self" => module.clone(),
            "super" => module[..module.len().saturating_sub(1)].to_vec(),
            name if known.contains_key(name) => known[name].clone(),
            name if self.names[file].modules.iter().any(|it| it == name) => {
                [module.as_slice(), &[name.to_owned()]].concat()
            }
            _ => return None,
        };
        for part in rest {
            match part.as_str() {
                "super" => drop(base.pop()),
                part => base.push(part.to_owned()),
            }
        }
        Some(base)
    }

    /// The file that defines what is at `path`; none for a module that only lists.
    fn defining(&self, path: &[String], depth: usize) -> Option<usize> {
        let is_module = |length: &usize| self.modules.contains_key(&path[..*length]);
        let length = (0..=path.len()).rev().find(is_module)?;
        let file = self.modules[&path[..length]];
        let Some(name) = path.get(length) else {
            return (!self.only_lists(file)).then_some(file);
        };
        let names = &self.names[file];
        if names.items.contains(name) || depth == 0 {
            return Some(file);
        }
        let mut globs = Vec::new();
        for import in &names.imports {
            let Some(target) = self.reached(file, &import.path, &BTreeMap::new()) else {
                continue;
            };
            match &import.name {
                Some(known) if known == name => {
                    return self.defining(&target, depth - 1);
                }
                Some(_) => {}
                None => globs.push([target, vec![name.clone()]].concat()),
            }
        }
        let mut globs = globs.iter();
        let found = globs.find_map(|path| {
            let found = self.defining(path, depth - 1)?;
            self.names[found].items.contains(name).then_some(found)
        });
        found.or((!self.only_lists(file)).then_some(file))
    }

    /// Circles of imports among `members`, each as the shortest way round.
    pub fn circles(&self, members: &[usize]) -> Vec<Vec<usize>> {
        let inside: BTreeSet<usize> = members.iter().copied().collect();
        let imports: BTreeMap<usize, BTreeSet<usize>> = members
            .iter()
            .map(|file| {
                (
                    *file,
                    self.imports(*file).intersection(&inside).copied().collect(),
                )
            })
            .collect();
        let mut circles: Vec<Vec<usize>> = Vec::new();
        for &file in members {
            let seen = circles.iter().any(|circle| circle.contains(&file));
            if let Some(circle) = way_round(&imports, file).filter(|_| !seen) {
                circles.push(circle);
            }
        }
        circles
    }
}

/// The shortest way from `file` back to itself.
fn way_round(imports: &BTreeMap<usize, BTreeSet<usize>>, file: usize) -> Option<Vec<usize>> {
    let mut from = BTreeMap::new();
    let mut next = vec![file];
    while !next.is_empty() {
        let mut after = Vec::new();
        for at in next {
            for &to in &imports[&at] {
                if to == file {
                    let mut way = vec![file, at];
                    while let Some(&before) = from.get(way.last()?) {
                        way.push(before);
                    }
                    if way.last() != Some(&file) {
                        way.push(file);
                    }
                    way.dedup();
                    way.reverse();
                    return Some(way);
                }
                if to != file && !from.contains_key(&to) {
                    from.insert(to, at);
                    after.push(to);
                }
            }
        }
        next = after;
    }
    None
}
