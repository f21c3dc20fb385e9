mod client;
mod status;
