//! A configuration as text, and where it is found.

use super::env::Env;
use super::problem::Problems;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Largest file; bounds the memory that a wrong path can take.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// A configuration as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Name of the file as the user gave it, for messages.
    pub name: String,
    pub content: String,
}

impl Text {
    /// The built-in defaults, for use without a file.
    pub fn built_in() -> Self {
        Text {
            name: "built-in defaults".to_owned(),
            content: String::new(),
        }
    }
}

/// Finds the configuration: the file of `-c`, else of `TIDEGATE_CONFIG`, else `./tidegate.yaml`,
/// else `/etc/tidegate/tidegate.yaml`, else the built-in defaults.
///
/// Fails when a file that was named is missing, and when any file cannot be read.
pub fn find(explicit: Option<PathBuf>, env: &Env) -> Result<Text, Problems> {
    find_among(
        explicit,
        env,
        &["tidegate.yaml", "/etc/tidegate/tidegate.yaml"],
    )
}

pub(super) fn find_among(
    explicit: Option<PathBuf>,
    env: &Env,
    usual: &[&str],
) -> Result<Text, Problems> {
    let named = explicit
        .map(|path| (path, "check the path behind `-c`"))
        .or_else(|| {
            let path = PathBuf::from(env.get("TIDEGATE_CONFIG")?);
            Some((path, "check the path in `TIDEGATE_CONFIG`, or unset it"))
        });
    if let Some((path, hint)) = named {
        return read(&path).map_err(|error| unreadable(&path, &error, hint));
    }
    for path in usual.iter().map(Path::new) {
        match read(path) {
            Ok(text) => return Ok(text),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                let hint = "make it readable, or name another file with `-c`";
                return Err(unreadable(path, &error, hint));
            }
        }
    }
    Ok(Text::built_in())
}

pub(super) fn read(path: &Path) -> std::io::Result<Text> {
    let mut content = String::new();
    let file = File::open(path)?;
    let bytes = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut content)?;
    if bytes as u64 > FILE_BYTES_MAX {
        return Err(ErrorKind::FileTooLarge.into());
    }
    Ok(Text {
        name: path.display().to_string(),
        content,
    })
}

fn unreadable(path: &Path, error: &std::io::Error, hint: &str) -> Problems {
    let why = reason_unreadable(error);
    let message = format!("cannot read the configuration: {why}");
    Problems::whole(path.display().to_string(), message, Some(hint.to_owned()))
}

/// Reason why a file cannot be read, in words.
pub(super) fn reason_unreadable(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => "reading it is not permitted".to_owned(),
        ErrorKind::IsADirectory => "it is a folder".to_owned(),
        ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        ErrorKind::FileTooLarge => {
            format!("it is larger than {} MiB", FILE_BYTES_MAX >> 20)
        }
        _ => error.to_string(),
    }
}
