//! A configuration that is being written: keys, some with a comment.

use std::fmt::Write;

/// Address in a block that nobody has filled in yet.
const EMAIL: &str = "you@example.com";

#[derive(Default)]
pub struct Draft {
    /// Comments above everything, one a line.
    pub head: Vec<String>,
    pub tls: Option<TlsDraft>,
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

/// HTTPS with certificates that are ordered; a comment as long as something is missing.
#[derive(Default)]
pub struct TlsDraft {
    /// Public hosts that get certificates.
    pub hosts: Vec<String>,
    pub email: Option<String>,
    /// Source of the address, which may be empty.
    pub email_from: String,
    /// Name, text of the file and comment of each further key.
    pub keys: Vec<(String, String, String)>,
    /// Keys beside `email` that have to be filled in, each with its reason.
    pub missing: Vec<String>,
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

    /// Text of a key that is written in one line.
    pub fn flow(&self, name: &str) -> Option<&str> {
        let key = self.keys.iter().find(|key| key.name == name)?;
        match &key.value {
            DraftValue::Flow(text) => Some(text),
            DraftValue::Block(_) => None,
        }
    }
}

impl TlsDraft {
    pub fn is_complete(&self) -> bool {
        self.email.is_some() && self.missing.is_empty()
    }

    fn write(&self, out: &mut String) {
        let mut block = "tls:\n".to_owned();
        let email = self.email.as_deref().unwrap_or(EMAIL);
        write_key(&mut block, 2, "email", &quoted(email), &self.email_from);
        for (name, value, why) in &self.keys {
            write_key(&mut block, 2, name, value, why);
        }
        if self.is_complete() {
            out.push_str(&block);
            return;
        }
        let email = self.email.is_none();
        let email = email.then(|| "`email`, the contact for the certificate authority".to_owned());
        let missing: Vec<String> = email.into_iter().chain(self.missing.clone()).collect();
        let sentence = format!(
            "HTTPS for {}: fill in {}, and uncomment these lines.",
            self.hosts.join(", "),
            missing.join(", and ")
        );
        write_comment(out, 0, &sentence);
        write_comment(out, 0, &block);
    }
}

impl Draft {
    pub fn text(&self) -> String {
        let mut out = String::new();
        for line in &self.head {
            let _ = writeln!(out, "# {line}");
        }
        if let Some(tls) = &self.tls {
            out.push('\n');
            tls.write(&mut out);
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
