//! `tidegate top`: the services live, with keys to act.

mod command;
mod draw;
mod input;
mod orders;
mod state;

#[cfg(test)]
mod tests;

pub use command::TopArgs;
