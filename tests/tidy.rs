//! The rules of the house, each failing with what to do.

mod circles;
mod comments;
mod graph;
mod paths;
mod rooms;
mod shape;
mod shipped;
mod source;
