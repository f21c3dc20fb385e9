//! Which replica starts, drains or stops next.
//!
//! The wanted slots are always the lowest free ones, so ports are stable, the highest goes first
//! and a sick replica is replaced in its place. One rule guards every planned stop: a ready
//! replica leaves only while at least as many as are wanted stay ready.

use super::action::Plan;
use super::asleep::put_to_sleep;
use super::drain::drain_surplus_and_outdated;
use super::input::Input;
use super::reason::Reason;
use super::rest::Depth;
use super::start::start_missing;
use super::stop::{stop_sick_or_drained, stop_unwell};
use super::targets::Targets;

pub fn plan(input: &Input<'_>) -> Plan {
    let mut plan = Plan::default();
    if !input.engine_up {
        plan.waits(Reason::EngineDown);
        return plan;
    }
    if input.depth != Depth::Awake {
        put_to_sleep(input, &mut plan);
        return plan;
    }
    let targets = Targets::choose(input, &mut plan);
    stop_sick_or_drained(input, &targets, &mut plan);
    stop_unwell(input, &targets, &mut plan);
    drain_surplus_and_outdated(input, &targets, &mut plan);
    start_missing(input, &targets, &mut plan);
    plan
}
