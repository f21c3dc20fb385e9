//! YAML: from text to values, with the lines where they stand.
//!
//! One pass over the parser's events makes both, so that they cannot disagree. Keys are always
//! text, whatever they look like: `80: x` has the key "80".

use super::filled::filled;
use super::origins::{ValueOrigin, ValueOrigins, join};
use super::syntax_error::SyntaxError;
use super::value_size::{Size, size};
use super::variables::VariableSources;
use saphyr::{Scalar, ScalarStyle, Tag};
use saphyr_parser::{Event, Marker, Parser};
use serde_yaml::{Mapping, Value};
use std::borrow::Cow;
use std::collections::HashMap;

/// Deepest nesting; bounds recursion over the value.
const DEPTH_MAX: usize = 64;
/// Values, with those that aliases stand for, so that ten lines of aliases cannot fill the memory.
const NODES_MAX: usize = 100_000;
/// Bytes of texts and of the paths to them, with those that aliases stand for; four times the
/// largest file.
const BYTES_MAX: usize = 16 << 20;

#[derive(Debug, Default)]
pub struct Tree {
    pub value: Value,
    pub places: ValueOrigins,
    /// Problems that do not keep the rest from being read.
    pub errors: Vec<SyntaxError>,
}

/// Parses `text`, and fills in the variables of each value. They come after the parser, so that no
/// value can add a key.
pub fn parse(text: &str, file: usize, sources: &VariableSources) -> Result<Tree, SyntaxError> {
    let mut builder = Builder::new(file, sources);
    if !text.is_empty() {
        builder.tree.places.add("", 1);
    }
    let lines = text.lines().count().max(1);
    let bounded = |mut error: SyntaxError| {
        error.file = file;
        // The parser's end of file may be a line of its own.
        if error.line > lines {
            let last = text.lines().last().unwrap_or_default();
            error.line = lines;
            error.column = Some(last.chars().count() + 1);
        }
        error
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let line = text.lines().nth(error.marker().line().saturating_sub(1));
            let has_braces = line.is_some_and(|line| line.contains("${"));
            let message = format!("not valid YAML: {}", error.info());
            bounded(SyntaxError {
                hint: has_braces
                    .then(|| "inside of `{ }` and `[ ]`, put `${…}` in quotes".to_owned()),
                ..SyntaxError::new(error.marker(), message)
            })
        })?;
        builder.line = span.start.line().min(lines);
        builder.event(event, &span.start).map_err(bounded)?;
    }
    Ok(Tree {
        errors: builder.tree.errors.into_iter().map(bounded).collect(),
        ..builder.tree
    })
}

/// A list or mapping that is still open.
struct Open {
    anchor: usize,
    path: String,
    content: Content,
}

enum Content {
    List(Vec<Value>),
    Map {
        entries: Mapping,
        /// Key of the next value.
        key: Option<String>,
    },
}

struct Builder<'v> {
    sources: &'v VariableSources,
    tree: Tree,
    open: Vec<Open>,
    anchors: HashMap<usize, (Value, String)>,
    documents: usize,
    nodes: usize,
    bytes: usize,
    line: usize,
}

impl<'v> Builder<'v> {
    fn new(file: usize, sources: &'v VariableSources) -> Self {
        Builder {
            sources,
            tree: Tree {
                places: ValueOrigins::of_file(file),
                ..Tree::default()
            },
            open: Vec::new(),
            anchors: HashMap::new(),
            documents: 0,
            nodes: 0,
            bytes: 0,
            line: 0,
        }
    }

    fn event(&mut self, event: Event<'_>, marker: &Marker) -> Result<(), SyntaxError> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(SyntaxError::new(
                        marker,
                        "a second document: only one is allowed",
                    ));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                if self.wants_key() {
                    return self.key(&text, marker);
                }
                let path = self.path();
                let bytes = path.len() + text.len();
                self.count(Size { nodes: 0, bytes }, marker)?;
                self.tree.places.add(&path, self.line);
                let value = match text.contains('$') {
                    true => self.filled(&text, style, tag, &path, marker)?,
                    false => self.scalar(text, style, tag, &path, marker),
                };
                self.add(value, anchor, path, marker)?;
            }
            Event::SequenceStart(anchor, tag) => {
                self.start(anchor, tag, marker, Content::List(Vec::new()))?;
            }
            Event::MappingStart(anchor, tag) => {
                let content = Content::Map {
                    entries: Mapping::new(),
                    key: None,
                };
                self.start(anchor, tag, marker, content)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(marker)?,
            Event::Alias(anchor) => {
                let Some((value, _)) = self.anchors.get(&anchor) else {
                    return Err(SyntaxError::new(
                        marker,
                        "an alias inside of its own anchor",
                    ));
                };
                if self.wants_key() {
                    return Err(SyntaxError::new(marker, "a key must be plain text"));
                }
                let path = self.path();
                let size = size(value, path.len());
                // Before anything is copied.
                self.count(size, marker)?;
                let Some((value, from)) = self.anchors.get(&anchor).cloned() else {
                    return Ok(());
                };
                self.tree.places.add(&path, self.line);
                self.tree.places.copy(&from, &path);
                self.add(value, 0, path, marker)?;
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn count(&mut self, more: Size, marker: &Marker) -> Result<(), SyntaxError> {
        self.nodes += more.nodes;
        self.bytes += more.bytes;
        if self.nodes > NODES_MAX {
            return Err(SyntaxError::new(
                marker,
                format!("more than {NODES_MAX} values"),
            ));
        }
        if self.bytes > BYTES_MAX {
            let limit = BYTES_MAX >> 20;
            let message =
                format!("more than {limit} MiB, with aliases expanded; repeat less of it");
            return Err(SyntaxError::new(marker, message));
        }
        Ok(())
    }

    fn wants_key(&self) -> bool {
        matches!(
            self.open.last(),
            Some(Open {
                content: Content::Map { key: None, .. },
                ..
            })
        )
    }

    /// Path of the next value.
    fn path(&self) -> String {
        let Some(open) = self.open.last() else {
            return String::new();
        };
        match &open.content {
            Content::List(items) => format!("{}[{}]", open.path, items.len()),
            Content::Map { key, .. } => join(&open.path, key.as_deref().unwrap_or_default()),
        }
    }

    fn key(&mut self, text: &str, marker: &Marker) -> Result<(), SyntaxError> {
        let Some(open) = self.open.last_mut() else {
            return Ok(());
        };
        let Content::Map { entries, key } = &mut open.content else {
            return Ok(());
        };
        let path = join(&open.path, text);
        *key = Some(text.to_owned());
        if entries.contains_key(text) {
            let message = match self.tree.places.of(&path) {
                Some(ValueOrigin::Line { line: first, .. }) => {
                    format!("`{text}` is given twice, first on line {first}")
                }
                _ => format!("`{text}` is given twice"),
            };
            let error = SyntaxError::new(marker, message).at(&open.path);
            self.tree.errors.push(error);
        }
        self.tree.places.add(&path, self.line);
        Ok(())
    }

    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        tag: Option<Cow<'_, Tag>>,
        path: &str,
        marker: &Marker,
    ) -> Value {
        self.tree.places.typed(path, &text);
        self.custom(tag.as_deref(), path, marker);
        let shown = text.to_string();
        match Scalar::parse_from_cow_and_metadata(text, style, tag.as_ref()) {
            Some(Scalar::Null) => Value::Null,
            Some(Scalar::Boolean(value)) => Value::Bool(value),
            Some(Scalar::Integer(value)) => Value::Number(value.into()),
            Some(Scalar::FloatingPoint(value)) => Value::Number(value.into_inner().into()),
            Some(Scalar::String(value)) => Value::String(value.into_owned()),
            None => {
                let tag = tag.map(|tag| tag.suffix.clone()).unwrap_or_default();
                let message = format!("`{shown}` does not fit the tag `!!{tag}`");
                let error = SyntaxError::new(marker, message).at(path);
                self.tree.errors.push(error);
                Value::Null
            }
        }
    }

    /// A scalar with a dollar in it. Its value is read as if it had been typed here: without quotes,
    /// a number is a number.
    fn filled(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<Cow<'_, Tag>>,
        path: &str,
        marker: &Marker,
    ) -> Result<Value, SyntaxError> {
        let (value, filling) = match filled(text, self.sources) {
            Ok(filled) => filled,
            Err(error) => {
                self.tree.places.fill(path, None);
                let hint = error.hint();
                let error = SyntaxError::new(marker, error.message()).at(path);
                self.tree.errors.push(SyntaxError {
                    column: None,
                    hint,
                    ..error
                });
                return Ok(Value::String(text.to_owned()));
            }
        };
        let bytes = value.len();
        self.count(Size { nodes: 0, bytes }, marker)?;
        let Some(filling) = filling else {
            return Ok(self.scalar(Cow::Owned(value), style, tag, path, marker));
        };
        self.tree.places.fill(path, Some(filling));
        self.custom(tag.as_deref(), path, marker);
        // A tag is not applied: its message would show the value.
        let style = match tag {
            None => style,
            Some(_) => ScalarStyle::DoubleQuoted,
        };
        let typed = self.scalar(Cow::Borrowed(&value), style, None, path, marker);
        let is_same = match &typed {
            Value::Bool(typed) => typed.to_string() == value,
            Value::Number(typed) => typed.to_string() == value,
            _ => false,
        };
        Ok(match is_same {
            true => typed,
            // Neither the zeros of `007` nor those of `1.10` are lost, and an empty one is no gap.
            false => Value::String(value),
        })
    }

    /// Reports a tag that is not one of YAML's core schema.
    fn custom(&mut self, tag: Option<&Tag>, path: &str, marker: &Marker) {
        let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) else {
            return;
        };
        let error = SyntaxError::new(marker, format!("the tag `{tag}` is not supported"));
        self.tree.errors.push(error.at(path));
    }

    fn start(
        &mut self,
        anchor: usize,
        tag: Option<Cow<'_, Tag>>,
        marker: &Marker,
        content: Content,
    ) -> Result<(), SyntaxError> {
        if self.wants_key() {
            return Err(SyntaxError::new(marker, "a key must be plain text"));
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(SyntaxError::new(
                marker,
                format!("nested deeper than {DEPTH_MAX} levels"),
            ));
        }
        let path = self.path();
        let bytes = path.len();
        self.count(Size { nodes: 0, bytes }, marker)?;
        self.custom(tag.as_deref(), &path, marker);
        self.tree.places.add(&path, self.line);
        self.open.push(Open {
            anchor,
            path,
            content,
        });
        Ok(())
    }

    fn end(&mut self, marker: &Marker) -> Result<(), SyntaxError> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let value = match open.content {
            Content::List(items) => Value::Sequence(items),
            Content::Map { entries, .. } => Value::Mapping(self.merged(entries, &open.path)),
        };
        self.add(value, open.anchor, open.path, marker)
    }

    /// Merges the mappings that `<<` names; written keys win.
    fn merged(&mut self, mut entries: Mapping, path: &str) -> Mapping {
        let Some(merge) = entries.shift_remove("<<") else {
            return entries;
        };
        let from = join(path, "<<");
        let sources = match merge {
            Value::Sequence(items) => items
                .into_iter()
                .enumerate()
                .map(|(index, item)| (item, format!("{from}[{index}]")))
                .collect(),
            other => vec![(other, from)],
        };
        for (source, from) in sources {
            let Value::Mapping(source) = source else {
                let line = match self.tree.places.of(&from) {
                    Some(ValueOrigin::Line { line, .. }) => line,
                    _ => self.line,
                };
                self.tree.errors.push(SyntaxError {
                    file: 0,
                    line,
                    column: None,
                    path: from,
                    message: "`<<` takes a mapping, as in `<<: *anchor`".to_owned(),
                    hint: None,
                });
                continue;
            };
            for (key, value) in source {
                let name = key.as_str().unwrap_or_default();
                if !entries.contains_key(name) {
                    self.tree.places.copy(&join(&from, name), &join(path, name));
                    entries.insert(key, value);
                }
            }
        }
        entries
    }

    /// Puts a finished value where it belongs.
    fn add(
        &mut self,
        value: Value,
        anchor: usize,
        path: String,
        marker: &Marker,
    ) -> Result<(), SyntaxError> {
        self.count(Size { nodes: 1, bytes: 0 }, marker)?;
        if anchor != 0 {
            self.count(size(&value, path.len()), marker)?;
            self.anchors.insert(anchor, (value.clone(), path));
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.tree.value = value,
            Some(Content::List(items)) => items.push(value),
            Some(Content::Map { entries, key }) => {
                let key = Value::String(key.take().unwrap_or_default());
                entries.entry(key).or_insert(value);
            }
        }
        Ok(())
    }
}
