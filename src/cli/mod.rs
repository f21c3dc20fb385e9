//! The command line: one command a file, each returning its exit code.

mod arguments;
mod certs;
mod check;
mod client;
mod commands;
mod completions;
mod deploy;
mod events;
mod explain;
mod foreign_commands;
mod init;
mod logs;
mod man;
mod output;
mod plan;
mod progress;
mod reload;
mod replace;
mod run;
mod scale;
mod schema;
mod simulate;
mod status;
mod stream;
mod table;
mod terminal;
mod top;
mod trust;
mod version;
mod waiting;

pub use commands::main;
