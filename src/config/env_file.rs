//! Files of variables, such as `.env`, in Compose's grammar.
//!
//! ```text
//! NAME=value # comment      up to ` #`, without spaces around it; variables are filled in
//! NAME="value"              may go on over lines; escapes such as `\n`, and variables
//! NAME='value'              may go on over lines; as it stands
//! NAME                      the value that the environment has, if any
//! ```
//!
//! `export` may stand in front, and `:` in place of `=`. A bad line is reported and loses only
//! itself.

use super::interpolate::fill;
use std::collections::BTreeMap;

/// A variable, and the line that it begins on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileVariable {
    pub value: String,
    pub line: usize,
}

/// A line that is wrong. Neither text holds a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    /// `None`: the file as a whole.
    pub line: Option<usize>,
    pub message: String,
    pub hint: Option<String>,
}

/// Variables of a file.
#[derive(Debug, Default)]
pub struct EnvFile {
    pub values: BTreeMap<String, FileVariable>,
    pub errors: Vec<LineError>,
}

impl EnvFile {
    /// A file that cannot be read.
    pub fn unreadable(why: String) -> EnvFile {
        EnvFile {
            values: BTreeMap::new(),
            errors: vec![LineError {
                line: None,
                message: format!("cannot read the file of variables: {why}"),
                hint: None,
            }],
        }
    }
}

/// Reads the text of a file. A variable in a value is looked up by `lookup` first, then among those
/// above it.
pub fn parse(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> EnvFile {
    let mut reader = Reader {
        rest: text.strip_prefix('\u{feff}').unwrap_or(text),
        line: 1,
    };
    let mut read = EnvFile::default();
    while reader.skip_to_statement() {
        let (line, start) = (reader.line, reader.rest);
        match reader.statement(lookup, &read.values) {
            Ok(Some((name, value))) => drop(read.values.insert(name, FileVariable { value, line })),
            Ok(None) => {}
            Err((message, hint)) => {
                reader.rest = start;
                reader.line = line;
                reader.skip_line();
                read.errors.push(LineError {
                    line: Some(line),
                    message,
                    hint,
                });
            }
        }
    }
    read
}

struct Reader<'t> {
    rest: &'t str,
    line: usize,
}

/// Message and hint.
type Fault = (String, Option<String>);

fn fault(message: impl Into<String>, hint: &str) -> Fault {
    (message.into(), Some(hint.to_owned()))
}

impl<'t> Reader<'t> {
    /// Skips blank lines and comments; `false` at the end.
    fn skip_to_statement(&mut self) -> bool {
        loop {
            let start = self.rest.trim_start();
            let skipped = &self.rest[..self.rest.len() - start.len()];
            self.line += skipped.matches('\n').count();
            self.rest = start;
            if !start.starts_with('#') {
                return !start.is_empty();
            }
            self.skip_line();
        }
    }

    fn skip_line(&mut self) {
        let (_, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        self.rest = rest;
        self.line += 1;
    }

    /// Reads one variable; `None` for a name that the environment does not know.
    fn statement(
        &mut self,
        lookup: &dyn Fn(&str) -> Option<String>,
        above: &BTreeMap<String, FileVariable>,
    ) -> Result<Option<(String, String)>, Fault> {
        if let Some(rest) = self.rest.strip_prefix("export")
            && rest.starts_with(is_gap)
        {
            self.rest = rest.trim_start_matches(is_gap);
        }
        let (name, has_value) = self.name()?;
        if !has_value {
            return Ok(lookup(&name).map(|value| (name, value)));
        }
        let known = |name: &str| {
            let above = || Some(above.get(name)?.value.clone());
            lookup(name).or_else(above)
        };
        let filled =
            |text: &str| fill(text, &known).map_err(|error| (error.message(), error.hint()));
        let value = match self.rest.chars().next() {
            Some('"') => filled(&unescaped(&self.quoted('"')?))?,
            Some('\'') => self.quoted('\'')?,
            _ => {
                let line = self.rest.split('\n').next().unwrap_or_default();
                let value = line.split(" #").next().unwrap_or_default().trim_end();
                let value = filled(value)?;
                self.skip_line();
                value
            }
        };
        if value.contains('\0') {
            let message = format!("the value of `{name}` has a NUL character in it");
            return Err((message, None));
        }
        Ok(Some((name, value)))
    }

    /// Reads a name and the sign behind it; `false` when there is none.
    fn name(&mut self) -> Result<(String, bool), Fault> {
        let end = self.rest.find(['=', ':', '\n']).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        let name = name.trim_end();
        if name.is_empty() {
            return Err(fault(
                "there is no name before the value",
                "as in `NAME=value`",
            ));
        }
        let is_part = |c: char| c.is_alphanumeric() || "_.-[]".contains(c);
        if let Some(odd) = name.chars().find(|c| !is_part(*c)) {
            let hint = "as in `NAME=value`; names have letters, digits, `_`, `.` and `-` in them";
            return Err(fault(format!("a name cannot have `{odd}` in it"), hint));
        }
        let has_value = rest.starts_with(['=', ':']);
        let rest = rest.get(1..).unwrap_or_default();
        self.rest = match has_value {
            true => rest.trim_start_matches(is_gap),
            false => rest,
        };
        if !has_value {
            self.line += 1;
        }
        Ok((name.to_owned(), has_value))
    }

    /// Reads a value in quotes, and the rest of its last line.
    fn quoted(&mut self, quote: char) -> Result<String, Fault> {
        let mut value = String::new();
        let mut is_escaped = false;
        let inside = &self.rest[1..];
        for (index, c) in inside.char_indices() {
            match (is_escaped, c) {
                (false, '\\') => is_escaped = true,
                (false, c) if c == quote => {
                    self.rest = &inside[index + 1..];
                    self.line += value.matches('\n').count();
                    let after = self.rest.split('\n').next().unwrap_or_default().trim();
                    if !after.is_empty() && !after.starts_with('#') {
                        let hint = "write a quote inside of the value as `\\\"` or `\\'`";
                        return Err(fault("there is text behind the closing quote", hint));
                    }
                    self.skip_line();
                    return Ok(value);
                }
                _ => {
                    if is_escaped && c != quote {
                        value.push('\\');
                    }
                    is_escaped = false;
                    value.push(c);
                }
            }
        }
        Err(fault(
            "a quote is opened and not closed",
            "close it, or put the whole value into quotes of the other kind",
        ))
    }
}

/// A space that ends no line.
fn is_gap(c: char) -> bool {
    matches!(
        c,
        '\t' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}'
    )
}

/// The text with its escapes replaced; `\$` becomes `$$`, which stands for a dollar.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let octal = after.get(..4).filter(|digits| {
            digits.starts_with('0') && digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit))
        });
        let code = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        let (escape, length) = match (code, after.chars().next()) {
            (Some(code), _) => (char::from(code).to_string(), 4),
            (None, Some('a')) => ("\u{7}".to_owned(), 1),
            (None, Some('b')) => ("\u{8}".to_owned(), 1),
            (None, Some('f')) => ("\u{c}".to_owned(), 1),
            (None, Some('n')) => ("\n".to_owned(), 1),
            (None, Some('r')) => ("\r".to_owned(), 1),
            (None, Some('t')) => ("\t".to_owned(), 1),
            (None, Some('v')) => ("\u{b}".to_owned(), 1),
            (None, Some('$')) => ("$$".to_owned(), 1),
            (None, Some('\\')) => ("\\".to_owned(), 1),
            _ => ("\\".to_owned(), 0),
        };
        out.push_str(&escape);
        rest = &after[length..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> EnvFile {
        parse(text, &|name| (name == "H").then(|| "host".to_owned()))
    }

    fn values(text: &str) -> Vec<(String, String)> {
        let values = read(text).values.into_iter();
        values.map(|(name, it)| (name, it.value)).collect()
    }

    /// Compared with `docker-compose config` 2.40, line by line.
    #[test]
    fn lines_are_read_as_compose_reads_them() {
        for (text, expected) in [
            ("A=1", "1"),
            ("\u{feff}A=1", "1"),
            ("A = 1 ", "1"),
            (" \t A=1\r\n", "1"),
            ("export A=1", "1"),
            ("export\tA = 1", "1"),
            ("A: 1", "1"),
            ("A:1", "1"),
            ("A :", ""),
            ("A=\nB=2", ""),
            ("A=''", ""),
            ("A=\"\"", ""),
            ("A='x y'", "x y"),
            ("A= \"x\"", "x"),
            ("A=x y", "x y"),
            ("A=x # c", "x"),
            ("A=x #", "x"),
            ("A=x#c", "x#c"),
            ("A=x\t# c", "x\t# c"),
            ("A=# c", "# c"),
            ("A='x # c' # d", "x # c"),
            ("A='x'#c", "x"),
            ("A=\"x\"\r\n", "x"),
            ("A=a:b", "a:b"),
            ("A==1", "=1"),
            ("A=1;B=2", "1;B=2"),
            (r"A='a\'b'", "a'b"),
            (r#"A="a\"b""#, "a\"b"),
            (r#"A="a\'b""#, r"a\'b"),
            (r"A=a\nb", r"a\nb"),
            (r"A='a\nb'", r"a\nb"),
            (r#"A="a\nb\rc\td""#, "a\nb\rc\td"),
            (r#"A="a\\b""#, r"a\b"),
            (r"A='a\\b'", r"a\\b"),
            (r#"A="\x\#""#, r"\x\#"),
            (r#"A="\0101""#, "A"),
            ("A=\"a\nb\"", "a\nb"),
            ("A='a\nb' # c", "a\nb"),
            ("A=a'b", "a'b"),
            ("A=x\"y\"", "x\"y\""),
            ("A=`x`", "`x`"),
            (r#"A={"k": "v", "n": [1]}"#, r#"{"k": "v", "n": [1]}"#),
            (r#"A='{"k": 1}'"#, r#"{"k": 1}"#),
            (r#"A="{\"k\": 1}""#, r#"{"k": 1}"#),
            ("A=$H", "host"),
            ("A=\"${H}\\n\"", "host\n"),
            ("A='$H'", "$H"),
            ("A=${U:-d}", "d"),
            (r#"A="a\$b""#, "a$b"),
            ("A=a$$b", "a$b"),
            ("A='$$'", "$$"),
            ("A=a$ b$1$", "a$ b$1$"),
            ("A=0\nA=1", "1"),
            ("B=1\nA=$B", "1"),
            ("B=1\nA='x'\n", "x"),
            ("# A=0\n  # c\n\nA=1", "1"),
        ] {
            let read = read(text);
            assert_eq!(read.errors, [], "{text}");
            assert_eq!(read.values["A"].value, expected, "{text}");
        }
        for name in ["A.b", "A-b", "A[0]", "1A", "é", "export"] {
            assert_eq!(values(&format!("{name}=1"))[0].0, name);
        }
        assert_eq!(
            values("H\nA=1\nB"),
            [("A".into(), "1".into()), ("H".into(), "host".into())]
        );
    }

    #[test]
    fn a_bad_line_is_named_and_loses_only_itself() {
        for (bad, message) in [
            ("A b=1", "a name cannot have ` ` in it"),
            ("A+=1", "a name cannot have `+` in it"),
            ("hello world", "a name cannot have ` ` in it"),
            ("=1", "there is no name before the value"),
            ("A='it''s'", "there is text behind the closing quote"),
            ("A=\"x\"y", "there is text behind the closing quote"),
            ("A=\"x", "a quote is opened and not closed"),
            ("A='it's", "there is text behind the closing quote"),
            ("A=$U", "the variable `U` is not set"),
            ("A=${U:?no}", "the variable `U` is not set: no"),
            ("A=${U", "expected a variable, found `${U`"),
        ] {
            let read = read(&format!("X=1\n\n{bad}\nY=2\n"));
            let found: Vec<_> = read
                .errors
                .iter()
                .map(|it| (it.line, &*it.message))
                .collect();
            assert_eq!(found, [(Some(3), message)], "{bad}");
            let lines: Vec<_> = read
                .values
                .iter()
                .map(|(name, it)| (&**name, it.line))
                .collect();
            assert_eq!(lines, [("X", 1), ("Y", 4)], "{bad}");
        }
        let lines = read("A='\n\n'\nB\nH\n# c\nC=1");
        assert_eq!((lines.values["A"].line, lines.values["C"].line), (1, 7));
    }
}
