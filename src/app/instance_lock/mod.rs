//! The lock on an instance's containers: two processes must not control the same ones, whatever
//! folder their state is in and however they spell the way to the daemon.
//!
//! A lock has two halves, which both end with the process. The *file* is in a folder that strangers
//! cannot write to, so nobody else can take it first, and network namespaces do not matter. The
//! *name* in the kernel's socket namespace is seen by processes of other users, too, which have
//! another folder; anybody may bind it, so it counts only when its holder might use the daemon.

mod file;
mod lock;
mod name;
mod refusal;

pub use lock::InstanceLock;
