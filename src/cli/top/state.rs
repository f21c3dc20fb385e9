//! State of `top`, and the effects of keys; without terminal, clock or connection.

use crate::admin::view::{Auto, EventJson, ReplicaCount, ReplicaJson, ServiceJson, StateJson};
use std::collections::{BTreeMap, VecDeque};

/// Points of a curve.
const POINTS_MAX: usize = 240;
const EVENTS_MAX: usize = 200;

pub enum Key {
    Char(char),
    Enter,
    Escape,
    Back,
    Up,
    Down,
    Left,
    Right,
}

/// An order that a key gives.
#[derive(Debug, PartialEq)]
pub enum Act {
    Quit,
    Scale {
        service: String,
        replicas: ReplicaCount,
    },
    Drain {
        service: String,
        slot: u16,
    },
    Deploy {
        service: String,
        image: Option<String>,
    },
}

/// A question before an order is given.
pub enum Question {
    /// Confirmed with Enter or y.
    Sure { what: String, act: Act },
    /// Name of an image, as it is typed.
    Image { service: String, typed: String },
}

#[derive(Default)]
pub struct Top {
    pub services: BTreeMap<String, ServiceJson>,
    pub engine_up: bool,
    pub curves: BTreeMap<String, Curves>,
    /// Events, the newest last.
    pub events: VecDeque<EventJson>,
    /// Index of the selected service.
    pub at: usize,
    /// Index of the selected replica.
    pub replica: usize,
    pub ask: Option<Question>,
    /// Answer to the last order, and whether it succeeded.
    pub said: Option<(String, bool)>,
    pub help: bool,
    /// Reason why the picture may be stale.
    pub lost: Option<String>,
    /// Time of the state.
    pub time: String,
    /// Time of each service's state, because only changed services are sent again.
    told_at: BTreeMap<String, String>,
}

/// Curves of a service, with a point a second.
#[derive(Default)]
pub struct Curves {
    pub requests: VecDeque<u64>,
    pub in_flight: VecDeque<u64>,
    pub ready: VecDeque<u64>,
    /// Latency in milliseconds.
    pub p99: VecDeque<u64>,
    /// Error rate in thousandths.
    pub errors: VecDeque<u64>,
}

impl Top {
    pub fn show(&mut self, state: StateJson) {
        if state.full {
            self.services.clear();
        }
        for name in &state.removed {
            self.services.remove(name);
        }
        for service in &state.services {
            self.told_at
                .insert(service.name.clone(), state.time.clone());
        }
        self.told_at.retain(|name, _| !state.removed.contains(name));
        let services = state.services.into_iter();
        self.services
            .extend(services.map(|service| (service.name.clone(), service)));
        self.curves
            .retain(|name, _| self.services.contains_key(name));
        self.engine_up = state.engine_up;
        self.time = state.time;
        self.lost = None;
        self.hold_in_bounds();
    }

    /// Seconds since the state of this service was sent.
    pub fn older(&self, name: &str) -> f64 {
        let at = |text: &str| humantime::parse_rfc3339(text).ok();
        let told_at = self.told_at.get(name).and_then(|told_at| at(told_at));
        let passed = at(&self.time)
            .zip(told_at)
            .and_then(|(now, then)| now.duration_since(then).ok());
        passed.unwrap_or_default().as_secs_f64()
    }

    pub fn note(&mut self, event: EventJson) {
        // After a reconnection some events come again.
        if self.events.back().is_some_and(|last| event.id <= last.id) {
            return;
        }
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    pub fn answered(&mut self, answer: Result<String, String>) {
        self.said = Some(match answer {
            Ok(done) => (done, true),
            Err(why) => (why, false),
        });
    }

    pub fn lost(&mut self, why: String) {
        self.lost = Some(why);
    }

    /// Adds a point to each curve.
    pub fn point(&mut self) {
        if self.lost.is_some() {
            return;
        }
        for (name, service) in &self.services {
            let curves = self.curves.entry(name.clone()).or_default();
            let millis = service.p99_seconds.unwrap_or_default() * 1_000.0;
            let errors = service.error_rate.unwrap_or_default() * 1_000.0;
            for (curve, value) in [
                (
                    &mut curves.requests,
                    service.requests_per_second.round() as u64,
                ),
                (&mut curves.in_flight, service.in_flight),
                (&mut curves.ready, u64::from(service.ready)),
                (&mut curves.p99, millis.round() as u64),
                (&mut curves.errors, errors.round() as u64),
            ] {
                if curve.len() == POINTS_MAX {
                    curve.pop_front();
                }
                curve.push_back(value);
            }
        }
    }

    pub fn service(&self) -> Option<&ServiceJson> {
        self.services.values().nth(self.at)
    }

    pub fn replica(&self) -> Option<&ReplicaJson> {
        self.service()?.replicas.get(self.replica)
    }

    pub fn press(&mut self, key: Key) -> Option<Act> {
        if let Some(ask) = self.ask.take() {
            return self.answer(ask, key);
        }
        self.said = None;
        if std::mem::take(&mut self.help) {
            return None;
        }
        match key {
            Key::Char('q') | Key::Escape => return Some(Act::Quit),
            Key::Char('?' | 'h') => self.help = true,
            Key::Up | Key::Char('k') => (self.at, self.replica) = (self.at.saturating_sub(1), 0),
            Key::Down | Key::Char('j') => (self.at, self.replica) = (self.at + 1, 0),
            Key::Left => self.replica = self.replica.saturating_sub(1),
            Key::Right => self.replica += 1,
            Key::Char('+' | '=') => self.ask_scale(1),
            Key::Char('-') => self.ask_scale(-1),
            Key::Char('a') => {
                let service = self.service()?.name.clone();
                return Some(Act::Scale {
                    service,
                    replicas: ReplicaCount::Auto(Auto::Auto),
                });
            }
            Key::Char('d') => {
                let (service, slot) = (self.service()?.name.clone(), self.replica()?.slot);
                self.ask = Some(Question::Sure {
                    what: format!("replace the replica on {slot} of {service}?"),
                    act: Act::Drain { service, slot },
                });
            }
            Key::Char('i') => {
                let service = self.service()?.name.clone();
                self.ask = Some(Question::Image {
                    service,
                    typed: String::new(),
                });
            }
            _ => {}
        }
        self.hold_in_bounds();
        None
    }

    fn ask_scale(&mut self, by: i64) {
        let Some(service) = self.service() else {
            return;
        };
        let count = (i64::from(service.desired) + by).max(1);
        let count = u32::try_from(count).unwrap_or(1);
        let name = service.name.clone();
        self.ask = Some(Question::Sure {
            what: format!("hold {count} replicas of {name}?"),
            act: Act::Scale {
                service: name,
                replicas: ReplicaCount::Fixed(count),
            },
        });
    }

    fn answer(&mut self, ask: Question, key: Key) -> Option<Act> {
        match (ask, key) {
            (Question::Sure { act, .. }, Key::Enter | Key::Char('y')) => return Some(act),
            (Question::Image { service, typed }, Key::Enter) => {
                let image = Some(typed.trim().to_owned()).filter(|typed| !typed.is_empty());
                return Some(Act::Deploy { service, image });
            }
            (Question::Image { service, mut typed }, Key::Char(c)) => {
                typed.push(c);
                self.ask = Some(Question::Image { service, typed });
            }
            (Question::Image { service, mut typed }, Key::Back) => {
                typed.pop();
                self.ask = Some(Question::Image { service, typed });
            }
            // Any other key cancels.
            _ => {}
        }
        None
    }

    fn hold_in_bounds(&mut self) {
        self.at = self.at.min(self.services.len().saturating_sub(1));
        let replicas = self.service().map_or(0, |service| service.replicas.len());
        self.replica = self.replica.min(replicas.saturating_sub(1));
    }
}
