//! The bounds of a service's number of replicas.

/// Least and largest number of replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub min: u32,
    pub max: u32,
}

impl Bounds {
    /// The bounds while the service is awake: one replica at least.
    pub fn awake(self) -> Bounds {
        Bounds {
            min: self.min.max(1),
            max: self.max.max(1),
        }
    }

    pub fn clamp(self, wanted: u32) -> u32 {
        wanted.clamp(self.min, self.max)
    }
}
