//! Compose's less usual keys of a container.

use super::{check, good, reload, spec, web};
use crate::config::diff;
use crate::service::spec::{ContainerSettings, Device, Template};

fn template(keys: &str) -> Template {
    spec(&web(keys)).template().unwrap().clone()
}

fn settings(keys: &str) -> ContainerSettings {
    template(keys).settings
}

const EVERY: &str = "
logging: {driver: local, options: {max-size: 5m, max-file: 2}}
labels: [team=shop, 'note=a=b', flag]
working_dir: /srv
hostname: shop-1.internal
extra_hosts: ['db:10.0.0.7', 'me=host-gateway', 'six:[::1]']
tmpfs: ['/tmp:size=64m,mode=1777', /run]
read_only: true
cap_add: [net_admin, CAP_SYS_TIME]
cap_drop: [ALL]
devices: [/dev/fuse, '/dev/a:/dev/b:r', '/dev/c:rw']
shm_size: 1g
init: true
stop_signal: quit
ulimits: {nofile: 65536, nproc: {soft: 10, hard: -1}}
sysctls: {net.core.somaxconn: 1024}
security_opt: ['no-new-privileges:true', 'seccomp:unconfined', 'apparmor=shop']
pids_limit: 0
gpus: [{driver: nvidia, device_ids: ['0'], capabilities: [utility]}]";

#[test]
fn every_setting_is_read() {
    let settings = settings(EVERY);
    let logging = settings.logging.clone().unwrap();
    assert_eq!(logging.driver, "local");
    assert_eq!(logging.options["max-file"], "2");
    assert_eq!(settings.labels["note"], "a=b");
    assert_eq!(settings.labels["flag"], "");
    assert_eq!(settings.working_dir.as_deref(), Some("/srv"));
    assert_eq!(settings.hostname.as_deref(), Some("shop-1.internal"));
    assert_eq!(
        settings.extra_hosts,
        ["db:10.0.0.7", "me:host-gateway", "six:::1"]
    );
    assert_eq!(settings.tmpfs["/tmp"], "size=64m,mode=1777");
    assert_eq!(settings.tmpfs["/run"], "");
    assert!(settings.read_only);
    assert_eq!(settings.cap_add, ["NET_ADMIN", "SYS_TIME"]);
    assert_eq!(settings.cap_drop, ["ALL"]);
    let device = |host: &str, container: &str, permissions: &str| Device {
        host: host.to_owned(),
        container: container.to_owned(),
        permissions: permissions.to_owned(),
    };
    let devices = [
        device("/dev/fuse", "/dev/fuse", "rwm"),
        device("/dev/a", "/dev/b", "r"),
        device("/dev/c", "/dev/c", "rw"),
    ];
    assert_eq!(settings.devices, devices);
    assert_eq!(settings.shm_size_bytes, Some(1 << 30));
    assert_eq!(settings.init, Some(true));
    assert_eq!(settings.stop_signal.as_deref(), Some("SIGQUIT"));
    assert_eq!(
        (
            settings.ulimits["nofile"].soft,
            settings.ulimits["nproc"].hard
        ),
        (65536, -1)
    );
    assert_eq!(settings.sysctls["net.core.somaxconn"], "1024");
    assert_eq!(
        settings.security_opt,
        ["seccomp=unconfined", "apparmor=shop"]
    );
    assert_eq!(settings.pids_limit, Some(-1));
    assert_eq!(settings.gpus[0].count, 0);
    assert_eq!(settings.gpus[0].capabilities, ["utility", "gpu"]);
}

#[test]
fn other_forms_of_settings_mean_the_same() {
    assert_eq!(settings("gpus: all").gpus[0].count, -1);
    assert_eq!(settings("gpus: 2").gpus[0].count, 2);
    assert_eq!(settings("tmpfs: /tmp").tmpfs.len(), 1);
    assert_eq!(settings("labels: {a: 1.10}").labels["a"], "1.10");
    assert_eq!(
        settings("extra_hosts: {db: 10.0.0.7}").extra_hosts,
        ["db:10.0.0.7"]
    );
    assert_eq!(settings("sysctls: [net.a=1]").sysctls["net.a"], "1");
    assert_eq!(
        settings("stop_signal: 15").stop_signal.as_deref(),
        Some("15")
    );
    let defaults =
        "logging: {}\nread_only: false\ncap_add: []\nsecurity_opt: ['no-new-privileges']";
    assert!(settings(defaults).is_default());
    assert_eq!(
        settings("logging: {options: {max-size: 1m}}")
            .logging
            .unwrap()
            .driver,
        "json-file"
    );
}

#[test]
fn a_change_of_a_setting_is_a_change_of_the_service() {
    let before = good(&web(""));
    let after = reload(&web("read_only: true\nlabels: {a: b}"), Some(&before))
        .ok()
        .unwrap();
    let changed = diff(&before, &after).to_string();
    assert_eq!(changed, "1 service changed: web (labels, read_only)");
    // Containers of a version that knew no settings stay.
    let hash = |yaml: &str| template(yaml).hash();
    assert_eq!(hash(""), hash("logging: {}\nread_only: false"));
    assert_ne!(hash(""), hash("read_only: true"));
}

#[test]
fn settings_are_checked() {
    check(
        &web("
logging: json-file
labels: {io.tidegate.slot: 1}
working_dir: srv
hostname: -x
extra_hosts: [db]
tmpfs: tmp
read_only: maybe
cap_add: ['NET ADMIN', ALL, all]
devices: [fuse]
shm_size: 1
stop_signal: SIGKILL
ulimits: {nofile: {soft: 2, hard: 1}, nproc: {soft: 1}, core: much}
sysctls: {somaxconn: 1}
security_opt: ['no-new-privileges:false', 'label', 'seccomp=none.json']
pids_limit: many
gpus: none
loging: x"),
        "
        edge.yaml:4: services.web.logging: expected a mapping, found `json-file`
          hint: as in `{ driver: json-file, options: { max-size: 50m } }`
        edge.yaml:5: services.web.labels.io.tidegate.slot: labels that begin with `io.tidegate.` are Tidegate's own
          hint: give it another name: a restart knows its containers by them
        edge.yaml:6: services.web.working_dir: expected a folder inside the container, found `srv`
          hint: begin with a slash: `/srv`
        edge.yaml:7: services.web.hostname: expected a host name, found `-x`
          hint: use letters, digits and `-`, with dots between
        edge.yaml:8: services.web.extra_hosts[0]: expected a host with its address, found `db:`
          hint: as in `db:10.0.0.7`, or `host.docker.internal:host-gateway` for this machine
        edge.yaml:9: services.web.tmpfs: expected a folder inside the container, found `tmp`
          hint: as in `/tmp` or `/tmp:size=64m`
        edge.yaml:10: services.web.read_only: expected `true` or `false`, found `maybe`
        edge.yaml:11: services.web.cap_add[0]: expected a capability, found `NET ADMIN`
          hint: as in `NET_ADMIN`, or `ALL`
        edge.yaml:11: services.web.cap_add[2]: `all` is listed twice
        edge.yaml:12: services.web.devices[0]: expected a device, found `fuse`
          hint: as in `/dev/fuse`, `/dev/sda:/dev/xvda` or `/dev/sda:/dev/xvda:r`
        edge.yaml:13: services.web.shm_size: expected 4.0 KiB to 1.0 TiB, found `1`
          hint: a number alone counts bytes: write `1MiB`
        edge.yaml:14: services.web.stop_signal: `SIGKILL` gives a program no time to end
          hint: leave it out; `stop_grace_period: 0s` stops replicas at once
        edge.yaml:15: services.web.ulimits.nofile: `soft` is 2 but `hard` is 1
        edge.yaml:15: services.web.ulimits.nproc: `hard` is missing
        edge.yaml:15: services.web.ulimits.core: expected a whole number, or `-1` for no limit, found `much`
        edge.yaml:16: services.web.sysctls.somaxconn: expected a parameter with its value, found `somaxconn`
          hint: as in `net.core.somaxconn: 1024`
        edge.yaml:17: services.web.security_opt[0]: no container of Tidegate gains new privileges
          hint: leave it out, and start the program with the rights that it needs: `user`, `cap_add`
        edge.yaml:17: services.web.security_opt[1]: expected a security option, found `label`
          hint: as in `seccomp=profile.json`, `apparmor=NAME` or `label=type:NAME`
        edge.yaml:17: services.web.security_opt[2]: cannot read `none.json`: there is no such file
        edge.yaml:18: services.web.pids_limit: expected a whole number, or `-1` for no limit, found `many`
        edge.yaml:19: services.web.gpus: expected `all` or a number of GPUs, found `none`
          hint: as in `gpus: all`, or a list of `{ driver: nvidia, count: 1 }`
        edge.yaml:20: services.web: unknown key `loging`
          hint: did you mean `logging`?
        ",
    );
}
