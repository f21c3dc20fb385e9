//! Creation and start of a container, with its networks and volumes.

use super::daemon::{Daemon, LOOK_TIMEOUT};
use super::error::{CallFailure, failed};
use super::json::target;
use super::labels;
use super::settings::{limits, security_opt};
use crate::engine::{EngineError, ErrorKind};
use crate::service::replica::ReplicaId;
use crate::service::spec::{Slot, Spec, Template, Version};
use bollard::models::{
    ContainerCreateBody, EndpointSettings, HostConfig, NetworkConnectRequest, NetworkCreateRequest,
    NetworkingConfig, PortBinding, RestartPolicy, RestartPolicyNameEnum, VolumeCreateRequest,
};
use bollard::query_parameters::{CreateContainerOptions, StartContainerOptions};
use std::collections::HashMap;
use std::time::Duration;

/// The first container on a new volume waits while Docker copies the image's files into it.
const CREATE_TIMEOUT: Duration = Duration::from_secs(60);

/// A start takes a fifth of a second on an idle machine. Docker starts containers of one network one
/// after the other, so ten at once on a busy machine take long.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Threads count as processes. The limit ends a fork bomb, and leaves room for a Java program with a
/// thousand threads.
const PIDS_LIMIT: i64 = 4096;

const CREATE: &str = "create the container";

impl Daemon {
    pub(super) async fn start(
        &self,
        spec: &Spec,
        slot: Slot,
        generation: u64,
    ) -> Result<ReplicaId, EngineError> {
        let Some(version) = spec.version() else {
            let message = format!("service {} has addresses and no image", spec.name);
            return Err(failed(CREATE, message));
        };
        let template = &version.template;
        let client = self.client(CREATE).await?;
        let image = self.image_on_machine(&client, template).await?;
        for network in &template.networks {
            let made = self.ensure_network(&client, network).await;
            made.map_err(|failure| failure.about(network))?;
        }
        for volume in template.volumes.iter().filter_map(|bind| volume_of(bind)) {
            let made = self.ensure_volume(&client, volume).await;
            made.map_err(|failure| failure.about(volume))?;
        }
        let id = self
            .create(&client, spec, &version, image, slot, generation)
            .await?;
        match self.launch(&client, &id, template).await {
            Ok(()) => Ok(ReplicaId::new(id)),
            Err(failure) => {
                if let Err(left) = self.remove(&client, &id).await {
                    let id = ReplicaId::new(id);
                    log::warn!(
                        "container {id} could not be started and remains: {}",
                        left.message()
                    );
                }
                Err(about_slot(slot, failure.into()))
            }
        }
    }

    async fn create(
        &self,
        client: &bollard::Docker,
        spec: &Spec,
        version: &Version,
        image: String,
        slot: Slot,
        generation: u64,
    ) -> Result<String, CallFailure> {
        let name = format!("tidegate-{}-{slot}", spec.name);
        let unique = format!("{name}-{generation}");
        let seal = self.seal.as_deref();
        let own = labels::of_replica(&self.instance, spec, version, slot, generation, seal);
        let body = ContainerCreateBody {
            image: Some(image),
            ..container(spec, &version.template, slot)
        };
        let create = |name: String| {
            // Ours win; the file has none of their names.
            let mut labels: HashMap<String, String> = HashMap::new();
            labels.extend(version.template.settings.labels.clone());
            labels.extend(labels::sealed(&own, &name, seal));
            let body = ContainerCreateBody {
                labels: Some(labels),
                ..body.clone()
            };
            let options = CreateContainerOptions {
                name: Some(name),
                ..Default::default()
            };
            client.create_container(Some(options), body)
        };
        let created = match self.ask(CREATE, CREATE_TIMEOUT, create(name)).await {
            // The name belongs to a replica that is being removed, or to a stranger.
            Err(failure) if failure.name_is_taken() => {
                self.ask(CREATE, CREATE_TIMEOUT, create(unique)).await?
            }
            other => other?,
        };
        for warning in &created.warnings {
            log::debug!("service {}: Docker says: {warning}", spec.name);
        }
        Ok(created.id)
    }

    async fn launch(
        &self,
        client: &bollard::Docker,
        id: &str,
        template: &Template,
    ) -> Result<(), CallFailure> {
        for network in template.networks.iter().skip(1) {
            let request = NetworkConnectRequest {
                container: id.to_owned(),
                endpoint_config: None,
            };
            let connect = client.connect_network(network, request);
            self.ask("join the network", LOOK_TIMEOUT, connect).await?;
        }
        let start = client.start_container(id, None::<StartContainerOptions>);
        self.ask("start the container", START_TIMEOUT, start).await
    }

    async fn ensure_network(
        &self,
        client: &bollard::Docker,
        name: &str,
    ) -> Result<(), CallFailure> {
        const OP: &str = "create the network";
        // Docker 20.10 would make two networks of one name.
        let _turn = self.turns.take(format!("network {name}")).await;
        if self
            .has(client, OP, target(&["networks", name], &[]))
            .await?
        {
            return Ok(());
        }
        let request = NetworkCreateRequest {
            name: name.to_owned(),
            driver: Some("bridge".into()),
            labels: Some(labels::owned(&self.instance)),
            ..Default::default()
        };
        let create = client.create_network(request);
        match self.ask(OP, LOOK_TIMEOUT, create).await {
            Err(failure) if failure.is(409) => Ok(()),
            Err(failure) => Err(failure),
            Ok(_) => {
                log::info!("created the network {name}");
                Ok(())
            }
        }
    }

    async fn ensure_volume(&self, client: &bollard::Docker, name: &str) -> Result<(), CallFailure> {
        const OP: &str = "create the volume";
        if self
            .has(client, OP, target(&["volumes", name], &[]))
            .await?
        {
            return Ok(());
        }
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(labels::owned(&self.instance)),
            ..Default::default()
        };
        self.ask(OP, LOOK_TIMEOUT, client.create_volume(request))
            .await?;
        log::info!("created the volume {name}");
        Ok(())
    }
}

/// Names the port, which Docker's message hides.
fn about_slot(slot: Slot, error: EngineError) -> EngineError {
    if error.kind != ErrorKind::PortTaken {
        return error;
    }
    let reason = error.message.rsplit(": ").next().unwrap_or_default();
    let message = format!("127.0.0.1:{slot} is used by another program ({reason})");
    EngineError { message, ..error }
}

/// The named volume of a bind; none for a path of the host, or an anonymous one.
fn volume_of(bind: &str) -> Option<&str> {
    let (source, _) = bind.split_once(':')?;
    let is_path = source.starts_with(['/', '.', '~']);
    (!is_path && !source.is_empty()).then_some(source)
}

/// Settings of the service, and those that every container gets: no restarts by Docker, no new
/// privileges, a limit of processes, logs that are rotated.
fn container(spec: &Spec, template: &Template, slot: Slot) -> ContainerCreateBody {
    let inside = format!("{}/tcp", template.port);
    let published = PortBinding {
        host_ip: Some("127.0.0.1".into()),
        host_port: Some(slot.to_string()),
    };
    let network = template.networks.first();
    // Docker 28 forgets the name of an anonymous volume among binds, and keeps it for ever.
    let (binds, anonymous): (Vec<String>, Vec<String>) = template
        .volumes
        .iter()
        .cloned()
        .partition(|volume| volume.contains(':'));
    let settings = &template.settings;
    let host_config = HostConfig {
        binds: Some(binds),
        memory: template.memory_bytes,
        nano_cpus: template.nano_cpus,
        network_mode: network.cloned(),
        port_bindings: Some(HashMap::from([(inside.clone(), Some(vec![published]))])),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        security_opt: Some(security_opt(settings)),
        pids_limit: Some(settings.pids_limit.unwrap_or(PIDS_LIMIT)),
        ..limits(settings)
    };
    let networking_config = network.map(|name| NetworkingConfig {
        endpoints_config: Some(HashMap::from([(name.clone(), EndpointSettings::default())])),
    });
    let environment = template.environment.iter();
    let environment = environment.map(|(key, value)| format!("{key}={value}"));
    let grace = spec.stop_grace_period;
    ContainerCreateBody {
        cmd: template.command.clone(),
        entrypoint: template.entrypoint.clone().map(|words| match words.len() {
            // For Docker this means none, not even the image's own.
            0 => vec![String::new()],
            _ => words,
        }),
        env: Some(environment.collect()),
        user: template.user.clone(),
        working_dir: settings.working_dir.clone(),
        hostname: settings.hostname.clone(),
        stop_signal: settings.stop_signal.clone(),
        exposed_ports: Some(vec![inside]),
        volumes: Some(anonymous),
        stop_timeout: i64::try_from(grace.as_millis().div_ceil(1_000)).ok(),
        host_config: Some(host_config),
        networking_config,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_volumes() {
        assert_eq!(volume_of("acts-data:/data"), Some("acts-data"));
        assert_eq!(volume_of("acts-data:/data:ro"), Some("acts-data"));
        for path in [
            "/srv:/data",
            "./srv:/data",
            "~/srv:/data",
            "/data",
            ":/data",
        ] {
            assert_eq!(volume_of(path), None, "{path}");
        }
    }
}
