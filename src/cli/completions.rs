//! `tidegate completions`

use super::output::print;
use clap::{Args, Command};
use clap_complete::Shell;
use std::process::ExitCode;

#[derive(Args)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// Prints the script for a command line.
    pub fn run(self, mut commands: Command) -> ExitCode {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut commands, "tidegate", &mut script);
        print(String::from_utf8_lossy(&script))
    }
}
