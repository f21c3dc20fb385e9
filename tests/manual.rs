//! The pages in `docs/`, held against the program: messages are in the source, commands exist,
//! files of before become files of after, and the plugin is the one that is built.

use crate::support::edge::{self, Ran};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use tidegate::config::{self, Config, Env, Flags, Overrides, Text};
use tidegate::service::store;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

/// The README and everything in `docs/`, by its path.
fn pages() -> Vec<(String, String)> {
    let mut pages = vec![("README.md".to_owned(), read("README.md"))];
    for entry in fs::read_dir(root().join("docs")).expect("a folder") {
        let name = entry.expect("an entry").file_name();
        let path = format!("docs/{}", name.to_string_lossy());
        if path.ends_with(".md") {
            let text = read(&path);
            pages.push((path, text));
        }
    }
    assert!(pages.len() > 4);
    pages
}

/// The blocks of a page that are fenced as `language`.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}");
    let mut found = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line == fence {
            let block = lines.by_ref().take_while(|line| *line != "```");
            found.push(block.map(|line| format!("{line}\n")).collect());
        }
    }
    found
}

// === messages ===

fn sources(folder: PathBuf, into: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(path).expect("readable"));
        }
    }
}

/// The source with its long texts in one line each.
fn source() -> String {
    let mut all = String::new();
    sources(root().join("src"), &mut all);
    sources(root().join("plugins"), &mut all);
    let mut pieces = all.split("\\\n");
    let mut joined = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        joined.push_str(piece.trim_start());
    }
    joined.replace("\\\"", "\"")
}

/// Code in a line, between backquotes.
fn quoted(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(start) = rest.find('`') {
        let ticks = rest[start..].bytes().take_while(|b| *b == b'`').count();
        let inside = &rest[start + ticks..];
        let Some(end) = inside.find(&"`".repeat(ticks)) else {
            break;
        };
        found.push(inside[..end].trim());
        rest = &inside[end + ticks..];
    }
    found
}

#[test]
fn every_message_that_troubleshooting_quotes_is_in_the_source() {
    let source = source();
    let page = read("docs/troubleshooting.md");
    let mut count = 0;
    for line in page.lines() {
        for message in quoted(line) {
            if !message.contains('…') && !line.starts_with("### `") {
                continue;
            }
            for part in message.split('…').map(str::trim) {
                let known = part.len() < 3 || source.contains(part);
                assert!(known, "docs/troubleshooting.md: nothing says `{part}`");
            }
            count += 1;
        }
    }
    assert!(count > 25, "{count}");
}

// === commands ===

/// Subcommand and flags of each `tidegate …` in a page's blocks for a shell.
fn commands(page: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    let blocks = blocks(page, "sh");
    for line in blocks.iter().flat_map(|block| block.lines()) {
        let line = line.split(" #").next().unwrap_or_default();
        let line = line
            .trim_start_matches("$ ")
            .trim_start_matches("target/release/");
        let line = line.trim_start_matches("docker compose exec tidegate ");
        let line = match line.split_once("cargo run --release -- ") {
            Some((_, line)) => line,
            None => match line.strip_prefix("tidegate ") {
                Some(line) => line,
                None => continue,
            },
        };
        let line = line.split([';', '|', '>']).next().unwrap_or_default();
        let mut words = shell_words::split(line).expect(line).into_iter();
        let command = words.next().expect("a command");
        let flags = words.filter(|word| word.starts_with('-') && word != "-");
        let flags = flags.map(|flag| flag.split('=').next().unwrap_or_default().to_owned());
        found.push((command, flags.collect()));
    }
    found
}

#[tokio::test]
async fn every_command_that_is_shown_exists_with_its_flags() {
    let mut help = BTreeMap::new();
    let mut count = 0;
    for (path, text) in pages() {
        for (command, flags) in commands(&text) {
            if !help.contains_key(&command) {
                let Ran { code, out, err } = edge::tidegate(&[&command, "--help"]).await;
                assert_eq!(code, Some(0), "{path}: tidegate {command}: {err}");
                help.insert(command.clone(), out);
            }
            for flag in flags {
                let known = help[&command].contains(&flag);
                assert!(known, "{path}: tidegate {command} has no {flag}");
            }
            count += 1;
        }
    }
    assert!(count > 30, "{count}");
}

// === files of before and after ===

fn load(content: &str, before: Option<&Config>) -> Config {
    let text = Text {
        name: "docs/migrate.md".to_owned(),
        content: content.to_owned(),
    };
    let overrides = Overrides::new(Flags::default(), Env::new(|_| None));
    let registry = tidegate::plugins::standard();
    let loaded = config::load(&text, &overrides, &registry, store::store().1, before);
    loaded.unwrap_or_else(|problems| panic!("{problems}"))
}

#[tokio::test]
async fn init_makes_of_each_compose_file_what_stands_below_it() {
    let page = read("docs/migrate.md");
    let mut count = 0;
    for section in page.split("```yml\n").skip(1) {
        let (before, rest) = section.split_once("```\n").expect("an end");
        let after = &blocks(rest, "yaml")[0];
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("compose.yaml");
        fs::write(&file, before).expect("written");
        let file = file.to_str().expect("text");
        let made = edge::tidegate(&["init", "--from", file, "--out", "-"]).await;
        assert_eq!(made.code, Some(0), "{made:?}");
        let shown = load(after, None);
        let made_of_it = load(&made.out, Some(&shown));
        let diff = config::diff(&shown, &made_of_it);
        assert!(diff.is_empty(), "{diff}:\n{}", made.out);
        count += 1;
    }
    assert_eq!(count, 2);
}

// === the plugin ===

#[test]
fn the_plugin_that_is_shown_is_the_one_that_is_built() {
    let built = read("tests/outsider/src/main.rs");
    let shown = blocks(&read("docs/plugin.md"), "rust").join("\n");
    assert_eq!(shown, built);
    for block in blocks(&read("plugins/README.md"), "rust") {
        assert!(built.contains(&block), "plugins/README.md: {block}");
    }
}

// === links ===

/// GitHub's anchor of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>()
        .trim()
        .to_lowercase()
        .replace(' ', "-")
}

fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let texts = headings.map(|line| line.trim_start_matches('#').trim());
    texts.map(anchor).collect()
}

#[test]
fn every_link_to_a_heading_leads_to_one() {
    for (path, text) in pages() {
        for after in text.split("](").skip(1) {
            let target = after.split(')').next().unwrap_or_default();
            let Some((file, heading)) = target.split_once('#') else {
                continue;
            };
            if target.contains("://") {
                continue;
            }
            let page = match file {
                "" => text.clone(),
                file => {
                    let folder = root().join(&path);
                    let folder = folder.parent().expect("a folder");
                    fs::read_to_string(folder.join(file)).expect(target)
                }
            };
            assert!(anchors(&page).contains(heading), "{path}: {target}");
        }
    }
}
