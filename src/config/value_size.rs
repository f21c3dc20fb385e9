//! Memory that values take, which aliases multiply.

use serde_yaml::Value;

/// Memory that a value takes, in bytes, with the paths of everything in it.
#[derive(Clone, Copy, Default)]
pub struct Size {
    pub nodes: usize,
    pub bytes: usize,
}

/// Memory of `value`, whose path has `path_bytes`.
pub fn size(value: &Value, path_bytes: usize) -> Size {
    let parts: Vec<(&Value, usize)> = match value {
        Value::Sequence(items) => items.iter().map(|item| (item, "[0]".len())).collect(),
        Value::Mapping(entries) => entries
            .iter()
            .map(|(key, value)| (value, 1 + key.as_str().map_or(0, str::len)))
            .collect(),
        _ => Vec::new(),
    };
    let text = value.as_str().map_or(0, str::len);
    let own = Size {
        nodes: 1,
        bytes: path_bytes + text,
    };
    parts.into_iter().fold(own, |sum, (part, step)| {
        let part = size(part, path_bytes + step);
        Size {
            nodes: sum.nodes + part.nodes,
            bytes: sum.bytes + part.bytes,
        }
    })
}
