//! The control loop with the fake engine on paused time: scenarios as text, with what they led
//! to beside them.
//!
//! `UPDATE_EXPECT=1 cargo test control` writes the `.log` files anew; read the difference.

use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tidegate::control::{Authority, Control, Deployed, ImageNote, Images, Managed, forecast};
use tidegate::engine::fake::FakeEngine;
use tidegate::engine::{ErrorKind, testing};
use tidegate::plugin::{Combined, Hooks, Probe, Registry, Scaler};
use tidegate::service::event::Event;
use tidegate::service::replica::{Made, RunState};
use tidegate::service::spec::{
    Bounds, FailureAction, HealthTiming, SleepTerms, Slot, Source, Spec, Update, UpdateOrder,
};
use tidegate::service::store::{self, Reader};
use tokio::sync::watch;
use tokio::time::Instant;

macro_rules! scenarios {
    ($($name:ident)*) => {
        $(
            #[tokio::test(start_paused = true)]
            async fn $name() {
                play(stringify!($name)).await;
            }
        )*
    };
}

scenarios! {
    the_two_minute_rule
    concurrency_follows_what_is_at_work_and_lets_go_slowly
    processors_and_a_schedule_decide_together
    a_dead_replica_is_replaced_on_its_port
    a_sick_replica_is_replaced_on_its_port
    an_image_that_never_gets_healthy_is_started_ever_more_slowly
    a_port_that_somebody_else_holds_is_skipped
    a_new_template_rolls_through_with_one_ahead
    a_service_that_leaves_drains_and_stops
    nothing_happens_while_the_engine_is_away
    a_restart_adopts_what_runs_and_scales_nothing_down
    starts_are_bounded_over_all_services
    a_pull_that_takes_long_holds_nobody_else_up
    starts_that_hang_hold_nobody_else_up
    a_start_that_hangs_is_tried_on_the_next_port
    a_container_that_cannot_be_removed_costs_its_port_and_no_replica
    a_removal_that_hangs_costs_its_port_and_no_replica
    a_start_without_an_answer_is_its_services_failure_while_listings_work
    a_stop_that_fails_is_repeated_though_the_replica_is_wanted_again
    what_somebody_else_removes_is_replaced_in_its_place
    a_service_goes_from_an_image_to_addresses_and_back
    what_died_before_tidegate_began_slows_nothing_down
    a_port_that_was_somebody_elses_is_tried_again_when_a_replica_is_missing
    a_start_that_an_earlier_life_began_is_kept
    a_reload_keeps_an_eye_on_what_is_ready
    a_service_that_comes_back_is_asked_after_its_health_as_it_says_now
    an_upgrade_takes_over_what_runs_and_stops_nothing_before_the_old_process_is_gone
    an_upgrade_waits_for_what_is_under_way
    a_deploy_by_hand_outlives_a_restart_until_the_file_changes
    an_edit_of_the_file_keeps_the_image_that_was_deployed_by_hand
    a_deploy_that_fails_goes_back_to_the_image_deployed_by_hand_before
    a_deploy_that_breaks_goes_back_to_the_very_image_that_ran
    a_deploy_that_breaks_may_be_told_to_pause
    a_tag_that_moved_is_rolled_out_by_a_deploy
    an_update_may_stop_first_and_take_its_time
    a_count_by_hand_holds_until_the_policy_may_decide_again
    a_replica_is_drained_by_hand_and_its_port_gets_another
    who_is_not_asked_for_is_paused_then_stopped_and_a_request_wakes_it
    a_request_keeps_a_service_awake_for_as_long_as_it_takes
    a_restart_leaves_asleep_what_it_finds_paused
    a_deploy_of_what_does_not_start_goes_back_when_a_service_wakes
    a_new_version_brings_its_own_health_check
    restarts_amid_a_rollout_that_fails_add_no_replica
    a_deploy_a_reload_and_a_number_by_hand_meet_a_service_that_sleeps
    what_cannot_be_paused_or_resumed_is_replaced
    one_is_ready_ahead_of_what_the_policy_wants
    when_every_replica_fails_the_same_way_one_is_replaced_at_a_time
}

#[tokio::test(start_paused = true)]
async fn a_container_that_cannot_be_removed_is_named_when_the_rest_is_gone() {
    let minute = Duration::from_secs(60);
    let mut stage = Stage::new();
    for line in [
        "service web min=2",
        "run",
        "break-stops 8001",
        "at 10s show",
    ] {
        stage.step(line).await;
    }
    let handle = stage.running().handle.clone();
    let left = handle.remove_all(minute).await;
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].starts_with("web on 8001 ("), "{left:?}");
    stage.step("mend-stops 8001").await;
    assert!(handle.remove_all(minute).await.is_empty());
    assert!(stage.engine.replicas().is_empty());
}

async fn play(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let script = std::fs::read_to_string(folder.join(format!("{name}.txt"))).expect("a script");
    let mut stage = Stage::new();
    for line in script.lines().map(str::trim) {
        if !line.is_empty() && !line.starts_with('#') {
            stage.step(line).await;
        }
    }
    let log = stage.log.lock().expect("no panic").clone();
    let golden = folder.join(format!("{name}.log"));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&golden, &log).expect("written");
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    assert_eq!(
        log, expected,
        "{name}: read the difference; UPDATE_EXPECT=1 accepts it"
    );
}

/// Everything a scenario plays with.
struct Stage {
    began: Instant,
    engine: FakeEngine,
    sick: Arc<Mutex<BTreeSet<Slot>>>,
    log: Arc<Mutex<String>>,
    services: Vec<Managed>,
    starts_max: u32,
    lives: u64,
    /// The time of day at the beginning.
    clock: Duration,
    running: Option<Running>,
    /// The other one during an upgrade: first the new process, after the hand-over the old one.
    other: Option<Running>,
}

struct Running {
    handle: tidegate::control::Handle,
    reader: Reader,
    over: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
    /// Whether its events are written down. Of two that look at the same only one is.
    tells: Arc<AtomicBool>,
    held: Vec<tidegate::service::replica::lease::Lease>,
}

impl Stage {
    fn new() -> Stage {
        Stage {
            began: Instant::now(),
            engine: FakeEngine::new(),
            sick: Arc::default(),
            log: Arc::default(),
            services: Vec::new(),
            starts_max: 4,
            lives: 0,
            clock: Duration::from_secs(1),
            running: None,
            other: None,
        }
    }

    async fn step(&mut self, line: &str) {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        if words[0] == "at" {
            let at = self.began + duration(words[1]);
            tokio::time::sleep_until(at).await;
            words.drain(..2);
        }
        let (verb, arguments) = words.split_first().expect("a verb");
        match *verb {
            "service" => self.declare(arguments),
            "policies" => self.combine(arguments[0], &arguments[1..].join(" ")),
            "clock" => {
                let at: jiff::Timestamp = arguments[0].parse().expect("a time");
                self.clock = Duration::from_secs(at.as_second() as u64);
            }
            "uses" => {
                let number = |index: usize| arguments[index].parse().expect("a number");
                let bytes = u64::from(number(2)) << 20;
                self.engine.load(slot(arguments[0]), number(1), bytes);
            }
            "remove" => self
                .services
                .retain(|managed| managed.spec.name.as_str() != arguments[0]),
            "starts" => self.starts_max = arguments[0].parse().expect("a number"),
            "start-time" => self.engine.start_time(arguments[0], duration(arguments[1])),
            "run" => self.running = Some(self.started(Authority::Full).await),
            "upgrade" => self.other = Some(self.started(Authority::ReadOnly).await),
            "hand-over" => self.hand_over().await,
            "old-gone" => {
                let old = self.other.take().expect("an upgrade");
                let _ = old.over.send(true);
                old.task.await.expect("no panic");
                let handle = &self.running().handle;
                handle.authorize(Authority::Full, BTreeMap::new()).await;
            }
            "reload" => {
                let handle = self.running().handle.clone();
                let notes = handle.reconfigure(self.services.clone(), images(arguments));
                self.note_images(&notes.await);
            }
            "plan" => self.plan(images(arguments)).await,
            "restart" => {
                let running = self.running.take().expect("it runs");
                let _ = running.over.send(true);
                running.task.await.expect("no panic");
                self.note("-- tidegate restarts --");
                self.running = Some(self.started(Authority::Full).await);
            }
            "stale" => self.engine.stale(true),
            "fresh" => self.engine.stale(false),
            "deploy" => self.deploy(arguments).await,
            "drain" => {
                let handle = self.running().handle.clone();
                let asked = handle.drain(arguments[0].to_owned(), slot(arguments[1]));
                if let Err(why) = asked.await {
                    self.note(&format!("   refused: {why}"));
                }
            }
            "scale" => {
                let handle = self.running().handle.clone();
                let asked = handle.scale(arguments[0].to_owned(), arguments[1].parse().ok());
                if let Err(why) = asked.await {
                    self.note(&format!("   refused: {why}"));
                }
            }
            "pull-time" => self.engine.pull_time(arguments[0], duration(arguments[1])),
            "hang-starts" => self.engine.hang_starts(arguments[0], true),
            "end-hang-starts" => self.engine.hang_starts(arguments[0], false),
            "hang-stops" => self.engine.hang_stops(slot(arguments[0]), true),
            "break-stops" => self.engine.break_stops(slot(arguments[0]), true),
            "mend-stops" => {
                self.engine.hang_stops(slot(arguments[0]), false);
                self.engine.break_stops(slot(arguments[0]), false);
            }
            "tag" => self.engine.tag(arguments[0], arguments[1]),
            "miss-image" => self.engine.miss_image(arguments[0]),
            "requests" => self.requests(arguments[0], arguments[1].parse().expect("a number")),
            "exit" => self
                .engine
                .exit(slot(arguments[0]), arguments[1].parse().expect("a code")),
            "pause" => self.engine.pause(slot(arguments[0])),
            "unpause" => self.engine.unpause(slot(arguments[0])),
            "fail-pauses" => self
                .engine
                .fail_pauses(arguments[0].parse().expect("a number")),
            "sick" => self.sick().extend(arguments.iter().map(|text| slot(text))),
            "well" => {
                let well: BTreeSet<Slot> = arguments.iter().map(|text| slot(text)).collect();
                self.sick().retain(|slot| !well.contains(slot));
            }
            "remove-container" => self.engine.remove(slot(arguments[0])),
            "free-port" => self.engine.free_port(slot(arguments[0])),
            "fail-stops" => self
                .engine
                .fail_stops(arguments[0].parse().expect("a number")),
            "take-port" => self.engine.take_port(slot(arguments[0])),
            "fail-starts" => {
                let kind = match arguments.get(1) {
                    Some(&"unreachable") => ErrorKind::Unreachable,
                    _ => ErrorKind::Failed,
                };
                let count = arguments[0].parse().expect("a number");
                self.engine.fail_starts(count, kind);
            }
            "engine" => self.engine.reachable(arguments[0] == "up"),
            "hold" => self.hold(arguments[0]),
            "release" => {
                for running in [&mut self.running, &mut self.other].into_iter().flatten() {
                    running.held.clear();
                }
            }
            "show" => self.show(),
            other => panic!("unknown verb `{other}` in `{line}`"),
        }
    }

    /// `deploy SERVICE [IMAGE]`
    async fn deploy(&self, arguments: &[&str]) {
        let handle = self.running().handle.clone();
        let image = arguments.get(1).map(|image| (*image).to_owned());
        let answer = handle.deploy(arguments[0].to_owned(), image).await;
        self.note(&match answer {
            Ok(Deployed::Begun(version)) => format!("   on its way: {version}"),
            Ok(Deployed::Runs(version)) => format!("   runs already: {version}"),
            Err(why) => format!("   refused: {why}"),
        });
    }

    fn note_images(&self, notes: &[ImageNote]) {
        for note in notes {
            self.note(&format!("   {note}"));
        }
    }

    /// As `tidegate plan`, which looks at the engine alone.
    async fn plan(&self, images: Images) {
        let clock = self.clock + self.began.elapsed();
        let forecasts = forecast(&self.engine, &self.services, images, clock);
        for forecast in forecasts.await.expect("the engine answers") {
            self.note_images(forecast.image.as_slice());
            self.note(&format!(
                "   {}: {} steps, changed: {:?}",
                forecast.service,
                forecast.actions.len(),
                forecast.changed
            ));
        }
    }

    fn sick(&self) -> std::sync::MutexGuard<'_, BTreeSet<Slot>> {
        self.sick.lock().expect("no panic")
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("`run` comes first")
    }

    async fn started(&mut self, authority: Authority) -> Running {
        let (writer, reader) = store::store();
        let (log, began) = (Arc::clone(&self.log), self.began);
        let tells = Arc::new(AtomicBool::new(authority != Authority::ReadOnly));
        let may_tell = Arc::clone(&tells);
        let sink = Arc::new(move |event: &Event| {
            // A decision that changes the count is told as `Scaled`, too.
            let is_told = !matches!(event, Event::Checked { .. } | Event::Decided { .. });
            if is_told && may_tell.load(Ordering::Relaxed) {
                write_line(&log, began, &event.to_string());
            }
        });
        let engine = Arc::new(self.engine.clone());
        let (control, handle) = Control::new(engine, writer, sink, self.starts_max);
        // On paused time two lives may begin in one millisecond of the wall clock.
        self.lives += 1;
        let clock = self.clock;
        let control = control.with_clock(Arc::new(move || clock + began.elapsed()));
        let mut control = control.generations_above((1 << 50) + self.lives * 1_000_000);
        if authority == Authority::ReadOnly {
            control = control.read_only();
        }
        let (over, shutdown) = watch::channel(false);
        let task = tokio::spawn(control.run(shutdown));
        handle
            .reconfigure(self.services.clone(), Images::Keep)
            .await;
        Running {
            handle,
            reader,
            over,
            task,
            tells,
            held: Vec::new(),
        }
    }

    async fn hand_over(&mut self) {
        self.note("-- the old process is asked to let go --");
        let old = self.running.take().expect("it runs");
        old.handle
            .authorize(Authority::ReadOnly, BTreeMap::new())
            .await;
        let snapshot = old.reader.load();
        let wanted = snapshot.services.iter();
        let wanted = wanted
            .map(|(name, service)| (name.clone(), service.desired))
            .collect();
        let new = self.other.take().expect("an upgrade");
        old.tells.store(false, Ordering::Relaxed);
        new.tells.store(true, Ordering::Relaxed);
        self.note("-- the new process is in control --");
        new.handle
            .authorize(Authority::NoPlannedStops, wanted)
            .await;
        self.running = Some(new);
        self.other = Some(old);
    }

    /// `service NAME key=value…`; declaring it again changes it at the next reload.
    fn declare(&mut self, arguments: &[&str]) {
        let name = arguments[0];
        let value = |key: &str, default: &str| {
            let given = arguments
                .iter()
                .find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
            given.unwrap_or(default).to_owned()
        };
        let number = |key: &str, default: &str| value(key, default).parse().expect("a number");
        let addresses = value("addresses", "");
        let mut spec = testing::containers(name);
        match (&mut spec.source, addresses.as_str()) {
            (Source::Container(template), "") => {
                template.image = value("image", "web:1");
                template.first_port = number("first-port", "8000") as u16;
                template.memory_bytes = value("memory", "").parse().ok();
            }
            (source, listed) => {
                let addresses = listed.split(',').map(|address| address.parse());
                let addresses = addresses.map(|parsed| parsed.expect("an address"));
                *source = Source::Addresses(addresses.collect());
            }
        }
        let spec = Spec {
            health: HealthTiming {
                interval: Duration::from_secs(1),
                timeout: Duration::from_secs(1),
                retries: number("retries", "1"),
                start_period: duration(&value("start-period", "30s")),
            },
            bounds: Bounds {
                min: number("min", "1"),
                max: number("max", "10"),
            },
            sleep: (!value("idle-timeout", "").is_empty()).then(|| SleepTerms {
                idle_timeout: duration(&value("idle-timeout", "")),
                stop_after: duration(&value("stop-after", "10m")),
            }),
            spare: number("spare", "0"),
            stop_grace_period: duration(&value("grace", "10s")),
            update: update(&value),
            ..spec
        };
        let probe = FakeProbe {
            engine: self.engine.clone(),
            sick: Arc::clone(&self.sick),
            knows: value("knows", ""),
        };
        let managed = Managed {
            spec: Arc::new(spec),
            probe: Arc::new(probe),
            scaler: Some(scaler(&value("policy", "requests"), &value("target", ""))),
        };
        self.services
            .retain(|managed| managed.spec.name.as_str() != name);
        self.services.push(managed);
    }

    /// Gives a service several policies, as they stand in a file.
    fn combine(&mut self, service: &str, yaml: &str) {
        let listed: Vec<serde_yaml::Mapping> = serde_yaml::from_str(yaml).expect("policies");
        let policies = listed.into_iter().map(|entry| {
            let (name, values) = entry.into_iter().next().expect("a policy");
            let name = name.as_str().expect("a name").to_owned();
            (Arc::from(name.as_str()), installed(&name, values))
        });
        let combined: Arc<dyn Scaler> = Arc::new(Combined::new(policies.collect()));
        let mut services = self.services.iter_mut();
        let named = services.find(|managed| managed.spec.name.as_str() == service);
        named.expect("a service").scaler = Some(combined);
    }

    fn requests(&self, service: &str, count: u32) {
        let snapshot = self.running().reader.load();
        let load = &snapshot.service(service).expect("a service").load;
        (0..count).for_each(|_| load.note(true));
    }

    /// Keeps a request in flight on each ready replica.
    fn hold(&mut self, service: &str) {
        let running = self.running.as_mut().expect("it runs");
        let snapshot = running.reader.load();
        let ready = &snapshot.service(service).expect("a service").ready;
        running.held.extend(
            ready
                .iter()
                .filter_map(tidegate::service::replica::lease::Lease::claim),
        );
    }

    fn show(&self) {
        let snapshot = self.running().reader.load();
        for service in snapshot.services.values() {
            let mut line = format!("   {}: wants {}:", service.name, service.desired);
            for replica in &service.replicas {
                let _ = write!(line, " {}={}", replica.slot, replica.phase);
            }
            let serving: Vec<Slot> = service.ready.iter().map(|replica| replica.slot).collect();
            let _ = write!(line, " ({})", service.because.join("; "));
            self.note(&line);
            let ready = |view: &&tidegate::service::replica::ReplicaView| {
                view.phase == tidegate::service::replica::Phase::Ready
            };
            if serving.len() != service.replicas.iter().filter(ready).count() {
                self.note(&format!("   {}: {serving:?} serve", service.name));
            }
        }
    }

    fn note(&self, line: &str) {
        write_line(&self.log, self.began, line);
    }
}

/// `image-from-file`, or nothing.
fn images(arguments: &[&str]) -> Images {
    match arguments {
        ["image-from-file"] => Images::FromFile,
        _ => Images::Keep,
    }
}

/// `update_config`, in the words of a file.
fn update(value: &impl Fn(&str, &str) -> String) -> Update {
    Update {
        parallelism: value("parallelism", "1").parse().expect("a number"),
        order: match value("order", "start-first").as_str() {
            "start-first" => UpdateOrder::StartFirst,
            _ => UpdateOrder::StopFirst,
        },
        delay: duration(&value("delay", "0s")),
        monitor: duration(&value("monitor", "5s")),
        failure_action: match value("failure-action", "rollback").as_str() {
            "rollback" => FailureAction::Rollback,
            "pause" => FailureAction::Pause,
            _ => FailureAction::Continue,
        },
        max_failure_ratio: value("max-failure-ratio", "0").parse().expect("a number"),
    }
}

fn write_line(log: &Mutex<String>, began: Instant, line: &str) {
    let mut log = log.lock().expect("no panic");
    let _ = writeln!(log, "{:>8.1}s {line}", began.elapsed().as_secs_f64());
}

fn duration(text: &str) -> Duration {
    humantime::parse_duration(text).expect("a duration")
}

fn slot(text: &str) -> Slot {
    text.parse().expect("a slot")
}

/// The policy of this name; all but the two-minute rule have a `target`.
fn scaler(policy: &str, target: &str) -> Arc<dyn Scaler> {
    let values = match target {
        "" => serde_yaml::Value::Null,
        target => serde_yaml::from_str(&format!("target: {target}")).expect("a target"),
    };
    installed(policy, values)
}

fn installed(policy: &str, values: serde_yaml::Value) -> Arc<dyn Scaler> {
    let (_writer, reader) = store::store();
    let mut hooks = Hooks::new(reader);
    let registry: Registry = tidegate::plugins::standard();
    registry
        .install(policy, values, &mut hooks)
        .expect("in the box");
    hooks.finish().scaler.expect("a scaler")
}

/// Healthy when the container runs and nobody called it sick. Elsewhere something always runs.
struct FakeProbe {
    engine: FakeEngine,
    sick: Arc<Mutex<BTreeSet<Slot>>>,
    /// The image that has what is asked for; empty: all have it.
    knows: String,
}

#[async_trait]
impl Probe for FakeProbe {
    async fn check(&self, address: SocketAddr) -> Result<(), String> {
        let slot = address.port();
        if self.sick.lock().expect("no panic").contains(&slot) {
            return Err("answered 500".to_owned());
        }
        if !address.ip().is_loopback() {
            return Ok(());
        }
        let replicas = self.engine.replicas();
        let found = replicas.iter().find(|replica| replica.slot == slot);
        let made = found.and_then(|replica| replica.made.as_ref());
        let knows = |made: &Made| made.template.contains(&format!("\"{}\"", self.knows));
        if !self.knows.is_empty() && !made.is_some_and(knows) {
            return Err("answered 404".to_owned());
        }
        match found.map(|replica| &replica.state) {
            Some(RunState::Running) => Ok(()),
            Some(RunState::Paused) => std::future::pending().await,
            _ => Err("connection refused".to_owned()),
        }
    }
}
