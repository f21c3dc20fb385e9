//! The list of built-in plugins. No plugin registers itself: this list is all there is.

use super::{filter, health, observe, scale};
use crate::plugin::prelude::Registry;

/// A registry of all built-in plugins.
pub fn standard() -> Registry {
    Registry::new()
        .with::<filter::replica_header::ReplicaHeader>()
        .with::<filter::request_id::RequestId>()
        .with::<health::answers::Answers>()
        .with::<health::grpc::Grpc>()
        .with::<health::http::Http>()
        .with::<health::tcp::Tcp>()
        .with::<observe::access_log::AccessLog>()
        .with::<observe::otlp::Otlp>()
        .with::<observe::prometheus::Prometheus>()
        .with::<scale::concurrency::Concurrency>()
        .with::<scale::cpu::Cpu>()
        .with::<scale::latency::Latency>()
        .with::<scale::memory::Memory>()
        .with::<scale::requests::Requests>()
        .with::<scale::rps::Rps>()
        .with::<scale::schedule::Schedule>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::prelude::*;

    #[test]
    fn each_plugin_works_without_keys_and_has_a_line_in_the_readme() {
        let readme = include_str!("README.md");
        let registry = standard();
        for name in registry.names() {
            let mut hooks = Hooks::new(testing::store().1);
            let installed = registry.install(name, Default::default(), &mut hooks);
            assert!(installed.is_ok(), "{name}: {installed:?}");
            assert!(readme.contains(&format!("| [`{name}`](")), "{name}");
        }
    }
}
