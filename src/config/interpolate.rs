//! `${NAME}` in text, in Compose's grammar.
//!
//! ```text
//! $NAME ${NAME}     the value; an error when the variable is not set
//! ${NAME:-word}     the word when it is not set or empty; with `-` alone, when it is not set
//! ${NAME:+word}     the word when it has a value; with `+` alone, when it is set
//! ${NAME:?word}     an error with the word when it is not set or empty; `?` likewise
//! $$                a dollar; so is one that no name and no brace follows
//! ```
//!
//! Words may have variables in them, and only the word that is needed is read.

/// Longest result; bounds the memory that a text of references to a long value can take.
const BYTES_MAX: usize = 1 << 20;
/// Deepest nesting of words; bounds the recursion.
const DEPTH_MAX: usize = 16;

/// A reason why a text cannot be filled in. No variant holds a value, because any may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FillError {
    /// The text from the dollar on is no reference.
    Form(String),
    Unset(String),
    /// A reference with `?`: the name, the word behind it, and whether the variable is set, but
    /// empty.
    Required {
        name: String,
        word: String,
        is_empty: bool,
    },
    TooLong,
}

impl FillError {
    pub fn message(&self) -> String {
        match self {
            FillError::Form(found) => format!("expected a variable, found `{found}`"),
            FillError::Unset(name) => format!("the variable `{name}` is not set"),
            FillError::Required {
                name,
                word,
                is_empty,
            } => {
                let state = if *is_empty { "empty" } else { "not set" };
                match word.trim() {
                    "" => format!("the variable `{name}` is {state}"),
                    word => format!("the variable `{name}` is {state}: {word}"),
                }
            }
            FillError::TooLong => format!("longer than {} MiB with its variables", BYTES_MAX >> 20),
        }
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            FillError::Form(_) => {
                Some("as in `${NAME}` or `${NAME:-default}`; `$$` stands for a dollar".to_owned())
            }
            FillError::Unset(name) => Some(format!(
                "set it in the environment or in `.env` beside the file, or give it a default: \
                 `${{{name}:-…}}`; `$$` stands for a dollar"
            )),
            FillError::Required { .. } => {
                Some("set it in the environment or in `.env` beside the file".to_owned())
            }
            FillError::TooLong => None,
        }
    }
}

/// The text with the values of its variables.
pub fn fill(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, FillError> {
    fill_to(text, lookup, DEPTH_MAX)
}

fn fill_to(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    depth: usize,
) -> Result<String, FillError> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if after.starts_with('{') {
            let form = || FillError::Form(format!("${}", first_line(after)));
            let (inside, left) = braced(after).ok_or_else(form)?;
            let form = || FillError::Form(format!("${{{}}}", first_line(inside)));
            let depth = depth.checked_sub(1).ok_or_else(form)?;
            out.push_str(&value_of(inside, lookup, depth)?);
            rest = left;
        } else {
            let (name, left) = split_name(after);
            match name {
                "" => out.push('$'),
                name => out.push_str(&set(name, lookup)?),
            }
            rest = left;
        }
        if out.len() > BYTES_MAX {
            return Err(FillError::TooLong);
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// Splits text that begins with a brace into what is inside and what follows. Only `${` opens
/// another pair: `${A:-{}}` ends at the first brace, as in Compose.
fn braced(text: &str) -> Option<(&str, &str)> {
    let mut open = 1;
    let mut index = 1;
    while index < text.len() {
        let rest = &text.as_bytes()[index..];
        if rest.starts_with(b"${") {
            open += 1;
            index += 2;
            continue;
        }
        if rest.starts_with(b"}") {
            open -= 1;
            if open == 0 {
                return Some((&text[1..index], &text[index + 1..]));
            }
        }
        index += 1;
    }
    None
}

/// Value of a reference, of which `inside` is between the braces.
fn value_of(
    inside: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    depth: usize,
) -> Result<String, FillError> {
    let form = || FillError::Form(format!("${{{}}}", first_line(inside)));
    let (name, rest) = split_name(inside);
    if name.is_empty() {
        return Err(form());
    }
    if rest.is_empty() {
        return set(name, lookup);
    }
    let (counts_empty, rest) = match rest.strip_prefix(':') {
        Some(rest) => (false, rest),
        None => (true, rest),
    };
    let Some((operator, word)) = rest.split_at_checked(1) else {
        return Err(form());
    };
    let value = lookup(name);
    let is_empty = value.as_deref() == Some("");
    let value = value.filter(|_| counts_empty || !is_empty);
    match (operator, value) {
        ("-" | "?", Some(value)) => Ok(value),
        ("-", None) | ("+", Some(_)) => fill_to(word, lookup, depth),
        ("+", None) => Ok(String::new()),
        ("?", None) => Err(FillError::Required {
            name: name.to_owned(),
            word: word.to_owned(),
            is_empty,
        }),
        _ => Err(form()),
    }
}

fn set(name: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, FillError> {
    lookup(name).ok_or_else(|| FillError::Unset(name.to_owned()))
}

/// Splits off the name that `text` begins with; empty when it begins with none.
fn split_name(text: &str) -> (&str, &str) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    match text.starts_with(|c: char| c.is_ascii_digit()) {
        true => ("", text),
        false => text.split_at(end),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<String, FillError> {
        fill(text, &|name| match name {
            "A" => Some("val".to_owned()),
            "D" => Some("$A".to_owned()),
            "E" => Some(String::new()),
            _ => None,
        })
    }

    /// Compared with `docker-compose config` 2.40, line by line.
    #[test]
    fn references_are_read_as_compose_reads_them() {
        for (text, expected) in [
            ("$A", "val"),
            ("${A}x", "valx"),
            ("$A-x", "val-x"),
            ("$A.b", "val.b"),
            ("$$A", "$A"),
            ("$$$A", "$val"),
            ("$$$$A", "$$A"),
            ("$A$$", "val$"),
            ("$1", "$1"),
            ("a$", "a$"),
            ("$ x", "$ x"),
            ("$(date)", "$(date)"),
            ("$é", "$é"),
            (r"\$A", r"\val"),
            (r#"{"k":"${A}"}"#, r#"{"k":"val"}"#),
            ("%A%", "%A%"),
            ("${D}", "$A"),
            ("${A-d}", "val"),
            ("${U-d}", "d"),
            ("${U:-d}", "d"),
            ("${E-d}", ""),
            ("${E:-d}", "d"),
            ("${E}", ""),
            ("${A+alt}", "alt"),
            ("${U+alt}x", "x"),
            ("${E+alt}", "alt"),
            ("${E:+alt}x", "x"),
            ("${A:+alt}", "alt"),
            ("${U:-}", ""),
            ("${U:-${A}}", "val"),
            ("${U:-$A}", "val"),
            ("${U:-a${A}b}c", "avalbc"),
            ("${U:-${V:-${A}}}", "val"),
            ("${U:-$$x}", "$x"),
            ("${U:-a:b-c}", "a:b-c"),
            ("${U:-a?b}", "a?b"),
            (r#"${U:-{"k":1}}"#, r#"{"k":1}"#),
            ("${U:-a}b}", "ab}"),
            ("${A:-}}", "val}"),
            ("${A:?m}", "val"),
            ("${E?m}", ""),
            ("${U:- sp }", " sp "),
            ("${U-b?c}", "b?c"),
            ("${A+b?c}", "b?c"),
            ("${U--x}", "-x"),
            ("${U-:-x}", ":-x"),
            ("${A:+${U:-n}}", "n"),
            ("${U:-x}-${V:-y}-$A", "x-y-val"),
            ("${U:-$}", "$"),
            ("${A:+$$}", "$"),
            // Compose reads the word in vain, and fails.
            ("${A-${V?msg}}", "val"),
            // Compose warns, and reads nothing.
            ("${A:-${V}}", "val"),
        ] {
            assert_eq!(filled(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn other_forms_are_errors_as_in_compose() {
        for text in [
            "${}", "${1}", "${A", "${A b}", "${ A }", "${A.b}", "${é}", "${A:=x}", "${A=x}",
            "${A:x}", "${A#x}", "${A::-x}", "${A}${", "${A:}", "${A:é}",
        ] {
            let error = filled(text).unwrap_err();
            assert!(matches!(error, FillError::Form(_)), "{text}: {error:?}");
            assert!(error.hint().is_some());
        }
    }

    #[test]
    fn variables_that_are_not_set_are_named() {
        for (text, expected) in [
            ("a $U b", "the variable `U` is not set"),
            ("${E:-${V}}", "the variable `V` is not set"),
            ("${U?}", "the variable `U` is not set"),
            ("${U:?need it}", "the variable `U` is not set: need it"),
            ("${E:?need it}", "the variable `E` is empty: need it"),
            // The word is shown as it was written: values are shown nowhere.
            ("${U:?need ${A}}", "the variable `U` is not set: need ${A}"),
            ("${U-${V?msg}}", "the variable `V` is not set: msg"),
        ] {
            assert_eq!(filled(text).unwrap_err().message(), expected, "{text}");
        }
    }

    #[test]
    fn neither_depth_nor_length_is_without_bounds() {
        let deep = "${U:-".repeat(100_000) + &"}".repeat(100_000);
        assert!(matches!(filled(&deep), Err(FillError::Form(_))));
        let long = "x".repeat(100_000);
        let many = "$A".repeat(100);
        let filled = fill(&many, &|_| Some(long.clone()));
        assert_eq!(filled, Err(FillError::TooLong));
    }
}
