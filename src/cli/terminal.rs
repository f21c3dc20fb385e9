//! Text on its way to a terminal.
//!
//! Much of it comes from containers, images and labels. Control characters in it could clear the
//! screen, hide lines, or type into the shell of whoever looks.

use std::borrow::Cow;
use std::fmt::Write;
use std::io::IsTerminal;

/// Colours that `paint` may use, and the end of a colour.
const COLOURS: [&str; 7] = ["0", "31", "32", "33", "34", "35", "36"];

/// Text in a colour, on a terminal and unless NO_COLOR is set.
pub fn paint(text: &str, colour: u8) -> String {
    debug_assert!(COLOURS.contains(&colour.to_string().as_str()));
    let plain = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
    match !plain && !is_dumb() && std::io::stdout().is_terminal() {
        true => format!("\x1b[{colour}m{text}\x1b[0m"),
        false => text.to_owned(),
    }
}

/// Whether the terminal can do no more than print.
pub fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Spells control characters out when `out` is a terminal. Files and pipes get every byte.
pub fn safe_for<'a>(out: &impl IsTerminal, text: &'a str) -> Cow<'a, str> {
    match out.is_terminal() {
        true => safe(text),
        false => Cow::Borrowed(text),
    }
}

/// Spells control characters out, as in `\x1b`, except for ends of lines, tabs and plain colours.
pub fn safe(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_control) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(at) = rest.find(is_control) {
        safe.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(length) = colour(rest) {
            safe.push_str(&rest[..length]);
            rest = &rest[length..];
            continue;
        }
        let control = rest.chars().next().unwrap_or_default();
        let _ = match u32::from(control) {
            code @ 0..0x100 => write!(safe, "\\x{code:02x}"),
            code => write!(safe, "\\u{{{code:x}}}"),
        };
        rest = &rest[control.len_utf8()..];
    }
    safe.push_str(rest);
    Cow::Owned(safe)
}

/// Control characters, and those that change the direction of text.
fn is_control(c: char) -> bool {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || c.is_control() && !matches!(c, '\n' | '\t')
}

/// The length of the colour that `text` begins with.
fn colour(text: &str) -> Option<usize> {
    let (code, _) = text.strip_prefix("\x1b[")?.split_once('m')?;
    COLOURS
        .contains(&code)
        .then_some("\x1b[m".len() + code.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_colours_ends_of_lines_and_tabs_reach_a_terminal() {
        for (text, expected) in [
            ("plain\ttext: é 🦀\n", "plain\ttext: é 🦀\n"),
            ("\x1b[31mred\x1b[0m\n", "\x1b[31mred\x1b[0m\n"),
            ("\x1b[2J\x1b[H", "\\x1b[2J\\x1b[H"),
            // Concealed text, a title, a paste, an answer that is typed into the shell.
            ("\x1b[8m", "\\x1b[8m"),
            ("\x1b[31;8m", "\\x1b[31;8m"),
            ("\x1b]0;pwned\x07", "\\x1b]0;pwned\\x07"),
            ("\x1bP$q\x1b\\", "\\x1bP$q\\x1b\\"),
            ("\u{9b}2J", "\\x9b2J"),
            ("fine\rbroken\x08\x7f", "fine\\x0dbroken\\x08\\x7f"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("\x1b", "\\x1b"),
        ] {
            assert_eq!(safe(text), expected, "{text:?}");
        }
    }
}
