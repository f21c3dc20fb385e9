//! Secrets: variables whose values are in files, so that the configuration has none.

use super::value::ValueError;
use crate::config::report::At;
use serde_yaml::{Mapping, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Largest secret, ten times a certificate chain with its key.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// Adds each secret to `environment`; returns their names.
pub fn secrets(
    at: &At<'_>,
    typed: Option<Mapping>,
    environment: &mut BTreeMap<String, String>,
) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (name, file) in typed.unwrap_or_default() {
        let Some(name) = name.as_str() else {
            continue;
        };
        let at = at.key(name);
        if name.is_empty() || name.contains(['=', '\0']) || name.contains(char::is_whitespace) {
            at.error("cannot be the name of a variable");
            continue;
        }
        let Value::String(file) = file else {
            at.error_hint(
                "expected the path of a file",
                format!("as in `{name}: /run/secrets/{}`", name.to_ascii_lowercase()),
            );
            continue;
        };
        let Some(secret) = at.accept(read(Path::new(&file))) else {
            continue;
        };
        if environment.insert(name.to_owned(), secret).is_some() {
            at.error_hint(
                format!("`{name}` is given under `environment` as well"),
                "remove one of the two",
            );
        }
        names.insert(name.to_owned());
    }
    names
}

/// Content of the file, without a final line break.
fn read(path: &Path) -> Result<String, ValueError> {
    let shown = path.display();
    if !path.is_absolute() {
        return Err(ValueError::hint(
            format!("expected an absolute path, found `{shown}`"),
            "begin with a slash",
        ));
    }
    let mut text = String::new();
    let file = File::open(path)
        .map_err(|error| ValueError::new(format!("cannot open `{shown}`: {error}")))?;
    let read = file.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| ValueError::new(format!("cannot read `{shown}`: {error}")))?;
    if text.len() as u64 > SECRET_BYTES_MAX {
        return Err(ValueError::new(format!("`{shown}` is larger than 64 KiB")));
    }
    if text.contains('\0') {
        return Err(ValueError::new(format!(
            "`{shown}` has a NUL character in it"
        )));
    }
    let ends = text
        .strip_suffix('\n')
        .map(|text| text.strip_suffix('\r').unwrap_or(text));
    Ok(ends.unwrap_or(&text).to_owned())
}
