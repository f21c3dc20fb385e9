//! The real binary on a terminal, which `script` makes.

use crate::support::edge;
use std::process::Command;

const ESCAPES: &str = "\x1b[2J\u{9b}8m";

fn on_a_terminal(arguments: &str) -> Command {
    let mut command = Command::new("script");
    let line = format!("{} {arguments}", env!("CARGO_BIN_EXE_tidegate"));
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    command
}

#[tokio::test]
async fn control_characters_are_spelled_out_on_a_terminal_and_kept_in_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(format!("{ESCAPES}.yaml"));
    std::fs::write(&file, "services: { web: { image: web } }\n").unwrap();
    let file = file.to_str().unwrap();

    let shown = edge::ran(on_a_terminal(&format!("check -c '{file}'"))).await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(
        shown.out.contains("\\x1b[2J\\x9b8m.yaml: right"),
        "{shown:?}"
    );
    assert!(!shown.out.contains('\x1b'), "{shown:?}");
    // Standard error is the same terminal.
    let shown = edge::ran(on_a_terminal(&format!("logs nobody -c '{file}'"))).await;
    assert!(
        shown.out.contains("in ") && shown.out.contains("\\x1b[2J"),
        "{shown:?}"
    );
    assert!(!shown.out.contains('\x1b'), "{shown:?}");

    let shown = edge::tidegate(&["check", "-c", file]).await;
    assert!(shown.out.contains(ESCAPES), "{shown:?}");
}
