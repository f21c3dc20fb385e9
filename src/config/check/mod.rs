//! Checks, one file for each subject: its keys, the check of their values, and the defaults.
//!
//! A check reports its problems and goes on, so that one run shows all of them. A check that
//! returns an `Option` returns `None` after a problem.

pub mod acme;
mod addresses;
pub mod admin;
pub mod balance;
pub mod certificates;
mod claims;
pub mod client_auth;
mod command;
mod concurrency;
pub mod container;
mod dns;
mod env_file;
mod environment;
pub mod file;
mod foreign_keys;
pub mod forward;
pub mod health;
pub mod hold;
mod host;
pub mod hsts;
pub mod image;
pub mod instance;
mod isolation;
pub mod limits;
pub mod outlier;
mod outline;
mod pairs;
mod plugins;
mod ports;
mod proxies;
pub mod retries;
pub mod route;
pub mod scale;
mod secrets;
pub mod service;
mod services;
pub mod settings;
pub mod timeouts;
pub mod tls;
pub mod update;
mod upstream;
pub mod upstream_tls;
mod upstream_verifier;
mod value;
mod volumes;
