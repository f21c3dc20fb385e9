//! Results in a document, between two comments that name the tool.

use std::fs;
use std::path::Path;

/// Replaces what stands between `<!-- NAME: what follows … -->` and `<!-- NAME: end -->`.
pub fn update(file: &Path, name: &str, text: &str) -> Result<(), String> {
    let shown = file.display();
    let old = fs::read_to_string(file).map_err(|why| format!("reading {shown}: {why}"))?;
    let begin = format!("<!-- {name}: written by `{name} --update` -->");
    let end = format!("<!-- {name}: end -->");
    let new = replaced(&old, &begin, &end, text)
        .ok_or_else(|| format!("{shown} lacks `{begin}` and `{end}`"))?;
    fs::write(file, new).map_err(|why| format!("writing {shown}: {why}"))
}

fn replaced(old: &str, begin: &str, end: &str, text: &str) -> Option<String> {
    let (before, rest) = old.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!(
        "{before}{begin}\n\n{}\n\n{end}{after}",
        text.trim()
    ))
}
