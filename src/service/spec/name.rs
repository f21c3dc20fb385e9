//! Names: of a service, of its replicas' slots, of what containers are made from.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Name of a service. A clone shares the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(Arc<str>);

impl ServiceName {
    pub fn new(name: impl AsRef<str>) -> Self {
        ServiceName(Arc::from(name.as_ref()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Longest name of a service or an instance, in bytes.
pub const NAME_BYTES_MAX: usize = 40;

/// Whether `name` may name a service or an instance: a-z, 0-9 and `-`, not first.
pub fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.starts_with('-')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

impl Borrow<str> for ServiceName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The place of a replica: the host port of a container, or the position of a fixed address.
pub type Slot = u16;

/// Hash of a container template. Replicas of another one are out of date.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpecHash(Arc<str>);

impl SpecHash {
    pub fn new(hash: impl AsRef<str>) -> Self {
        SpecHash(Arc::from(hash.as_ref()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}
