//! An engine's picture of the world: the replicas that exist, and the places that can hold more.

use crate::service::replica::Observed;
use std::fmt;
use std::sync::Arc;

/// A machine that can hold replicas. A replica's slot is a number within its service and its
/// address is where it is dialled; neither says on which machine it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(Arc<str>);

impl Place {
    pub fn new(name: impl AsRef<str>) -> Place {
        Place(Arc::from(name.as_ref()))
    }

    /// The one place of an engine that knows a single machine.
    pub fn here() -> Place {
        Place::new("here")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The content of one listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// All replicas of this instance, in any state.
    pub replicas: Vec<Observed>,
    /// Places for new replicas, the best one first.
    pub places: Vec<Place>,
    /// False: the engine answers from a copy that may be old, so nothing may follow from it.
    pub fresh: bool,
}

impl World {
    /// The world of an engine that knows a single machine.
    pub fn here(replicas: Vec<Observed>) -> World {
        World {
            replicas,
            places: vec![Place::here()],
            fresh: true,
        }
    }
}

/// Calls that not every engine knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    pub pause: bool,
    pub usage: bool,
}

impl Abilities {
    pub const ALL: Abilities = Abilities {
        pause: true,
        usage: true,
    };
}
