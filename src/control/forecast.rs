//! The control loop's next steps, without their execution.

use crate::control::declared::Managed;
use crate::control::image_note::{ImageNote, Images};
use crate::control::service::{changed_besides_image, in_use, version_of};
use crate::engine::{Engine, EngineError};
use crate::plan::backoff::Backoff;
use crate::plan::{Action, Condition, ImageStatus, Input, Reason, ReplicaInput, Rest, Roll, plan};
use crate::service::replica::{Ailment, Observed, RunState};
use crate::service::spec::{ServiceName, UpdateOrder, Version};
use crate::service::time::Moment;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The first steps for one service; what follows depends on how they go.
pub struct Forecast {
    pub service: ServiceName,
    /// Which image it will run, when that is another one or not the file's.
    pub image: Option<ImageNote>,
    /// Other keys of what its replicas are made from that have changed since.
    pub changed: Vec<&'static str>,
    pub actions: Vec<Action>,
    pub because: Vec<Reason>,
}

/// Looks at the engine once and plans each service, taking whatever runs for healthy and the
/// traffic for what it was. `clock` is the time of day.
pub async fn forecast(
    engine: &dyn Engine,
    services: &[Managed],
    images: Images,
    clock: Duration,
) -> Result<Vec<Forecast>, EngineError> {
    let containers = services
        .iter()
        .filter(|managed| managed.spec.template().is_some());
    let containers: Vec<&Managed> = containers.collect();
    if containers.is_empty() {
        return Ok(Vec::new());
    }
    let mut seen: BTreeMap<ServiceName, Vec<Observed>> = BTreeMap::new();
    for replica in engine.observe().await?.replicas {
        seen.entry(replica.service.clone())
            .or_default()
            .push(replica);
    }
    let mut forecasts: Vec<Forecast> = containers
        .into_iter()
        .map(|managed| {
            let name = &managed.spec.name;
            let seen = seen.remove(name).unwrap_or_default();
            of_service(name, Some(managed), &seen, images, clock)
        })
        .collect();
    let left = seen.iter();
    forecasts.extend(left.map(|(name, left)| of_service(name, None, left, images, clock)));
    Ok(forecasts)
}

fn of_service(
    name: &ServiceName,
    managed: Option<&Managed>,
    seen: &[Observed],
    images: Images,
    clock: Duration,
) -> Forecast {
    let template = managed.and_then(|managed| managed.spec.template());
    let terms = managed.and_then(|managed| managed.spec.sleep.as_ref());
    let runs = |it: &&Observed| it.state == RunState::Running;
    let running = seen.iter().filter(runs).count() as u32;
    let (now, after) = (Moment::default(), Duration::ZERO);
    let rest = match terms {
        Some(_) if running == 0 => Rest::Asleep { since: now, after },
        _ => Rest::Awake { idle_since: now },
    };
    let asleep = |it: &Observed| terms.is_some() && it.state == RunState::Paused;
    let alive = seen.iter().filter(|it| runs(it) || asleep(it));
    let newest = alive.max_by_key(|observed| observed.generation);
    let to = template.map(|template| match in_use(template, newest) {
        Some(version) if images == Images::Keep || version.is_named_like(template) => version,
        _ => Version::of(template.clone()),
    });
    let from = newest.zip(template);
    let from = from.and_then(|(newest, template)| version_of(newest, template));
    let image = from.as_ref().zip(to.as_ref()).zip(template);
    let image =
        image.and_then(|((from, to), template)| ImageNote::of(name, from, to, template, clock));
    let changed = from.as_ref().zip(to.as_ref());
    let changed = changed.map_or(Vec::new(), |(from, to)| changed_besides_image(from, to));
    let hash = to.map(|to| to.hash);
    let replicas: Vec<ReplicaInput> = seen
        .iter()
        .map(|observed| ReplicaInput {
            id: observed.id.clone(),
            slot: observed.slot,
            current: hash.as_ref() == Some(&observed.spec),
            condition: match observed.state {
                RunState::Running => Condition::Ready,
                RunState::Created => Condition::Sick(Ailment::HalfMade),
                RunState::Paused if terms.is_some() => Condition::Asleep {
                    settled: true,
                    in_flight: 0,
                },
                RunState::Paused => Condition::Sick(Ailment::Paused),
                RunState::Exited { code } => Condition::Sick(Ailment::Exited { code }),
            },
        })
        .collect();
    let plan = plan(&Input {
        replicas: &replicas,
        starting: BTreeSet::new(),
        hanging: BTreeSet::new(),
        image: ImageStatus::Here,
        taken: BTreeSet::new(),
        first_slot: template.map_or(0, |template| template.first_port),
        wanted: managed.map(|managed| match terms {
            Some(_) if rest.is_asleep() => 0,
            Some(_) => managed.spec.bounds.awake().clamp(running),
            None => managed.spec.bounds.clamp(replicas.len() as u32),
        }),
        depth: rest.depth(terms, now),
        stop_grace_period: managed.map_or(Duration::ZERO, |managed| managed.spec.stop_grace_period),
        roll: Roll {
            parallelism: managed.map_or(1, |managed| managed.spec.update.parallelism),
            order: managed.map_or(UpdateOrder::StartFirst, |managed| managed.spec.update.order),
            not_before: None,
        },
        check_round: Duration::ZERO,
        backoff: &Backoff::default(),
        starts_left: u32::MAX,
        reserve: false,
        engine_up: true,
        now,
    });
    Forecast {
        service: name.clone(),
        image,
        changed,
        actions: plan.actions,
        because: plan.because,
    }
}
