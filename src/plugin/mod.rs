//! The seam that a stranger writes against.
//!
//! A plugin is a configuration struct with an [`install`](Plugin::install): its fields are the
//! keys a user may write, its doc comments their reference. Installing does no I/O, so that
//! `tidegate check` can stop there; what must run goes to [`Hooks::background`].
//!
//! ```
//! use tidegate::plugin::prelude::*;
//!
//! /// Marks each answer with the place it came from.
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Geo { country: String }
//!
//! impl Plugin for Geo {
//!     const NAME: &'static str = "geo";
//!     fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
//!         hooks.filter(self);
//!         Ok(())
//!     }
//! }
//!
//! impl Filter for Geo {
//!     fn response(&self, response: &mut Response<'_>) {
//!         let _ = response.head.insert_header("x-country", &self.country);
//!     }
//! }
//! ```

mod answer;
mod exchange;
mod filter;
mod hooks;
mod observer;
pub mod prelude;
mod probe;
mod registry;
mod response;
pub mod testing;
mod trace;
mod transform;
mod values;

pub use crate::plan::combined::Combined;
pub use crate::plan::scaler::Scaler;
pub use answer::Answer;
pub use exchange::Exchange;
pub use filter::{Filter, Request, Verdict};
pub use hooks::{Background, Hooks, Installed};
pub use observer::{Observer, Record};
pub use probe::Probe;
pub use registry::{InstallError, Plugin, PluginError, Registry};
pub use response::{Changes, Origin, Response};
pub use trace::Trace;
pub use transform::{Broken, Transform};
pub use values::{bytes, duration};
