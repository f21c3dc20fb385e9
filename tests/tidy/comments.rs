//! The first words of a comment's sentences.

use super::source::{files, root};
use std::fs;

/// Words that leave the reader to guess the noun.
const GUESSED: [&str; 6] = ["What", "Who", "Whose", "Whoever", "Whatever", "It"];

#[test]
fn a_sentence_of_a_comment_begins_with_the_thing_that_it_is_about() {
    let mut wrong = Vec::new();
    for path in [files("src", "rs"), files("plugins", "rs")].concat() {
        let name = path.strip_prefix(root()).expect("below it");
        let text = fs::read_to_string(&path).expect("readable");
        for (index, line) in text.lines().enumerate() {
            for word in guessed(line) {
                wrong.push(format!("{}:{}: {word} …", name.display(), index + 1));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "begin with the noun, as in \"The last event\" instead of \"What happened last\":\n{}",
        wrong.join("\n")
    );
}

/// Words of the list with which a sentence of a line's comment begins.
fn guessed(line: &str) -> Vec<&str> {
    let Some(comment) = line.trim_start().strip_prefix("//") else {
        return Vec::new();
    };
    let text = comment.trim_start_matches(['/', '!']);
    let sentences = text.split(". ").flat_map(|part| part.split("? "));
    let words = sentences.filter_map(|sentence| {
        let sentence = sentence.trim_start();
        sentence.split(|c: char| !c.is_alphanumeric()).next()
    });
    words.filter(|word| GUESSED.contains(word)).collect()
}

#[test]
fn a_word_is_found_behind_any_mark_and_amid_a_line() {
    for (line, expected) in [
        ("    /// It's here.", &["It"][..]),
        ("//! What follows", &["What"]),
        ("// A door. Who comes in? It is open.", &["Who", "It"]),
        ("// Its port. Items", &[]),
        ("//", &[]),
        ("let it = 1; // It", &[]),
    ] {
        assert_eq!(guessed(line), expected, "{line}");
    }
}
