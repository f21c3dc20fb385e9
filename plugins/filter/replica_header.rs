use crate::plugin::prelude::*;

/// Adds a header to each answer with its replica and the number of ready ones: `8001;ready=3`.
///
/// Tidegate's own answers have it, too, if a replica was tried. A header of this name from the
/// service is removed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaHeader {
    /// The name of the header.
    #[serde(default = "default_header")]
    header: String,
}

fn default_header() -> String {
    "x-tidegate-replica".into()
}

impl Plugin for ReplicaHeader {
    const NAME: &'static str = "replica-header";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        let header = HeaderName::from_bytes(self.header.as_bytes()).map_err(|_| {
            let message = format!("`header`: {:?} is not the name of a header", self.header);
            PluginError::new(message)
        })?;
        let reader = hooks.reader();
        hooks.filter(ReplicaHeaderFilter { header, reader });
        Ok(())
    }
}

struct ReplicaHeaderFilter {
    header: HeaderName,
    reader: Reader,
}

impl Filter for ReplicaHeaderFilter {
    fn response(&self, response: &mut Response<'_>) {
        response.head.remove_header(&self.header);
        let exchange = &response.exchange;
        let (Some(service), Some(slot)) = (&exchange.service, exchange.slot) else {
            return;
        };
        let snapshot = self.reader.load();
        let ready = snapshot
            .service(service.as_str())
            .map_or(0, |service| service.ready.len());
        let text = format!("{slot};ready={ready}");
        let inserted = response.head.insert_header(self.header.clone(), text);
        debug_assert!(inserted.is_ok(), "digits and a word");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// An answer of `exchange`, while the replicas in `ready` are ready.
    fn said(yaml: &str, ready: &[Slot], mut exchange: Exchange) -> ResponseHeader {
        let (mut writer, reader) = testing::store();
        let name = ServiceName::new("shop");
        let replica = |slot: &Slot| {
            let id = ReplicaId::new(slot.to_string());
            let address = ([127, 0, 0, 1], *slot).into();
            Arc::new(writer.new_replica(name.clone(), id, *slot, 1, address, Arc::default()))
        };
        let view = ServiceView {
            ready: ready.iter().map(replica).collect(),
            ..ServiceView::new(name.clone(), Arc::new(writer.new_load()))
        };
        writer.publish(Snapshot {
            services: [(name, Arc::new(view))].into(),
            engine_up: true,
            taken: Moment::default(),
        });
        let installed = testing::install_with::<ReplicaHeader>(yaml, reader).unwrap();
        let mut head = ResponseHeader::build(200, None).unwrap();
        head.insert_header("x-tidegate-replica", "spoofed").unwrap();
        testing::answered(&*installed.filters[0], &mut exchange, head)
    }

    fn sent_to(slot: Slot) -> Exchange {
        Exchange {
            slot: Some(slot),
            ..testing::routed()
        }
    }

    #[test]
    fn an_answer_says_who_gave_it_and_how_many_are_ready() {
        let head = said("", &[8000, 8001, 8002], sent_to(8001));
        let all: Vec<_> = head.headers.get_all("x-tidegate-replica").iter().collect();
        assert_eq!(all, ["8001;ready=3"]);
    }

    #[test]
    fn an_answer_that_no_replica_had_a_part_in_says_nothing() {
        for exchange in [testing::exchange(), testing::routed()] {
            let head = said("", &[8000], exchange);
            assert_eq!(head.headers.get("x-tidegate-replica"), None);
        }
    }

    #[test]
    fn the_header_may_be_named() {
        let head = said("header: X-Who", &[8000], sent_to(8000));
        assert_eq!(head.headers["x-who"], "8000;ready=1");
    }

    #[test]
    fn a_name_that_is_no_header_is_refused() {
        let error = testing::install::<ReplicaHeader>("header: a b").err();
        let expected = "`header`: \"a b\" is not the name of a header";
        assert_eq!(error.as_deref(), Some(expected));
    }
}
