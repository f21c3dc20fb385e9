//! Options of the command line.

use crate::attackers::Kind;
use crate::edge::Which;
use clap::Parser;
use std::path::PathBuf;

#[derive(Parser)]
pub struct Options {
    /// The binary under test
    pub binary: PathBuf,
    /// Only these kinds of attack
    #[arg(long, value_enum)]
    pub only: Vec<Kind>,
    /// Only these edges
    #[arg(long, value_enum)]
    pub edge: Vec<Which>,
    /// Connections that attack at once
    #[arg(long, default_value_t = 2000)]
    pub connections: usize,
    /// How long an attack lasts
    #[arg(long, default_value_t = 20)]
    pub seconds: u64,
    /// Requests a second of the well-behaved client
    #[arg(long, default_value_t = 200)]
    pub rate: u32,
    /// Write the table into this file, between its marks
    #[arg(long)]
    pub update: Option<PathBuf>,
}
