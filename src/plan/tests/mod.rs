//! The planner's tests, by subject.

mod asleep;
mod growing;
mod limits;
mod picture;
mod properties;
mod removal;
mod rollout;
mod unwell;
