//! The lock on an instance's containers: two processes must not control the same ones, whatever
//! folder their state is in and however they spell the way to the daemon.
//!
//! A lock has two halves. The *file* is in a folder that strangers cannot write to, so nobody else
//! can take it first, and network namespaces do not matter. The *name* in the kernel's socket
//! namespace is seen by processes of other users, too, which have another folder; anybody may bind
//! it, so it counts only when its holder might use the daemon. Both end with the process.

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket, sockopt,
};
use nix::unistd::{Uid, getuid};
use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Root's, and of those to whom root gave it.
const SHARED_FOLDER: &str = "/run/tidegate";
/// A file that others unlink while it is being locked is made again.
const TRIES: usize = 5;

pub struct InstanceLock {
    instance: String,
    folder: PathBuf,
    /// Docker's socket: access to it is access to all containers.
    docker_socket: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whether any service has containers.
    wanted: bool,
    /// The daemon that answered last.
    engine: Option<String>,
    /// From the process before this one, by name.
    inherited: Vec<(String, OwnedFd)>,
    held: Option<Held>,
}

struct Held {
    engine: String,
    path: PathBuf,
    halves: Vec<(String, Arc<OwnedFd>)>,
}

impl InstanceLock {
    pub fn new(instance: &str, state_dir: &Path, docker_socket: Option<&Path>) -> InstanceLock {
        InstanceLock {
            instance: instance.to_owned(),
            folder: folder(state_dir),
            docker_socket: docker_socket.map(Path::to_owned),
            state: Mutex::default(),
        }
    }

    /// Keeps what the process before this one had locked, until the daemon answers.
    pub fn inherit(&self, halves: Vec<(String, OwnedFd)>) {
        self.state().inherited = halves;
    }

    /// From now on there are containers to control. Fails when somebody else does so already;
    /// while no daemon answers, that shows later.
    pub fn want(&self) -> Result<(), String> {
        let mut state = self.state();
        state.wanted = true;
        match state.engine.clone() {
            Some(engine) => self.lock(&mut state, &engine),
            None => Ok(()),
        }
    }

    /// A daemon answers, with this identity.
    pub fn meet(&self, engine: &str) -> Result<(), String> {
        let mut state = self.state();
        state.engine = Some(engine.to_owned());
        match state.wanted {
            true => self.lock(&mut state, engine),
            false => Ok(()),
        }
    }

    /// A descriptor of each half, with its name.
    pub fn halves(&self) -> Vec<(String, Arc<OwnedFd>)> {
        let state = self.state();
        let held = state.held.iter();
        held.flat_map(|held| held.halves.clone()).collect()
    }

    /// Says in the file that it is this process that holds it now.
    pub fn sign(&self) -> io::Result<()> {
        let state = self.state();
        let Some(held) = &state.held else {
            return Ok(());
        };
        let of_file = |(name, _): &&(String, Arc<OwnedFd>)| *name == file_name(&held.path);
        match held.halves.iter().find(of_file) {
            Some((_, file)) => sign(&mut File::from(file.try_clone()?)),
            None => Ok(()),
        }
    }

    /// Removes the file, which stays locked as long as this process lives.
    pub fn tidy_up(&self) {
        if let Some(held) = &self.state().held {
            let _ = fs::remove_file(&held.path);
        }
    }

    fn lock(&self, state: &mut State, engine: &str) -> Result<(), String> {
        if state
            .held
            .as_ref()
            .is_some_and(|held| held.engine == engine)
        {
            return Ok(());
        }
        let digest = Sha256::digest(engine);
        let digest: String = digest[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let path = self.folder.join(format!("{}-{digest}.lock", self.instance));
        let abstract_name = format!("tidegate {} {digest}", self.instance);
        let file_name = file_name(&path);
        let mut take = |name: &str| {
            let known = state
                .inherited
                .iter()
                .position(|(known, _)| known == name)?;
            Some(state.inherited.swap_remove(known).1)
        };
        let file = match take(&file_name) {
            Some(file) => file,
            None => lock_file(&path).map_err(|refusal| self.refused(refusal))?,
        };
        let name = match take(&abstract_name) {
            Some(name) => Some(name),
            None => self
                .bind(&abstract_name)
                .map_err(|refusal| self.refused(refusal))?,
        };
        state.inherited.clear();
        let halves = [
            Some((file_name, file)),
            name.map(|name| (abstract_name, name)),
        ];
        let halves = halves.into_iter().flatten();
        state.held = Some(Held {
            engine: engine.to_owned(),
            path,
            halves: halves.map(|(name, half)| (name, Arc::new(half))).collect(),
        });
        Ok(())
    }

    /// `None`: a stranger has the name.
    fn bind(&self, name: &str) -> Result<Option<OwnedFd>, Refusal> {
        let bound = SocketAddr::from_abstract_name(name)
            .and_then(|address| UnixListener::bind_addr(&address));
        match bound {
            Ok(listener) => Ok(Some(listener.into())),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => match holder(name) {
                Some((process, user)) if self.may_control(process, user) => {
                    Err(Refusal::Locked(process.to_string()))
                }
                _ => Ok(None),
            },
            Err(error) => Err(Refusal::Failed(error.to_string())),
        }
    }

    /// Whether this process could have containers run at all.
    fn may_control(&self, process: i32, user: Uid) -> bool {
        if user.is_root() || user == getuid() {
            return true;
        }
        let socket = self.docker_socket.as_ref().map(fs::metadata);
        let Some(Ok(socket)) = socket else {
            return false;
        };
        let status = fs::read_to_string(format!("/proc/{process}/status"));
        let groups = groups(&status.unwrap_or_default());
        user.as_raw() == socket.uid() || groups.contains(&socket.gid())
    }

    fn refused(&self, refusal: Refusal) -> String {
        let instance = &self.instance;
        match refusal {
            Refusal::Locked(process) => format!(
                "another tidegate (process {process}) controls the containers of the instance \
                 `{instance}`\n  hint: stop it, or give this one its own `instance`"
            ),
            Refusal::Failed(why) => {
                format!("cannot lock the containers of the instance `{instance}`: {why}")
            }
        }
    }

    /// The value behind this lock is replaced whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn file_name(path: &Path) -> String {
    format!("file {}", path.display())
}

enum Refusal {
    /// By which process.
    Locked(String),
    Failed(String),
}

/// Where strangers cannot write, and as many processes as possible meet: the folder in `/run` when
/// root made it or may make it, else the user's own, else the state folder.
fn folder(state_dir: &Path) -> PathBuf {
    let user = getuid();
    let shared = PathBuf::from(SHARED_FOLDER);
    let own = format!("/run/user/{user}/tidegate");
    let make = match user.is_root() {
        true => shared.as_path(),
        false => Path::new(&own),
    };
    let _ = DirBuilder::new().mode(0o700).create(make);
    let mut candidates = [shared.clone(), PathBuf::from(&own)].into_iter();
    let found = candidates.find(|folder| is_usable(folder));
    found.unwrap_or_else(|| state_dir.to_owned())
}

/// Nobody else makes folders where these are, so their owners may be trusted.
fn is_usable(folder: &Path) -> bool {
    use nix::unistd::{AccessFlags, access};
    let others_write = |found: &fs::Metadata| found.mode() & 0o022 != 0;
    fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir() && !others_write(&found))
        && access(folder, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
}

fn lock_file(path: &Path) -> Result<OwnedFd, Refusal> {
    let failed = |error: io::Error| Refusal::Failed(format!("{}: {error}", path.display()));
    for _ in 0..TRIES {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .custom_flags(nix::libc::O_NOFOLLOW)
            .open(path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                let _ = file.read_to_string(&mut owner);
                let owner = owner.chars().take_while(char::is_ascii_digit);
                return Err(Refusal::Locked(owner.collect()));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // The file may have been removed since it was opened, and another one made in its place.
        if is_at(&file, path) {
            let signed = give_to_owner(&file, path).and_then(|()| sign(&mut file));
            signed.map_err(failed)?;
            return Ok(file.into());
        }
    }
    Err(failed(io::Error::other("it is removed again and again")))
}

fn is_at(file: &File, path: &Path) -> bool {
    let same = |(a, b): (fs::Metadata, fs::Metadata)| (a.dev(), a.ino()) == (b.dev(), b.ino());
    let both = file
        .metadata()
        .and_then(|a| Ok((a, fs::symlink_metadata(path)?)));
    both.is_ok_and(same)
}

/// One that root made is for the folder's owner as well.
fn give_to_owner(file: &File, path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|_| getuid().is_root()) {
        let folder = fs::metadata(folder)?;
        // Where that right was taken from root, its lock is its own.
        let _ = fchown(file, Some(folder.uid()), Some(folder.gid()));
    }
    Ok(())
}

fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// The process and the user that hold a name; `None`: they hide.
fn holder(name: &str) -> Option<(i32, Uid)> {
    // One that accepts nobody must not make us wait.
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let ours = socket(AddressFamily::Unix, SockType::Stream, flags, None).ok()?;
    let address = UnixAddr::new_abstract(name.as_bytes()).ok()?;
    connect(ours.as_raw_fd(), &address).ok()?;
    let theirs = getsockopt(&ours, sockopt::PeerCredentials).ok()?;
    Some((theirs.pid(), Uid::from_raw(theirs.uid())))
}

/// Those of a process, its own first, as the kernel shows them.
fn groups(status: &str) -> Vec<u32> {
    let of = |line: &str| {
        let list = line.strip_prefix("Gid:").or(line.strip_prefix("Groups:"))?;
        Some(
            list.split_whitespace()
                .filter_map(|id| id.parse().ok())
                .collect::<Vec<u32>>(),
        )
    };
    status.lines().filter_map(of).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock_in(folder: &Path, instance: &str) -> InstanceLock {
        InstanceLock {
            instance: instance.to_owned(),
            folder: folder.to_owned(),
            docker_socket: None,
            state: Mutex::default(),
        }
    }

    /// Of this test alone: names are the machine's.
    fn instance(name: &str) -> String {
        format!("{name}-{}", std::process::id())
    }

    #[test]
    fn one_process_has_an_instance_of_a_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let [web, other] = ["web", "other"].map(instance);
        let first = lock_in(folder.path(), &web);
        // A daemon that answers is nobody's while there are no containers.
        first.meet("daemon").unwrap();
        first.want().unwrap();
        let second = lock_in(folder.path(), &web);
        second.want().unwrap();
        let refused = second.meet("daemon").unwrap_err();
        let who = format!("(process {})", std::process::id());
        assert!(
            refused.contains(&who) && refused.contains("own `instance`"),
            "{refused}"
        );
        second.meet("another daemon").unwrap();
        let third = lock_in(folder.path(), &other);
        third.want().unwrap();
        third.meet("daemon").unwrap();
        first.tidy_up();
        drop(first);
        second.meet("daemon").unwrap();
    }

    #[test]
    fn another_folder_is_no_way_round_it() {
        let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let [first, second] = folders.each_ref().map(|folder| {
            let lock = lock_in(folder.path(), &instance("folders"));
            lock.want().unwrap();
            lock
        });
        first.meet("daemon").unwrap();
        assert!(
            second
                .meet("daemon")
                .unwrap_err()
                .contains("another tidegate")
        );
    }

    #[test]
    fn the_file_alone_keeps_others_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let held = lock_file(&path);
        assert!(matches!(lock_file(&path), Err(Refusal::Locked(_))));
        drop(held);
        assert!(lock_file(&path).is_ok());
        let link = folder.path().join("link.lock");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        assert!(matches!(lock_file(&link), Err(Refusal::Failed(_))));
    }

    #[test]
    fn a_successor_has_it_while_its_predecessor_still_does() {
        let folder = tempfile::tempdir().unwrap();
        let old = lock_in(folder.path(), &instance("handed"));
        old.want().unwrap();
        old.meet("daemon").unwrap();
        let halves = old.halves();
        assert_eq!(halves.len(), 2);
        let copies = halves
            .iter()
            .map(|(name, half)| (name.clone(), half.try_clone().unwrap()));
        let new = lock_in(folder.path(), &instance("handed"));
        new.inherit(copies.collect());
        new.want().unwrap();
        new.meet("daemon").unwrap();
        drop((halves, old));
        let third = lock_in(folder.path(), &instance("handed"));
        third.want().unwrap();
        assert!(third.meet("daemon").is_err());
    }

    #[test]
    fn a_name_that_hides_its_holder_is_a_strangers() {
        let name = instance("tidegate hidden");
        assert_eq!(holder(&name), None);
        let address = UnixAddr::new_abstract(name.as_bytes()).unwrap();
        let none = SockFlag::empty();
        let stranger = socket(AddressFamily::Unix, SockType::Stream, none, None).unwrap();
        nix::sys::socket::bind(stranger.as_raw_fd(), &address).unwrap();
        assert_eq!(holder(&name), None, "it does not listen");
        drop(stranger);
        let ours = SocketAddr::from_abstract_name(&name).unwrap();
        let _ours = UnixListener::bind_addr(&ours).unwrap();
        let own = (std::process::id() as i32, getuid());
        assert_eq!(holder(&name), Some(own));
    }

    #[test]
    fn the_groups_of_a_process_are_all_of_them() {
        let status = "Name:\ttidegate\nGid:\t999\t999\t999\t999\nGroups:\t27 998 \n";
        assert_eq!(groups(status), [999, 999, 999, 999, 27, 998]);
        assert!(groups("").is_empty());
    }

    #[test]
    fn a_folder_that_others_write_to_is_not_used() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        assert!(is_usable(folder.path()));
        for mode in [0o777, 0o720] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert!(!is_usable(folder.path()), "{mode:o}");
        }
        assert!(!is_usable(Path::new("/nowhere")));
    }
}
