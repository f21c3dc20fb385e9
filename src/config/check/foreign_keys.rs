//! Keys of other programs, or of another place, that people write on a service.

/// Hint for a key that a service does not have.
pub fn hint(key: &str) -> Option<&'static str> {
    Some(match key {
        "min"
        | "max"
        | "policy"
        | "requests_per_replica"
        | "spare"
        | "idle_timeout"
        | "stop_after" => "move it under `scale`",
        "interval" | "start_period" => "move it under `healthcheck`",
        "timeout" | "timeouts" => {
            "`read_timeout` limits the wait for an answer, and `healthcheck: { timeout: … }` that \
             of a check"
        }
        "host" | "hosts" | "domain" | "path" | "strip_prefix" => {
            "move it under `routes`, as in `routes: [{ host: a.example.com, path: /api }]`"
        }
        "deploy" | "replicas" => {
            "use `scale: { min: …, max: … }`; `update_config` belongs to the service"
        }
        "pull_policy" => "use `pull`",
        "rollback_config" => "leave it out: a rollback takes the same steps",
        "parallelism" | "order" | "delay" | "monitor" | "failure_action" => {
            "move it under `update_config`"
        }
        "build" => "build the image first, and name it with `image`",
        "restart" => "leave it out: replicas that fail are always replaced",
        "container_name" => "leave it out: replicas are named after service and port",
        "ports" | "expose" => {
            "`port` is the port inside the container; host ports start at `first_port`"
        }
        "depends_on" => "leave it out: requests wait until a replica is ready, within `hold`",
        "profiles" => "leave it out: every service of the file runs; `include` splits the file",
        "mem_limit" => "use `memory`",
        "lb_policy" | "strategy" | "load_balancing" => "use `balance`",
        "sticky" => "use `balance: { hash: { cookie: … } }`",
        "weight" => "leave it out: replicas share requests evenly",
        "concurrency" | "hard_limit" | "maxconn" => "use `container_concurrency`",
        "tls" | "ssl" | "certificates" => {
            "`tls` stands at the top, for every service; `upstream_tls` encrypts the way to replicas"
        }
        "redirect" => {
            "http to https is `tls: { redirect: true }` at the top; other rules are filters, listed \
             under `plugins`"
        }
        "auth" | "basic_auth" | "rate_limit" | "cors" | "headers" | "compress" | "middlewares" => {
            "rules like this are filters, listed under `plugins`"
        }
        "network" => "use `networks: [NAME]`",
        "network_mode" => {
            "use `networks: [NAME]`; replicas cannot share the host's network, because each needs \
             an address of its own"
        }
        "privileged" => "leave it out, and give what is needed: `cap_add`, `devices`",
        "dns" | "dns_search" => "leave it out: containers resolve names as their network does",
        _ => return None,
    })
}
