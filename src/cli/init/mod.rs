//! `tidegate init`: a configuration to begin with, for an image or from a Compose file.

mod command;
mod compose;
mod defaults;
mod draft;
mod health;
mod image;
mod question;
mod yaml;

#[cfg(test)]
mod tests;

pub use command::Init;
