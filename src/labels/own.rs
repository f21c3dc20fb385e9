//! Tidegate's own labels, `tidegate.…`: keys of a service, with lists and mappings as YAML.

use super::translation::{Label, Translation};
use serde_yaml::Value;

/// Reads the labels that begin with `tidegate.`; all others are somebody else's.
pub fn read(labels: &[Label]) -> Translation {
    let mut read = Translation::default();
    for (label, text) in labels {
        let Some(word) = label.strip_prefix("tidegate.") else {
            continue;
        };
        match word {
            "enable" => match text.as_str() {
                "true" => read.enabled = Some((label.clone(), true)),
                "false" => read.enabled = Some((label.clone(), false)),
                _ => remark(&mut read, label, text, "expected `true` or `false`"),
            },
            "service" => read.service = Some(text.clone()),
            "network" => read.network = Some(text.clone()),
            "port" => match text.parse::<u16>() {
                Ok(port) => read.set("port", port, label),
                Err(_) => remark(&mut read, label, text, "expected a port"),
            },
            "routes" => {
                read.has_rules = true;
                yaml(&mut read, word, label, text, Value::is_sequence, "a list");
            }
            "plugins" => yaml(&mut read, word, label, text, Value::is_sequence, "a list"),
            "healthcheck" => yaml(&mut read, word, label, text, Value::is_mapping, "a mapping"),
            _ => read.remarks.push(format!(
                "not translated: the label `{label}`, which is unknown"
            )),
        }
    }
    read
}

fn yaml(
    read: &mut Translation,
    key: &str,
    label: &str,
    text: &str,
    is_right: impl Fn(&Value) -> bool,
    expected: &str,
) {
    match serde_yaml::from_str::<Value>(text) {
        Ok(value) if is_right(&value) => read.set(key, value, label),
        Ok(_) => remark(read, label, text, &format!("expected {expected} in YAML")),
        Err(error) => remark(read, label, text, &format!("not valid YAML: {error}")),
    }
}

fn remark(read: &mut Translation, label: &str, text: &str, why: &str) {
    read.remarks
        .push(format!("not translated: the label `{label}={text}`; {why}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::traefik;

    fn labels(pairs: &[(&str, &str)]) -> Vec<Label> {
        let pairs = pairs.iter();
        pairs.map(|(k, v)| ((*k).into(), (*v).into())).collect()
    }

    #[test]
    fn labels_become_the_mapping_that_a_file_has() {
        let read = read(&labels(&[
            ("tidegate.enable", "true"),
            ("tidegate.service", "shop"),
            ("tidegate.port", "8080"),
            ("tidegate.routes", "[{ host: a.com, path: /api }]"),
            ("tidegate.healthcheck", "path: /up"),
            ("tidegate.plugins", "[request-id]"),
            ("io.tidegate.managed", "true"),
        ]));
        let file = "port: 8080\nroutes: [{ host: a.com, path: /api }]\n\
                    healthcheck: { path: /up }\nplugins: [request-id]";
        let file: Value = serde_yaml::from_str(file).unwrap();
        assert_eq!(Value::Mapping(read.keys.clone()), file);
        assert_eq!(read.service.as_deref(), Some("shop"));
        assert_eq!(read.label_of("routes[0].host"), Some("tidegate.routes"));
        assert_eq!(read.label_of("image"), None);
        assert!(read.disabled_by().is_none() && read.remarks.is_empty());
    }

    #[test]
    fn a_label_that_makes_no_sense_is_named() {
        let read = read(&labels(&[
            ("tidegate.enable", "yes"),
            ("tidegate.port", "http"),
            ("tidegate.routes", "a.com"),
            ("tidegate.healthcheck", "["),
            ("tidegate.rout", "x"),
        ]));
        assert!(read.keys.is_empty());
        let expected = [
            "`tidegate.enable=yes`; expected `true`",
            "`tidegate.port=http`; expected a port",
            "`tidegate.routes=a.com`; expected a list",
            "`tidegate.healthcheck=[`; not valid YAML",
            "`tidegate.rout`, which is unknown",
        ];
        assert_eq!(read.remarks.len(), expected.len(), "{:?}", read.remarks);
        for (remark, part) in read.remarks.iter().zip(expected) {
            assert!(remark.contains(part), "{remark}");
        }
    }

    #[test]
    fn own_labels_win_over_traefiks() {
        let labels = labels(&[
            ("traefik.enable", "false"),
            ("traefik.http.routers.a.rule", "Host(`a.com`)"),
            ("traefik.http.services.a.loadbalancer.server.port", "80"),
            ("tidegate.enable", "true"),
            ("tidegate.port", "8080"),
        ]);
        let both = read(&labels).over(traefik::read(&labels));
        assert_eq!(both.get("port"), Some(&Value::from(8080)));
        assert_eq!(both.label_of("port"), Some("tidegate.port"));
        assert_eq!(both.label_of("routes"), Some("traefik.http.routers.a.rule"));
        assert_eq!(both.disabled_by(), None);
    }
}
