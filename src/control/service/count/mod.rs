//! How many replicas of a service are wanted.

mod by_hand;
mod policy;
mod rest;
