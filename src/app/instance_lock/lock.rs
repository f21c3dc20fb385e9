//! The lock itself: taken once containers are wanted and a daemon answers.

use super::file::{folder, lock_file, sign};
use super::name;
use super::refusal::LockRefusal;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub struct InstanceLock {
    instance: String,
    folder: PathBuf,
    /// Docker's socket: access to it is access to all containers.
    docker_socket: Option<PathBuf>,
    state: Mutex<LockState>,
}

#[derive(Default)]
struct LockState {
    /// Whether any service has containers.
    wanted: bool,
    /// The daemon that answered last.
    engine: Option<String>,
    /// Halves from the previous process, by name.
    inherited: Vec<(String, OwnedFd)>,
    held: Option<HeldLock>,
}

struct HeldLock {
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

    /// Keeps the locks of the previous process until the daemon answers.
    pub fn inherit(&self, halves: Vec<(String, OwnedFd)>) {
        self.state().inherited = halves;
    }

    /// Declares that there are containers to control. Fails when another process controls them;
    /// while no daemon answers, that shows later.
    pub fn want(&self) -> Result<(), String> {
        let mut state = self.state();
        state.wanted = true;
        match state.engine.clone() {
            Some(engine) => self.lock(&mut state, &engine),
            None => Ok(()),
        }
    }

    /// Takes the lock for a daemon of this identity, if there are containers to control.
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

    /// Signs the file with this process.
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

    fn lock(&self, state: &mut LockState, engine: &str) -> Result<(), String> {
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
            None => name::bind(&abstract_name, self.docker_socket.as_deref())
                .map_err(|refusal| self.refused(refusal))?,
        };
        state.inherited.clear();
        let halves = [
            Some((file_name, file)),
            name.map(|name| (abstract_name, name)),
        ];
        let halves = halves.into_iter().flatten();
        state.held = Some(HeldLock {
            engine: engine.to_owned(),
            path,
            halves: halves.map(|(name, half)| (name, Arc::new(half))).collect(),
        });
        Ok(())
    }

    fn refused(&self, refusal: LockRefusal) -> String {
        let instance = &self.instance;
        match refusal {
            LockRefusal::Locked(process) => format!(
                "another tidegate (process {process}) controls the containers of the instance \
                 `{instance}`\n  hint: stop it, or give this one its own `instance`"
            ),
            LockRefusal::Failed(why) => {
                format!("cannot lock the containers of the instance `{instance}`: {why}")
            }
        }
    }

    /// The value behind this lock is replaced whole.
    fn state(&self) -> MutexGuard<'_, LockState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn file_name(path: &Path) -> String {
    format!("file {}", path.display())
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

    /// Name of this test alone, because the whole machine shares names.
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
}
