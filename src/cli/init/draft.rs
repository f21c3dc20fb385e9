//! A configuration that is being written: keys, some with a comment.

use std::fmt::Write;

#[derive(Default)]
pub struct Draft {
    /// Comments above everything, one a line.
    pub head: Vec<String>,
    pub services: Vec<DraftService>,
    /// Comments below everything.
    pub foot: Vec<String>,
}

#[derive(Default)]
pub struct DraftService {
    pub name: String,
    keys: Vec<DraftKey>,
    /// Comments on what is not translated.
    pub remarks: Vec<String>,
}

struct DraftKey {
    name: String,
    value: DraftValue,
    why: String,
}

pub enum DraftValue {
    /// Text of the file, in one line.
    Flow(String),
    /// Keys below it, each with its value.
    Block(Vec<(String, String, String)>),
}

impl DraftService {
    pub fn named(name: impl Into<String>) -> DraftService {
        DraftService {
            name: name.into(),
            ..DraftService::default()
        }
    }

    /// `value` is text of the file; `why` may be empty.
    pub fn set(&mut self, name: &str, value: impl Into<String>, why: impl Into<String>) {
        self.insert(name, DraftValue::Flow(value.into()), why);
    }

    pub fn insert(&mut self, name: &str, value: DraftValue, why: impl Into<String>) {
        let key = DraftKey {
            name: name.to_owned(),
            value,
            why: why.into(),
        };
        self.keys.push(key);
    }

    pub fn has(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key.name == name)
    }
}

impl Draft {
    pub fn text(&self) -> String {
        let mut out = String::new();
        for line in &self.head {
            let _ = writeln!(out, "# {line}");
        }
        out.push_str("\nservices:\n");
        for (index, service) in self.services.iter().enumerate() {
            if index > 0 {
                out.push('\n');
            }
            let _ = writeln!(out, "  {}:", service.name);
            for DraftKey { name, value, why } in &service.keys {
                match value {
                    DraftValue::Flow(value) => write_key(&mut out, 4, name, value, why),
                    DraftValue::Block(keys) => {
                        write_key(&mut out, 4, name, "", why);
                        for (name, value, why) in keys {
                            write_key(&mut out, 6, name, value, why);
                        }
                    }
                }
            }
            for remark in &service.remarks {
                write_comment(&mut out, 4, remark);
            }
        }
        if !self.foot.is_empty() {
            out.push('\n');
        }
        for line in &self.foot {
            write_comment(&mut out, 0, line);
        }
        out
    }
}

fn write_key(out: &mut String, indent: usize, name: &str, value: &str, why: &str) {
    let space = if value.is_empty() { "" } else { " " };
    // Variables were filled in already.
    let value = value.replace('$', "$$");
    let why = match why {
        "" => String::new(),
        why => format!(" # {why}"),
    };
    let _ = writeln!(out, "{:indent$}{name}:{space}{value}{why}", "");
}

fn write_comment(out: &mut String, indent: usize, text: &str) {
    for line in text.lines() {
        let _ = writeln!(out, "{:indent$}# {line}", "");
    }
}

/// Text as a value of the file: as it is, where that means nothing else, or quoted.
pub fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./-:@+".contains(c);
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(is_plain)
        && !text.ends_with(':')
        && !["true", "false", "yes", "no", "on", "off", "null", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    match plain {
        true => text.to_owned(),
        // JSON is YAML.
        false => serde_json::Value::from(text).to_string(),
    }
}

pub fn list<T: AsRef<str>>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(item.as_ref())).collect();
    format!("[{}]", items.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_read_back_as_it_was() {
        for text in [
            "web",
            "acts:latest",
            "",
            "no",
            "1.5",
            "12:30",
            "a b",
            "a: b",
            "#x",
            "\"q\"",
            "/data:/data:ro",
            "é",
            "a\nb",
            "[x]",
            "-x",
            "off",
            "10.0.0.1:80",
        ] {
            let read: serde_yaml::Value = serde_yaml::from_str(&quoted(text)).unwrap();
            assert_eq!(read.as_str(), Some(text), "{}", quoted(text));
        }
    }
}
