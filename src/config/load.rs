//! Loading: from a text to a [`Config`], or to every problem in it.

use super::check::file::file;
use super::check::instance::{DEFAULT_INSTANCE, default_state_dir, is_root};
use super::checked::Config;
use super::env::Env;
use super::include::{Whole, gather};
use super::overrides::Overrides;
use super::problem::Problems;
use super::report::ProblemReport;
use super::text::Text;
use super::variables::VariableSources;
use crate::plugin::Registry;
use crate::service::store::Reader;
use std::path::{Path, PathBuf};

/// Loads `source`, with `overrides` written over it. Fails with every problem at once.
///
/// Plugins of `previous` that did not change are kept, with all that they have counted.
pub fn load(
    source: &Text,
    overrides: &Overrides,
    registry: &Registry,
    reader: Reader,
    previous: Option<&Config>,
) -> Result<Config, Problems> {
    let sources = VariableSources::beside(Path::new(&source.name), &overrides.env);
    let Whole {
        files,
        mut tree,
        is_broken,
    } = gather(source, &sources);
    let misplaced = overrides.apply(&mut tree);
    let report = ProblemReport::new(files, tree.places);
    for error in tree.errors {
        report.syntax_error(error);
    }
    if is_broken {
        return report.finish(None);
    }
    for misplaced in misplaced {
        misplaced.report(&report);
    }
    let at = report.root();
    let config = file(&at, tree.value, &sources, registry, reader, previous);
    let (beside, errors) = sources.problems();
    report.line_errors(&beside, errors);
    report.finish(config.map(|config| Config {
        variables: sources.used(),
        ..config
    }))
}

/// State folder of `source`, whatever else is wrong with it: commands that talk to the running
/// process need it also with a bad file.
pub fn state_dir(source: &Text, env: &Env) -> PathBuf {
    let named = env.get("TIDEGATE_STATE_DIR");
    let named = named.or_else(|| typed(source, "state_dir", env));
    let named = named.map(PathBuf::from).filter(|path| path.is_absolute());
    named
        .or_else(|| default_state_dir(is_root(), env))
        .unwrap_or_else(|| PathBuf::from("/var/lib/tidegate"))
}

/// Instance of `source`, whatever else is wrong with it.
pub fn instance(source: &Text, env: &Env) -> String {
    let named = env.get("TIDEGATE_INSTANCE");
    let named = named.or_else(|| typed(source, "instance", env));
    named.unwrap_or_else(|| DEFAULT_INSTANCE.to_owned())
}

fn typed(source: &Text, key: &str, env: &Env) -> Option<String> {
    let sources = VariableSources::beside(Path::new(&source.name), env);
    let whole = gather(source, &sources);
    Some(whole.tree.value.get(key)?.as_str()?.to_owned())
}
