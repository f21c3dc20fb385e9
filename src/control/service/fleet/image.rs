//! Whether the image that a service's next replica is made from is on the machine.
//!
//! ```text
//! Unknown -> Coming -> Here        a start that fails: Unknown
//!               |
//!               '-> Unanswered     until a listing says whose failure that was: Unknown
//! ```
//!
//! A pull takes no place among the starts, so one that takes long is felt by its own service only.

use super::outcome::{ReplicaFailure, Unanswered};
use crate::control::input::Fetch;
use crate::control::turn::Turn;
use crate::engine::{EngineError, ErrorKind};
use crate::plan;
use crate::service::event::Event;
use crate::service::spec::{SpecHash, Version};
use crate::service::time::Moment;

/// Of the version in use; knowledge of another one is void.
#[derive(Default)]
pub enum ImageState {
    #[default]
    Unknown,
    Coming {
        of: SpecHash,
        since: Moment,
    },
    Unanswered {
        since: Moment,
        /// The last listing that began before the call ended.
        after: u64,
        call: Unanswered,
    },
    Here {
        of: SpecHash,
    },
}

impl ImageState {
    pub fn forget(&mut self) {
        *self = ImageState::Unknown;
    }

    pub fn fetching(&mut self, of: SpecHash, now: Moment) {
        *self = ImageState::Coming { of, since: now };
    }

    /// The engine is away, so that a call got no answer says nothing of the image.
    pub fn excuse(&mut self) {
        if matches!(self, ImageState::Unanswered { .. }) {
            self.forget();
        }
    }

    /// A listing that began later got an answer, so the engine is not away.
    pub fn take_unanswered(&mut self, turn: &Turn) -> Option<Unanswered> {
        match std::mem::take(self) {
            ImageState::Unanswered { after, call, .. } if turn.listing > after => Some(call),
            other => {
                *self = other;
                None
            }
        }
    }

    /// As the planner sees it.
    pub fn seen(&self, version: Option<&Version>) -> plan::ImageStatus {
        let is_used = |of: &SpecHash| version.is_some_and(|version| version.hash == *of);
        let since = match self {
            ImageState::Here { of } if is_used(of) => return plan::ImageStatus::Here,
            ImageState::Coming { of, since } if is_used(of) => *since,
            ImageState::Unanswered { since, .. } => *since,
            _ => return plan::ImageStatus::Unknown,
        };
        let name = version.map(|version| version.template.image.clone());
        plan::ImageStatus::Coming {
            name: name.unwrap_or_default(),
            since,
        }
    }

    /// Takes over what came of a fetch; returns its failure.
    pub fn fetched(
        &mut self,
        fetch: &Fetch,
        result: Result<(), EngineError>,
        turn: &Turn,
    ) -> Option<ReplicaFailure> {
        let since = match self {
            ImageState::Coming { of, since } if *of == fetch.of => *since,
            // Of a version that is not in use any more.
            _ => return None,
        };
        let Err(error) = result else {
            let of = fetch.of.clone();
            *self = ImageState::Here { of };
            return None;
        };
        let (slot, why) = (fetch.slot, error.to_string());
        turn.emit(Event::StartFailed {
            service: fetch.service.clone(),
            slot,
            why: why.clone(),
        });
        if error.kind == ErrorKind::Unreachable {
            let call = Unanswered {
                generation: fetch.generation,
                slot,
                why,
            };
            let after = turn.listing;
            *self = ImageState::Unanswered { since, after, call };
            return None;
        }
        self.forget();
        Some(ReplicaFailure::of_start(
            slot,
            fetch.generation,
            fetch.of.clone(),
            why,
        ))
    }
}
