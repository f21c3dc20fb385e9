//! The one question that `tidegate init` asks, on a terminal.

use std::io::{BufRead, IsTerminal, Write};

/// Answers that are no address for mail, before the question is given up.
const TRIES: usize = 3;

/// Asks for an address for mail; `None`: left out, or nobody is there to answer.
pub fn email(hosts: &[String]) -> Option<String> {
    let (input, output) = (std::io::stdin(), std::io::stderr());
    match input.is_terminal() && output.is_terminal() {
        true => ask(hosts, &mut input.lock(), &mut output.lock()),
        false => None,
    }
}

fn ask(hosts: &[String], input: &mut impl BufRead, output: &mut impl Write) -> Option<String> {
    for _ in 0..TRIES {
        let hosts = hosts.join(", ");
        write!(
            output,
            "e-mail for the certificate authority, which certifies {hosts} [leave out]: "
        )
        .and_then(|()| output.flush())
        .ok()?;
        let mut line = String::new();
        // The end of the input has no line, an empty answer has one.
        if input.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim() {
            "" => return None,
            email if email.contains('@') && !email.contains(char::is_whitespace) => {
                return Some(email.to_owned());
            }
            _ => writeln!(output, "expected an address such as ops@example.com").ok()?,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_and_everything_else_leaves_it_out() {
        for (typed, expected) in [
            ("ops@example.com\n", Some("ops@example.com")),
            ("  ops@example.com", Some("ops@example.com")),
            ("\n", None),
            ("", None),
            ("yes\nops@example.com\n", Some("ops@example.com")),
            ("yes\nno\nmaybe\nops@example.com\n", None),
        ] {
            let mut said = Vec::new();
            let hosts = ["a.example.com".to_owned()];
            let email = ask(&hosts, &mut typed.as_bytes(), &mut said);
            assert_eq!(email.as_deref(), expected, "{typed}");
            let said = String::from_utf8(said).unwrap();
            assert!(said.contains("certifies a.example.com [leave out]: "));
        }
    }
}
