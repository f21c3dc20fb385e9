//! The JSON Schema of the file.

mod document;
mod parts;
mod reference;
mod value;

pub use document::schema;
