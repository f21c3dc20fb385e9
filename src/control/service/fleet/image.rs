//! Whether the image that a service's next replica is made from is on the machine.
//!
//! ```text
//! Unknown -> Coming -> Here        a start that fails: Unknown
//!               |
//!               '-> Unanswered     until a listing says whose failure that was: Unknown
//! ```
//!
//! A pull takes no place among the starts, so one that takes long is felt by its own service only.

use crate::control::input::Sink;
use crate::control::service::fleet::starts::Unanswered;
use crate::control::service::fleet::tracked::Fall;
use crate::control::service::state::State;
use crate::engine::{EngineError, ErrorKind};
use crate::plan;
use crate::service::event::Event;
use crate::service::spec::{ServiceName, Slot, SpecHash};
use crate::service::time::Moment;

/// Of the version in use; what is known of another one is void.
pub(in crate::control) enum Image {
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

/// An image that is looked for, and the replica that needs it.
pub(in crate::control) struct Fetch {
    pub(in crate::control) service: ServiceName,
    pub(in crate::control) slot: Slot,
    pub(in crate::control) generation: u64,
    pub(in crate::control) of: SpecHash,
}

impl State {
    /// A listing that began after `sequence` got an answer, so the engine is not away.
    pub(in crate::control) fn unanswered_fetch(&mut self, sequence: u64) -> Option<Unanswered> {
        match std::mem::replace(&mut self.image, Image::Unknown) {
            Image::Unanswered { after, call, .. } if sequence > after => Some(call),
            other => {
                self.image = other;
                None
            }
        }
    }

    /// As the planner sees it.
    pub(in crate::control) fn image(&self) -> plan::Image {
        let version = self.version.as_ref();
        let is_used = |of: &SpecHash| version.is_some_and(|version| version.hash == *of);
        let since = match &self.image {
            Image::Here { of } if is_used(of) => return plan::Image::Here,
            Image::Coming { of, since } if is_used(of) => *since,
            Image::Unanswered { since, .. } => *since,
            _ => return plan::Image::Unknown,
        };
        let name = version.map(|version| version.template.image.clone());
        plan::Image::Coming {
            name: name.unwrap_or_default(),
            since,
        }
    }

    pub(in crate::control) fn fetched(
        &mut self,
        fetch: &Fetch,
        result: Result<(), EngineError>,
        sequence: u64,
        now: Moment,
        sink: &Sink,
    ) {
        let since = match &self.image {
            Image::Coming { of, since } if *of == fetch.of => *since,
            // Of a version that is not in use any more.
            _ => return,
        };
        let Err(error) = result else {
            let of = fetch.of.clone();
            self.image = Image::Here { of };
            return;
        };
        let (slot, why) = (fetch.slot, error.to_string());
        sink(&Event::StartFailed {
            service: self.name.clone(),
            slot,
            why: why.clone(),
        });
        if error.kind == ErrorKind::Unreachable {
            let call = Unanswered {
                generation: fetch.generation,
                slot,
                why,
            };
            let after = sequence;
            self.image = Image::Unanswered { since, after, call };
            return;
        }
        self.image = Image::Unknown;
        let fall = Fall {
            id: None,
            slot,
            generation: fetch.generation,
            spec: fetch.of.clone(),
            why,
            ready_since: None,
            blames_image: true,
        };
        self.fell(fall, now, sink);
    }
}
