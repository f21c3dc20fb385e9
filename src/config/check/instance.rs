//! The instance, and the folder for its state.

use super::value::{self, ValueError, text};
use crate::config::env::Env;
use crate::config::report::At;
use crate::config::scalar::Scalar;
use std::path::PathBuf;

/// Default name of the instance.
pub const DEFAULT_INSTANCE: &str = "default";

pub fn instance(typed: &Scalar) -> Result<String, ValueError> {
    let instance = text(typed)?;
    value::name(&instance, "an instance")?;
    Ok(instance)
}

pub fn state_dir(at: &At<'_>, typed: Option<&Scalar>, env: &Env) -> Option<PathBuf> {
    let Some(default) = default_state_dir(is_root(), env) else {
        if typed.is_none() {
            at.key("state_dir").error_hint(
                "there is no folder for it: neither `XDG_RUNTIME_DIR` nor `HOME` is set",
                "write one, as in `state_dir: /var/lib/tidegate`",
            );
        }
        return at.optional("state_dir", typed, absolute);
    };
    at.read("state_dir", typed, default, absolute)
}

pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

pub fn default_state_dir(is_root: bool, env: &Env) -> Option<PathBuf> {
    if is_root {
        return Some(PathBuf::from("/var/lib/tidegate"));
    }
    let below = |name: &str, rest: &str| Some(PathBuf::from(env.get(name)?).join(rest));
    below("XDG_RUNTIME_DIR", "tidegate").or_else(|| below("HOME", ".local/state/tidegate"))
}

fn absolute(typed: &Scalar) -> Result<PathBuf, ValueError> {
    let path = PathBuf::from(text(typed)?);
    if path.is_absolute() {
        return Ok(path);
    }
    Err(ValueError::hint(
        format!("expected an absolute path, found `{typed}`"),
        "begin with a slash",
    ))
}
