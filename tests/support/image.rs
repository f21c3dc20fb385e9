//! An image for tests, made on the spot: no registry, no network.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

const SOURCE: &str = include_str!("tiny_server.rs");

/// The name of the tiny server's image, which is built when this machine does not have it yet.
pub fn tiny() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let mut hasher = DefaultHasher::new();
        SOURCE.hash(&mut hasher);
        let image = format!("tidegate-test-tiny:{:016x}", hasher.finish());
        if !exists(&image) {
            import(&compile(), &image);
        }
        image
    })
}

fn exists(image: &str) -> bool {
    Command::new("docker")
        .args(["image", "inspect", image])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("the docker command is needed to make the test image")
        .success()
}

/// The folder with the server in it, as the root of the image's file system.
fn compile() -> tempfile::TempDir {
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let source = root.path().join("tiny_server.rs");
    fs::write(&source, SOURCE).unwrap();
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let built = Command::new(rustc)
        .args(["--edition=2024", "-O", "-Ctarget-feature=+crt-static"])
        .args(["-Cstrip=symbols", "-o"])
        .arg(root.path().join("server"))
        .arg(&source)
        .status();
    assert!(built.unwrap().success(), "the tiny server does not compile");
    fs::remove_file(source).unwrap();
    root
}

fn import(root: &impl AsRef<Path>, image: &str) {
    let mut tar = Command::new("tar")
        .args(["-c", "-C"])
        .arg(root.as_ref())
        .arg("server")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let imported = Command::new("docker")
        .args(["import", "--change", "CMD [\"/server\"]", "-", image])
        .stdin(tar.stdout.take().unwrap())
        .stdout(Stdio::null())
        .status();
    assert!(tar.wait().unwrap().success());
    assert!(imported.unwrap().success(), "docker import failed");
}
