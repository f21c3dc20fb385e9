//! The list of events, with their needs and promises.

use crate::edge::Kind;
use crate::promise::Promise;
use crate::wire::Jam;
use clap::ValueEnum;
use nix::sys::signal::Signal;
use serde::Serialize;

pub struct Event {
    pub name: &'static str,
    pub about: &'static str,
    pub promise: Promise,
    pub replicas: u32,
    pub needs: Needs,
    /// Whether it can happen behind HAProxy, too.
    with_peer: bool,
    pub happening: Happening,
}

/// Needs beside an edge and its replicas.
#[derive(Clone, Copy, Default)]
pub struct Needs {
    /// Somebody holds the edge's socket.
    pub held: bool,
    /// An engine of our own, with live-restore or without.
    pub engine: Option<bool>,
    /// A server for WebSockets.
    pub echo: bool,
    /// A wire to the engine that can be jammed.
    pub wire: bool,
    /// A log that nobody reads.
    pub stalled_log: bool,
    /// A client over HTTPS.
    pub https: bool,
}

/// Protocol of the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// HTTP/1.1 in clear
    #[default]
    H1,
    /// HTTP/2 over TLS
    H2,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    Nothing,
    Scale,
    Roll,
    RollBroken,
    Deploy,
    DeployBroken,
    Drain,
    Reloads,
    Renewals,
    Tunnels,
    DockerStop,
    DockerKill,
    KillProcess,
    DockerPause,
    CutOff,
    Crash,
    EngineRestarts(Signal),
    EdgeLeaves,
    EdgeIsKilled,
    Upgrade { at_quit: bool },
    Jammed(Jam),
    LogStall,
}

/// For both edges, three replicas; what is planned fails nobody.
const fn event(name: &'static str, about: &'static str, happening: Happening) -> Event {
    Event {
        name,
        about,
        promise: Promise::NONE_FAILS,
        replicas: 3,
        needs: Needs {
            held: false,
            engine: None,
            echo: false,
            wire: false,
            stalled_log: false,
            https: false,
        },
        with_peer: true,
        happening,
    }
}

impl Event {
    const fn promising(self, promise: Promise) -> Event {
        Event { promise, ..self }
    }

    const fn alone(self) -> Event {
        Event {
            replicas: 1,
            ..self.tidegate()
        }
    }

    const fn tidegate(self) -> Event {
        Event {
            with_peer: false,
            ..self
        }
    }

    const fn held(self) -> Event {
        let needs = Needs {
            held: true,
            ..self.needs
        };
        Event { needs, ..self }
    }

    const fn over_https(self) -> Event {
        let needs = Needs {
            https: true,
            ..self.needs
        };
        Event { needs, ..self }
    }

    const fn on_engine(self, live_restore: bool) -> Event {
        let needs = Needs {
            engine: Some(live_restore),
            ..self.needs
        };
        Event { needs, ..self }
    }

    const fn with_echo(self) -> Event {
        let needs = Needs {
            echo: true,
            ..self.needs
        };
        Event { needs, ..self }
    }

    const fn on_wire(self) -> Event {
        let needs = Needs {
            wire: true,
            ..self.needs
        };
        Event { needs, ..self }
    }

    const fn with_stalled_log(self) -> Event {
        let needs = Needs {
            stalled_log: true,
            ..self.needs
        };
        Event { needs, ..self }
    }

    /// A peer that runs no containers has nothing to say to scaling or rolling, and certificates
    /// matter to HTTPS alone.
    pub fn applies_to(&self, kind: Kind, over: Over) -> bool {
        (kind == Kind::Tidegate || self.with_peer) && (over == Over::H2 || !self.needs.https)
    }
}

use Happening as H;

pub static EVENTS: &[Event] = &[
    event("nothing", "the load undisturbed", H::Nothing),
    event("scale", "1 replica, then 5, then 1 again", H::Scale).alone(),
    event(
        "roll",
        "a changed environment, one replica after the other",
        H::Roll,
    )
    .tidegate(),
    event(
        "roll-one",
        "a changed environment, a single replica",
        H::Roll,
    )
    .alone()
    .promising(Promise::NONE_FAILS.waiting_for_a_start()),
    event(
        "roll-broken",
        "a change that is never healthy, and back",
        H::RollBroken,
    )
    .tidegate(),
    event("deploy", "`tidegate deploy` of a good image", H::Deploy).tidegate(),
    event(
        "deploy-broken",
        "`tidegate deploy` of an image that is never healthy",
        H::DeployBroken,
    )
    .tidegate(),
    event("drain", "`tidegate drain` of one replica", H::Drain).tidegate(),
    event("reload-20", "20 reloads without a change", H::Reloads),
    event(
        "renew-20",
        "20 new certificates, over HTTPS alone",
        H::Renewals,
    )
    .tidegate()
    .over_https(),
    event(
        "websocket",
        "400 WebSockets opened during 20 reloads",
        H::Tunnels,
    )
    .tidegate()
    .with_echo(),
    event(
        "docker-stop",
        "docker stop, behind the edge's back",
        H::DockerStop,
    )
    .promising(Promise::NO_GET_FAILS),
    event("docker-kill", "docker kill", H::DockerKill)
        .promising(Promise::ONLY_INSIDE_FAILS.healing()),
    event(
        "kill-9",
        "kill -9 of the container's process",
        H::KillProcess,
    )
    .promising(Promise::ONLY_INSIDE_FAILS.healing()),
    event("kill-one", "kill -9 of the only replica", H::KillProcess)
        .alone()
        .promising(Promise::ONLY_INSIDE_FAILS.healing().waiting_for_a_start()),
    event(
        "docker-pause",
        "docker pause: the replica hangs, connections open",
        H::DockerPause,
    )
    .promising(Promise::NO_GET_FAILS.p99_within_two_checks()),
    event(
        "cut-off",
        "docker network disconnect of one replica",
        H::CutOff,
    )
    .promising(Promise::NO_GET_FAILS.p99_within_two_checks()),
    event(
        "stuck-removal",
        "the only replica dies, and cannot be removed",
        H::Jammed(Jam::Removals),
    )
    .alone()
    .on_wire()
    .promising(Promise::ONLY_INSIDE_FAILS.healing_on_another_port()),
    event(
        "stuck-start",
        "the same, while starts of another service hang",
        H::Jammed(Jam::Starts),
    )
    .alone()
    .on_wire()
    .promising(Promise::ONLY_INSIDE_FAILS.healing().waiting_for_a_start()),
    event(
        "slow-pull",
        "the same, while another service's image is pulled",
        H::Jammed(Jam::Pulls),
    )
    .alone()
    .on_wire()
    .promising(Promise::ONLY_INSIDE_FAILS.healing().waiting_for_a_start()),
    event(
        "log-stall",
        "the same, with the edge's log unread",
        H::LogStall,
    )
    .alone()
    .with_stalled_log()
    .promising(Promise::ONLY_INSIDE_FAILS.healing().waiting_for_a_start()),
    event("crash", "the program answers 500 to everything", H::Crash)
        .promising(Promise::ONLY_UNTIL_NOTICED_FAILS),
    event(
        "engine-restart",
        "dockerd gets TERM and is started again; live-restore on",
        H::EngineRestarts(Signal::SIGTERM),
    )
    .on_engine(true),
    event(
        "engine-kill-9",
        "dockerd gets KILL and is started again; live-restore on",
        H::EngineRestarts(Signal::SIGKILL),
    )
    .on_engine(true),
    event(
        "engine-cold",
        "the same with TERM, live-restore off: dockerd stops all containers",
        H::EngineRestarts(Signal::SIGTERM),
    )
    .on_engine(false)
    .promising(Promise::NOTHING),
    event(
        "upgrade",
        "`tidegate run --upgrade` beside it",
        H::Upgrade { at_quit: false },
    )
    .tidegate(),
    event(
        "upgrade-quit",
        "`--upgrade=on-quit`, then QUIT",
        H::Upgrade { at_quit: true },
    )
    .tidegate(),
    event(
        "edge-restart",
        "the edge gets TERM and is started again, behind a held socket",
        H::EdgeLeaves,
    )
    .held(),
    event(
        "edge-term",
        "the same, with its socket held by nobody",
        H::EdgeLeaves,
    )
    .promising(Promise::ONLY_REFUSED),
    event(
        "edge-kill-9",
        "the edge gets KILL and is started again",
        H::EdgeIsKilled,
    )
    .promising(Promise::NOTHING),
];
