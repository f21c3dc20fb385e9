//! Recent events, and failures by slot.

use super::event_json::EventJson;
use crate::service::event::Event;
use crate::service::spec::{ServiceName, Slot};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// Limit of kept events.
pub const KEPT_MAX: usize = 1000;

/// Lead of an id, in milliseconds, that means a wrong clock of an earlier process, and not the
/// process that is handing over.
const AHEAD_MAX: u64 = 5 * 60 * 1000;

/// The last events of this process. No request on its usual way adds any. Clones share the events.
#[derive(Clone)]
pub struct History(Arc<HistoryState>);

struct HistoryState {
    kept: Mutex<Kept>,
    /// Id of the newest event.
    newest: watch::Sender<u64>,
}

struct Kept {
    events: VecDeque<Arc<EventJson>>,
    /// Events up to this id are unknown.
    lost: u64,
    falls: BTreeMap<(ServiceName, Slot), Falls>,
}

/// Failures of the replicas of a slot since Tidegate started.
#[derive(Clone, Debug, PartialEq)]
pub struct Falls {
    pub count: u64,
    /// Time and reason of the last failure.
    pub time: String,
    pub why: String,
}

/// Consecutive events, the oldest first.
pub struct Excerpt {
    pub events: Vec<Arc<EventJson>>,
    /// Whether events between the known ones and these are lost.
    pub missed: bool,
    /// Id of the newest event of any service; later ones are news.
    pub newest: u64,
}

impl Default for History {
    fn default() -> History {
        let began = millis(SystemTime::now());
        History(Arc::new(HistoryState {
            kept: Mutex::new(Kept {
                events: VecDeque::new(),
                lost: began,
                falls: BTreeMap::new(),
            }),
            newest: watch::Sender::new(began),
        }))
    }
}

impl History {
    pub fn note(&self, event: &Event) {
        let now = SystemTime::now();
        let mut kept = self.kept();
        // As generations are: greater than any that was given out, also by a process before
        // this one, so that whoever followed that one misses nothing here.
        let last = *self.0.newest.borrow();
        let id = (last + 1).max(millis(now));
        let Some(told) = EventJson::new(event, id, now) else {
            return;
        };
        if let Event::Sick {
            service,
            slot,
            ailment,
            ..
        } = event
        {
            kept.fell(service, *slot, &told.time, ailment.to_string());
        }
        if kept.events.len() == KEPT_MAX {
            kept.lost = kept.events.pop_front().map_or(kept.lost, |told| told.id);
        }
        kept.events.push_back(Arc::new(told));
        self.0.newest.send_replace(id);
    }

    /// Events after the event `after`, of one service or of all.
    pub fn after(&self, after: u64, service: Option<&str>) -> Excerpt {
        let kept = self.kept();
        let newest = *self.0.newest.borrow();
        let is_foreign = after > newest + AHEAD_MAX;
        let from = match is_foreign {
            true => 0,
            false => kept.events.partition_point(|told| told.id <= after),
        };
        let of_service = |told: &&Arc<EventJson>| {
            service.is_none_or(|name| told.service.as_deref() == Some(name))
        };
        Excerpt {
            events: kept
                .events
                .range(from..)
                .filter(of_service)
                .cloned()
                .collect(),
            missed: is_foreign || after > 0 && after < kept.lost,
            newest: match is_foreign {
                true => newest,
                false => newest.max(after),
            },
        }
    }

    /// A channel that changes with each event.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.0.newest.subscribe()
    }

    /// Failures of a service by slot.
    pub fn falls(&self, service: &ServiceName) -> BTreeMap<Slot, Falls> {
        let kept = self.kept();
        let of_service = (service.clone(), 0)..=(service.clone(), Slot::MAX);
        let falls = kept.falls.range(of_service);
        falls
            .map(|((_, slot), falls)| (*slot, falls.clone()))
            .collect()
    }

    /// Forgets the failures of services that are gone.
    pub fn keep_only(&self, is_there: impl Fn(&ServiceName) -> bool) {
        self.kept()
            .falls
            .retain(|(service, _), _| is_there(service));
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn fell(&mut self, service: &ServiceName, slot: Slot, time: &str, why: String) {
        let key = (service.clone(), slot);
        let count = self.falls.get(&key).map_or(0, |falls| falls.count);
        let time = time.to_owned();
        let falls = Falls {
            count: count + 1,
            time,
            why,
        };
        self.falls.insert(key, falls);
    }
}

fn millis(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::replica::{Ailment, ReplicaId};

    fn starting(service: &str, slot: Slot) -> Event {
        Event::Starting {
            service: ServiceName::new(service),
            slot,
        }
    }

    #[test]
    fn ids_only_grow_and_nothing_is_told_twice() {
        let history = History::default();
        for slot in 0..500 {
            history.note(&starting("web", slot));
        }
        let all = history.after(0, None).events;
        assert!(all.is_sorted_by(|a, b| a.id < b.id));
        let rest = history.after(all[99].id, None);
        assert_eq!(rest.events, all[100..]);
        assert!(!rest.missed);
        let newest = all[499].id;
        assert!(history.after(newest, None).events.is_empty());
    }

    #[test]
    fn no_more_than_the_limit_are_kept_and_whoever_is_too_late_is_told() {
        let history = History::default();
        history.note(&starting("web", 0));
        let first = history.after(0, None).events[0].id;
        for slot in 0..KEPT_MAX as u16 {
            history.note(&starting("web", slot));
        }
        assert!(!history.after(first, None).missed);
        history.note(&starting("web", 0));
        let late = history.after(first, None);
        assert_eq!((late.events.len(), late.missed), (KEPT_MAX, true));
        assert!(!history.after(0, None).missed);
    }

    #[test]
    fn who_knows_events_of_a_clock_that_was_ahead_is_told_everything_anew() {
        let history = History::default();
        history.note(&starting("web", 8000));
        let newest = history.after(0, None).newest;
        // A process that makes way may still tell something meanwhile.
        let beside = history.after(newest + 1000, None);
        assert_eq!((beside.events.len(), beside.missed), (0, false));
        assert_eq!(beside.newest, newest + 1000);
        let ahead = history.after(newest + 60 * 60 * 1000, None);
        assert_eq!((ahead.events.len(), ahead.missed), (1, true));
        assert_eq!(ahead.newest, newest);
    }

    #[test]
    fn one_service_is_told_apart_from_others() {
        let history = History::default();
        history.note(&starting("web", 8000));
        history.note(&starting("shop", 8100));
        history.note(&Event::EngineUp);
        let of_web = history.after(0, Some("web")).events;
        let texts: Vec<&str> = of_web.iter().map(|told| told.text.as_str()).collect();
        assert_eq!(texts, ["web: starting a replica on 8000"]);
        assert!(history.after(0, Some("we")).events.is_empty());
    }

    #[test]
    fn health_checks_are_not_told() {
        let history = History::default();
        let service = ServiceName::new("web");
        history.note(&Event::Checked { service, ok: true });
        assert!(history.after(0, None).events.is_empty());
    }

    #[test]
    fn each_slot_remembers_how_often_it_failed_and_why_it_did_last() {
        let history = History::default();
        let service = ServiceName::new("web");
        for (slot, code) in [(8000, 1), (8000, 137), (8001, 2)] {
            history.note(&Event::Sick {
                service: service.clone(),
                slot,
                id: ReplicaId::new("a"),
                ailment: Ailment::Exited { code: Some(code) },
            });
        }
        let falls = history.falls(&service);
        assert_eq!(falls[&8000].count, 2);
        assert_eq!(falls[&8000].why, "exited with code 137");
        assert_eq!(falls[&8001].count, 1);
        let told = history.after(0, None).events.pop().unwrap();
        assert_eq!(told.reason.as_deref(), Some("exited"));
        history.keep_only(|_| false);
        assert!(history.falls(&service).is_empty());
    }
}
