//! A service as the planner sees it.

use super::state::ServiceState;
use crate::control::permits::Permits;
use crate::engine::Abilities;
use crate::plan::{Input, Plan, Reason, ReplicaInput, plan};
use crate::service::time::Moment;

impl ServiceState {
    /// Plans the next steps, and remembers why.
    pub fn plan(
        &mut self,
        permits: &Permits,
        engine_up: bool,
        can: Abilities,
        now: Moment,
    ) -> Plan {
        let seen = self.seen(now);
        let mut input = self.input(&seen, permits, engine_up, now);
        if !can.pause {
            input.depth = input.depth.without_pause();
        }
        plan(&input)
    }

    pub fn explain(&mut self, because: Vec<Reason>) {
        self.because = because;
    }

    fn seen(&mut self, now: Moment) -> Vec<ReplicaInput> {
        self.let_others_go();
        self.fleet.forgive_ports(self.count.wanted(), now);
        self.fleet.note_settled(now);
        let is_current = |version| self.wish.is_current(version);
        self.fleet
            .ours()
            .map(|tracked| ReplicaInput {
                id: tracked.id().clone(),
                slot: tracked.slot(),
                current: !tracked.is_to_go() && is_current(tracked.spec()),
                condition: tracked.condition(now),
            })
            .collect()
    }

    /// Addresses of a service that has an image now serve until its containers can.
    fn let_others_go(&mut self) {
        let ready = self.fleet.ours().filter(|tracked| tracked.is_ready());
        if !self.wish.is_run_by_others() && ready.count() >= self.count.wanted() as usize {
            let grace = self.wish.stop_grace_period();
            self.fleet.let_others_go(|_| false, grace);
        }
    }

    fn input<'a>(
        &'a self,
        replicas: &'a [ReplicaInput],
        permits: &Permits,
        engine_up: bool,
        now: Moment,
    ) -> Input<'a> {
        let template = self.wish.spec().and_then(|spec| spec.template());
        let wanted = template.map_or(0, |_| self.count.wanted());
        Input {
            replicas,
            starting: self.fleet.starting_slots(),
            hanging: self.fleet.hanging(now),
            image: self.fleet.image(self.wish.version()),
            taken: self.fleet.taken(),
            first_slot: template.map_or(0, |template| template.first_port),
            wanted: self.wish.is_declared().then_some(wanted),
            depth: self.count.depth(self.wish.sleep_terms(), now),
            stop_grace_period: self.wish.stop_grace_period(),
            roll: self.wish.roll_terms(),
            check_round: self.wish.check_round(),
            backoff: self.fleet.backoff(),
            starts_left: permits.share(),
            reserve: permits.has_reserve(),
            engine_up,
            now,
        }
    }

    /// When something is due that no event tells of.
    pub fn next_turn(&self, now: Moment) -> Option<Moment> {
        let fleet = self.fleet.turns_at(self.patience());
        let turns = fleet.chain(self.wish.rollout_wake(now));
        turns.filter(|at| *at > now).min()
    }
}
