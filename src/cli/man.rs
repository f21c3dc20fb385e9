//! `tidegate man`

use super::output::{FAILED, fail, print};
use clap::{Args, Command};
use clap_mangen::Man;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub struct ManPages {
    /// Write a page for each command into this folder, as in /usr/local/share/man/man1
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl ManPages {
    /// Prints or writes the pages of a command line.
    pub fn run(self, commands: Command) -> ExitCode {
        let Some(folder) = self.out else {
            let mut page = Vec::new();
            return match Man::new(commands).render(&mut page) {
                Ok(()) => print(String::from_utf8_lossy(&page)),
                Err(error) => fail(FAILED, error),
            };
        };
        let written = std::fs::create_dir_all(&folder)
            .and_then(|()| clap_mangen::generate_to(commands, &folder));
        match written {
            Ok(()) => print(format_args!("written to {}\n", folder.display())),
            Err(error) => {
                let folder = folder.display();
                fail(
                    FAILED,
                    format_args!("cannot write manual pages to {folder}: {error}"),
                )
            }
        }
    }
}
