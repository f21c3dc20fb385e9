//! The decisions. Pure: no async, no clock, no log; the same input gives the same plan.

pub mod scaler;
pub mod window;
