//! One service under control: what is wished for, how many are wanted, and the replicas there are.

pub(super) mod count;
pub(super) mod fleet;
pub(super) mod state;
mod view;
pub(super) mod wish;
