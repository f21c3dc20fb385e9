//! A story that a script tells in a browser, line by line; what a line asks for is done outside.

use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

pub struct Story {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    told: String,
}

impl Story {
    /// Runs a script of this repository, which finds screenshots' folder in `SHOTS`.
    pub fn begin(script: &str, environment: &[(&str, String)]) -> Story {
        let environment = environment.iter().map(|(name, value)| (name, value));
        let mut child = Command::new("node")
            .arg(root().join(script))
            .env("SHOTS", root().join("target/screenshots"))
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node; scripts/setup --test installs it");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Story {
            child,
            lines,
            told: String::new(),
        }
    }

    /// Waits for this line.
    pub async fn tells(&mut self, word: &str) {
        while let Some(line) = self.line().await {
            if line == word {
                return;
            }
        }
        panic!("it ended before `{word}`:\n{}", self.told);
    }

    async fn line(&mut self) -> Option<String> {
        let line = self.lines.next_line().await.expect("text")?;
        self.told += &line;
        self.told += "\n";
        Some(line)
    }

    /// Its last line, once it is over and all was well.
    pub async fn end(mut self) -> String {
        let mut last = String::new();
        while let Some(line) = self.line().await {
            last = line;
        }
        let status = self.child.wait().await.expect("a child of ours");
        assert!(status.success(), "{status}:\n{}", self.told);
        print!("{}", self.told);
        last
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
