//! A log that nobody reads: a pipe that is full.

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

pub struct Stalled {
    path: PathBuf,
    /// Held open, so that writing blocks and does not fail.
    _reader: File,
}

impl Stalled {
    pub fn make(path: PathBuf) -> Result<Stalled, String> {
        let make = || {
            nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR)?;
            open(OpenOptions::new().read(true), &path)
        };
        let reader = make().map_err(|why| format!("making {}: {why}", path.display()))?;
        Ok(Stalled {
            path,
            _reader: reader,
        })
    }

    /// The end that the program under test writes to.
    pub fn writer(&self) -> std::io::Result<File> {
        OpenOptions::new().write(true).open(&self.path)
    }

    /// From now on whatever is written waits for ever.
    pub fn fill(&self) -> Result<(), String> {
        let fill = || {
            // Opened by itself: the other end stays one that blocks.
            let mut writer = open(OpenOptions::new().write(true), &self.path)?;
            loop {
                match writer.write(b"\n") {
                    Ok(_) => {}
                    Err(why) if why.kind() == ErrorKind::WouldBlock => return Ok(()),
                    Err(why) => return Err(why),
                }
            }
        };
        fill().map_err(|why| format!("filling {}: {why}", self.path.display()))
    }
}

fn open(options: &mut OpenOptions, path: &Path) -> std::io::Result<File> {
    let flags = OFlag::O_NONBLOCK.bits();
    options.custom_flags(flags).open(path)
}
