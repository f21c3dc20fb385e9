//! Declared services, drawn at random and changed by reloads.

use super::declared::Declared;
use super::faults::{FIRST_PORTS, NAMES};
use super::state::Stage;
use crate::simulation::book::PARALLELISM_MAX;
use crate::simulation::rng::Rng;
use std::sync::Arc;
use std::time::Duration;
use tidegate::control::{Images, Managed};
use tidegate::service::spec::{FailureAction, SleepTerms, Slot, Update, UpdateOrder};

impl Stage {
    pub fn any_service(&mut self) -> Declared {
        let used: Vec<Slot> = self
            .services
            .values()
            .map(|service| service.first_port)
            .collect();
        let free: Vec<Slot> = FIRST_PORTS
            .into_iter()
            .filter(|port| !used.contains(port))
            .collect();
        let rng = &mut self.book.lock().rng;
        let sleeps = rng.percent(30);
        let min = if sleeps { 0 } else { 1 + rng.below(3) as u32 };
        let seconds =
            |rng: &mut Rng, from: &[u64]| Duration::from_secs(rng.pick(from).expect("not empty"));
        Declared {
            image: rng.below(3),
            min,
            max: min.max(1) + rng.below(4) as u32,
            first_port: rng.pick(&free).expect("more than services"),
            grace: seconds(rng, &[1, 5, 10]),
            interval: seconds(rng, &[1, 1, 2]),
            retries: 1 + rng.below(3) as u32,
            start_period: seconds(rng, &[3, 10, 30]),
            update: Update {
                parallelism: 1 + rng.below(PARALLELISM_MAX as usize) as u32,
                order: match rng.below(4) {
                    0 => UpdateOrder::StopFirst,
                    _ => UpdateOrder::StartFirst,
                },
                delay: seconds(rng, &[0, 0, 2]),
                monitor: seconds(rng, &[1, 5]),
                failure_action: rng
                    .pick(&[
                        FailureAction::Rollback,
                        FailureAction::Pause,
                        FailureAction::Continue,
                    ])
                    .expect("not empty"),
                max_failure_ratio: if rng.percent(50) { 0.0 } else { 0.5 },
            },
            sleep: sleeps.then(|| SleepTerms {
                idle_timeout: seconds(rng, &[25, 40]),
                stop_after: seconds(rng, &[0, 10, 40]),
            }),
            spare: rng.pick(&[0, 0, 1]).expect("not empty"),
            fixed: false,
            probe: 0,
        }
    }

    pub async fn reload(&mut self) {
        let name = self.pick(&NAMES).expect("not empty");
        let other = self.any_service();
        let what = match self.services.get_mut(name) {
            None => {
                self.services.insert(name, other);
                "added"
            }
            Some(service) => match self.book.lock().rng.below(10) {
                0 | 1 => {
                    (service.min, service.max) = (other.min, other.max);
                    (service.sleep, service.spare) = (other.sleep, other.spare);
                    "other bounds"
                }
                2..=4 => {
                    service.image = other.image;
                    "another image"
                }
                5 => {
                    service.first_port = other.first_port;
                    "another first port"
                }
                6 => {
                    service.interval = other.interval;
                    service.retries = other.retries;
                    service.start_period = other.start_period;
                    service.grace = other.grace;
                    service.update = other.update;
                    "other timing"
                }
                7 => {
                    service.probe += 1;
                    "another probe"
                }
                8 => {
                    service.fixed = !service.fixed;
                    "image or addresses"
                }
                _ => {
                    self.services.remove(name);
                    "removed"
                }
            },
        };
        self.note(&format!("-- reload: {name}: {what}"));
        self.configure().await;
    }

    pub async fn configure(&mut self) {
        let managed: Vec<Managed> = self
            .services
            .iter()
            .map(|(name, service)| Managed {
                spec: Arc::new(service.spec(name)),
                probe: Arc::clone(&self.health.versions(service.probe)),
                scaler: Some(Arc::clone(&self.scaler)),
            })
            .collect();
        let config = managed
            .iter()
            .map(|managed| (managed.spec.name.clone(), Arc::clone(&managed.spec)))
            .collect();
        self.book.lock().configuring(config);
        self.book.lock().reloaded = true;
        let handle = self.life.as_ref().expect("alive").handle.clone();
        handle.reconfigure(managed, Images::Keep).await;
        self.book.lock().configured();
        self.judge();
    }
}
