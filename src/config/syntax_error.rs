//! Problems with the text of a file.

use saphyr_parser::Marker;

/// A problem with the text, such as a key that is given twice or invalid YAML.
#[derive(Debug)]
pub struct SyntaxError {
    /// Number of the file; the one that includes the others is 0.
    pub file: usize,
    pub line: usize,
    pub column: Option<usize>,
    pub path: String,
    pub message: String,
    pub hint: Option<String>,
}

impl SyntaxError {
    pub fn new(marker: &Marker, message: impl Into<String>) -> Self {
        SyntaxError {
            file: 0,
            line: marker.line(),
            column: Some(marker.col() + 1),
            path: String::new(),
            message: message.into(),
            hint: None,
        }
    }

    pub fn at(self, path: impl Into<String>) -> Self {
        SyntaxError {
            path: path.into(),
            ..self
        }
    }
}
