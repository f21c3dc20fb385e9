//! The specification of a service: its configuration, checked and complete.

mod balance;
mod bounds;
mod changed_keys;
mod environment;
mod forward;
mod health;
mod image;
mod manual;
mod name;
mod outlier;
mod retries;
mod route;
mod service;
mod sleep;
mod template;
mod update;
mod version;

pub use balance::{Balance, HashBy};
pub use bounds::Bounds;
pub use changed_keys::changed_keys;
pub use environment::Environment;
pub use forward::Forward;
pub use health::HealthTiming;
pub use image::{ImageId, Pull};
pub use manual::ManualDeploy;
pub use name::{NAME_BYTES_MAX, ServiceName, Slot, SpecHash, is_name};
pub use outlier::OutlierDetection;
pub use retries::Retries;
pub use route::RouteSpec;
pub use service::{Source, Spec};
pub use sleep::SleepTerms;
pub use template::{LAST_PORT, Template};
pub use update::{FailureAction, Update, UpdateOrder};
pub use version::Version;
