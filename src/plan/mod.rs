//! The decisions. Pure: no async, no clock, no log; the same input gives the same plan.
//!
//! [`replicas::plan`] looks at one service as it is and says what to do next, each step with its
//! reason, and also why it does nothing. [`scaler::Scaler`] is the seam for how many are wanted.

pub mod backoff;
pub mod combined;
pub mod reason;
pub mod replicas;
pub mod rest;
pub mod scaler;
pub mod window;

pub use reason::Reason;
pub use replicas::{Action, Condition, Image, Input, Plan, Roll, Seen, plan};
pub use rest::{Depth, Rest};
