//! One run: a world, its faults, and what must be true when they are over.

mod declared;
mod faults;
mod judge;
mod lives;
mod probe;
mod reload;
mod run;
mod state;
mod traffic;

pub use run::play;
