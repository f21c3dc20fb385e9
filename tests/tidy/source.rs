//! Source files, and their code without comments, strings and tests.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of a crate of ours.
pub struct Source {
    /// As in `src/proxy/route.rs`.
    pub name: String,
    /// Its module, as in `proxy`, `route`.
    pub module: Vec<String>,
    pub code: String,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

impl Source {
    pub fn new(name: &str, module: &[&str], text: &str) -> Source {
        Source {
            name: name.to_owned(),
            module: module.iter().map(|part| (*part).to_owned()).collect(),
            code: without_tests(&plain(text)),
        }
    }
}

/// The library: `src`, and `plugins`, which is a module of it. Files of tests are left out.
pub fn library() -> Vec<Source> {
    let mut all = crate_in("src", &[]);
    all.extend(crate_in("plugins", &["plugins"]));
    all
}

/// The files below `folder`, which is the module `inside`.
pub fn crate_in(folder: &str, inside: &[&str]) -> Vec<Source> {
    let mut all = Vec::new();
    for path in files(folder, "rs") {
        let below = path.strip_prefix(root().join(folder)).expect("below it");
        let below = below.with_extension("");
        let parts: Vec<String> = below
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        if parts.iter().any(|part| part.ends_with("tests")) {
            continue;
        }
        let mut module: Vec<&str> = inside.to_vec();
        module.extend(parts.iter().map(String::as_str));
        if ["mod", "lib", "main"].contains(&module[module.len() - 1]) {
            module.pop();
        }
        let name = path.strip_prefix(root()).expect("below it");
        let text = fs::read_to_string(&path).expect("readable");
        all.push(Source::new(&name.to_string_lossy(), &module, &text));
    }
    all
}

/// Code without comments, and without what stands in quotes.
pub fn plain(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut out = String::new();
    let mut index = 0;
    while index < chars.len() {
        match (chars[index], at(index + 1)) {
            ('/', '/') => {
                while index < chars.len() && chars[index] != '\n' {
                    index += 1;
                }
            }
            ('/', '*') => {
                index += 2;
                while index < chars.len() && (at(index), at(index + 1)) != ('*', '/') {
                    index += 1;
                }
                index += 2;
            }
            ('r', '"' | '#') if !is_word(out.chars().last()) && raw_string(&chars, index) > 0 => {
                index = raw_string(&chars, index);
                out.push_str("\"\"");
            }
            ('"', _) => {
                index += 1;
                while index < chars.len() && chars[index] != '"' {
                    index += if chars[index] == '\\' { 2 } else { 1 };
                }
                index += 1;
                out.push_str("\"\"");
            }
            ('\'', '\\') => {
                index += 3;
                while index < chars.len() && chars[index] != '\'' {
                    index += 1;
                }
                index += 1;
            }
            ('\'', _) if at(index + 2) == '\'' => index += 3,
            (other, _) => {
                out.push(other);
                index += 1;
            }
        }
    }
    out
}

/// The index behind the raw string that begins at `from`; 0: there is none.
fn raw_string(chars: &[char], from: usize) -> usize {
    let hashes = chars[from + 1..].iter().take_while(|c| **c == '#').count();
    let mut index = from + 1 + hashes;
    if chars.get(index) != Some(&'"') {
        return 0;
    }
    index += 1;
    while index < chars.len() {
        let ends = chars[index] == '"'
            && chars[index + 1..].iter().take_while(|c| **c == '#').count() >= hashes;
        index += 1;
        if ends {
            return index + hashes;
        }
    }
    index
}

fn is_word(c: Option<char>) -> bool {
    c.is_some_and(|c| c.is_alphanumeric() || c == '_')
}

/// Code without the items behind `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::new();
    let mut rest = code;
    while let Some((before, after)) = rest.split_once(MARK) {
        out.push_str(before);
        let end = after.find([';', '{']).unwrap_or(after.len());
        rest = &after[end..];
        if rest.starts_with('{') {
            let mut depth = 0;
            let ends = rest.char_indices().find(|(_, c)| {
                depth += match c {
                    '{' => 1,
                    '}' => -1,
                    _ => 0,
                };
                depth == 0
            });
            rest = &rest[ends.map_or(rest.len(), |(index, _)| index + 1)..];
        } else {
            rest = rest.get(1..).unwrap_or_default();
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_is_left_of_a_text() {
        let text = "use a::b; // crate::c\nlet t = \"crate::d\"; /* crate::e */ let c = '\"'; \
                    let r = r#\"crate::f \"#; fn x<'a>(y: &'a str) {}\n#[cfg(test)]\nmod tests { \
                    use crate::g; fn h() {} }\n#[cfg(test)]\nmod i;\nuse crate::j;";
        let code = Source::new("x.rs", &["x"], text).code;
        assert!(code.contains("a::b") && code.contains("crate::j") && code.contains("'a str"));
        for gone in ["c", "d", "e", "f", "g"] {
            assert!(!code.contains(&format!("crate::{gone}")), "{code}");
        }
        assert!(!code.contains("mod i"));
    }
}
