//! Default values, and the comments that are written beside them.

/// Port that an image most probably listens on when it does not say.
pub const PORT: u16 = 80;
/// The first host port of the first service.
pub const FIRST_PORT: u16 = 8000;
/// Host ports are given to services in ranges of this size.
pub const PORTS_EACH: u16 = 100;

/// Most replicas of a service that may have several.
pub const MAX: u64 = 4;

/// Reason of a `scale` that leaves room.
pub const MORE: &str = "more with more requests at work (policy `concurrency`)";
/// Reason of a `scale` of one.
pub const ONE_COPY: &str = "more when several may write to these volumes at once";
