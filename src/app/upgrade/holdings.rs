//! Resources that only one process may hold: listening sockets and locks.
//!
//! Each is opened, inherited from the previous process, or passed by a supervisor. The latter two are
//! held at all times.

use super::handover::Holding;
use super::predecessor;
use crate::app::engines::{self, IdentityCheck, Seal};
use crate::app::instance_lock::InstanceLock;
use crate::app::key::SealKey;
use crate::app::listener::{bind, bound_unsent};
use crate::app::socket_activation;
use crate::app::start_error::{StartError, system};
use crate::app::state_lock::{TO_RUN, lock_state_dir, signed_by};
use crate::config::Config;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

pub struct Holdings {
    /// Listeners of the proxy, in clear and with TLS, then that of the admin API.
    pub listeners: Vec<(SocketAddr, TcpListener)>,
    pub state_lock: File,
    /// Held while any service has containers.
    instance_lock: Arc<InstanceLock>,
    key: SealKey,
    /// Listeners of the previous process, until the wanted ones are known.
    inherited: Vec<(SocketAddr, TcpListener)>,
    /// Listeners of a supervisor, until then.
    passed: Vec<(SocketAddr, TcpListener)>,
}

impl Holdings {
    /// Takes the locks. `handed`: holdings of the previous process, if there is one.
    pub fn lock(
        config: &Config,
        handed: Option<predecessor::Handed>,
        passed: Vec<(SocketAddr, TcpListener)>,
    ) -> Result<Holdings, StartError> {
        let mut state_lock = None;
        let mut halves = Vec::new();
        let mut inherited = Vec::new();
        for (holding, descriptor) in handed.into_iter().flatten() {
            match holding {
                Holding::StateLock => state_lock = Some(File::from(descriptor)),
                Holding::InstanceLock(half) => halves.push((half, descriptor)),
                Holding::Listener(address) => {
                    inherited.push((address, TcpListener::from(descriptor)));
                }
            }
        }
        let state_lock = match state_lock {
            Some(lock) => lock,
            None => lock_state_dir(&config.state_dir, TO_RUN)?,
        };
        let socket = engines::socket();
        let state_dir = &config.state_dir;
        let instance_lock = InstanceLock::new(&config.instance, state_dir, socket.as_deref());
        instance_lock.inherit(halves);
        let holdings = Holdings {
            listeners: Vec::new(),
            instance_lock: Arc::new(instance_lock),
            key: SealKey::open(&config.state_dir, signed_by(&state_lock))?,
            state_lock,
            inherited,
            passed,
        };
        if config.has_containers() {
            holdings.lock_instance()?;
            if let Some(engine) = engines::identity(&config.instance)? {
                let lock = &holdings.instance_lock;
                lock.meet(&engine).map_err(StartError::System)?;
            }
        }
        Ok(holdings)
    }

    /// Key with which the engine seals labels.
    pub fn seal(&self) -> Arc<Seal> {
        self.key.seal()
    }

    /// Check that the engine makes before it uses a daemon.
    pub fn claim(&self) -> IdentityCheck {
        let lock = Arc::clone(&self.instance_lock);
        // Failures of the engine are one line each.
        let in_a_line = |why: String| why.replace("\n  hint: ", "; ");
        Arc::new(move |engine| lock.meet(engine).map_err(in_a_line))
    }

    /// Opens the listeners that were neither inherited nor passed, and closes the inherited ones
    /// that are not wanted any more. From now on clients wait in the kernel's queue.
    pub fn listen(&mut self, config: &Config) -> Result<(), StartError> {
        let mut inherited = std::mem::take(&mut self.inherited);
        let mut passed = std::mem::take(&mut self.passed);
        let mut open = |address: SocketAddr, set_with| {
            // Both may be there, for the same socket.
            let passed = take(&mut passed, address);
            let listener = match take(&mut inherited, address).or(passed) {
                Some(listener) => listener,
                None => bind(address, set_with)?,
            };
            bound_unsent(&listener);
            self.listeners.push((address, listener));
            Ok(())
        };
        for address in &config.listen {
            open(*address, "`listen` or --listen")?;
        }
        for address in config.tls_listen() {
            open(*address, "`tls: { listen: … }`")?;
        }
        if let Some(address) = config.admin {
            let set_with = "`admin: { listen: … }` or TIDEGATE_ADMIN_LISTEN";
            open(address, set_with)?;
        }
        socket_activation::all_used(&passed)
    }

    /// Does nothing when it is locked already.
    pub fn lock_instance(&self) -> Result<(), StartError> {
        self.instance_lock.want().map_err(StartError::System)
    }

    /// Removes files that nobody needs once this process has ended without a successor.
    pub fn tidy_up(&self) {
        self.instance_lock.tidy_up();
    }

    /// The descriptors of the lock on the instance, by name.
    pub fn instance_halves(&self) -> Vec<(String, Arc<OwnedFd>)> {
        self.instance_lock.halves()
    }

    /// A second handle for each of `addresses`.
    pub fn copies(
        &self,
        addresses: &[SocketAddr],
    ) -> Result<Vec<(SocketAddr, TcpListener)>, StartError> {
        let ours = self.listeners.iter();
        let wanted = ours.filter(|(address, _)| addresses.contains(address));
        wanted
            .map(|(address, listener)| Ok((*address, listener.try_clone()?)))
            .collect::<io::Result<_>>()
            .map_err(|error| system(&error))
    }

    /// All holdings with their descriptors.
    pub fn all<'a>(
        &'a self,
        halves: &'a [(String, Arc<OwnedFd>)],
    ) -> (Vec<Holding>, Vec<BorrowedFd<'a>>) {
        let listeners = self
            .listeners
            .iter()
            .map(|(address, listener)| (Holding::Listener(*address), listener.as_fd()));
        let instance = halves
            .iter()
            .map(|(name, half)| (Holding::InstanceLock(name.clone()), half.as_fd()));
        let state = std::iter::once((Holding::StateLock, self.state_lock.as_fd()));
        listeners.chain(instance).chain(state).unzip()
    }

    /// Signs locks and key with this process, which messages of other processes name.
    pub fn sign(&mut self) -> io::Result<()> {
        let mut file = &self.state_lock;
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        self.instance_lock.sign()?;
        self.key.sign()
    }
}

fn take(
    listeners: &mut Vec<(SocketAddr, TcpListener)>,
    address: SocketAddr,
) -> Option<TcpListener> {
    let known = listeners.iter().position(|(known, _)| *known == address)?;
    Some(listeners.swap_remove(known).1)
}
