//! Programs out of Debian's packages.

use std::process::Command;

/// Debian keeps them where only root's shell looks.
pub fn path() -> String {
    std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin"
}

/// The first word that looks like a version in what the program says of itself, as `2.6.12`.
pub fn version(program: &str, argument: &str) -> Result<String, String> {
    let output = Command::new(program)
        .env("PATH", path())
        .arg(argument)
        .output()
        .map_err(|why| {
            format!("starting {program}: {why}\n  hint: `scripts/setup --bench` installs it")
        })?;
    // nginx speaks to the other one.
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let version = said
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .find(|word| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()));
    Ok(version.unwrap_or("?").to_owned())
}
