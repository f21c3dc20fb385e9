//! Configuration: from what the user typed to what the program may rely on.
//!
//! ```text
//! text, env, overrides --> yaml (+ origins) --> shape --> check/ --> Config --> diff
//!                                                 \       /
//!                                                  report --> Problems
//! ```
//!
//! A text is found and parsed, its variables are filled in from `env` and `.env`, and flags and environment variables are written over it. Each
//! subject in `check/` reads its keys, checks their values and fills in what was left out. Every
//! problem is collected on the way, with its line and a hint. `schema/` describes the same keys to
//! editors, and `diff` compares two configurations for a reload.

mod check;
mod checked;
mod complaint;
mod diff;
mod env;
mod env_file;
mod filled;
mod include;
mod interpolate;
mod keys;
mod load;
mod name;
mod origins;
mod overrides;
mod plugged;
mod problem;
mod report;
mod scalar;
mod schema;
mod server;
mod shape;
mod suggestion;
mod syntax_error;
mod text;
mod value_size;
mod variables;
mod yaml;

#[cfg(test)]
mod tests;

pub use check::certificates::read_certificate;
pub use check::image::check_image;
pub use checked::{Config, ServiceConfig, TlsConfig};
pub use diff::{Change, Diff, diff};
pub use env::Env;
pub use env_file::parse as parse_env_file;
pub use interpolate::{FillError, fill as fill_in};
pub use load::{instance, load, state_dir};
pub use name::name_of;
pub use overrides::{Flags, Overrides, listen_address};
pub use plugged::Plugged;
pub use problem::{Problem, Problems};
pub use schema::schema;
pub use server::{ClientLimits, Server};
pub use text::{Text, find};
pub use variables::{UsedVariable, VariableOrigin};
