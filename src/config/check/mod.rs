//! From the file's keys to what the program may rely on, one subject a file: the keys that a user
//! may write, the check of their values, and what holds without them.
//!
//! No check stops at a problem: it is reported, and the rest is checked as well.

mod addresses;
pub mod admin;
pub mod balance;
mod claims;
mod command;
mod concurrency;
pub mod container;
mod environment;
pub mod file;
pub mod forward;
pub mod health;
pub mod hold;
mod host;
pub mod image;
pub mod instance;
pub mod limits;
pub mod outlier;
mod outline;
mod plugins;
mod ports;
mod proxies;
pub mod retries;
pub mod route;
pub mod scale;
mod secrets;
pub mod service;
mod services;
pub mod timeouts;
pub mod update;
mod value;
mod volumes;
