//! Option tables and values as text: for terminals, documents, editors and as a file to start from.

mod effective;
mod reference;
mod schema;
mod table;

pub use effective::effective_toml;
pub use reference::reference_toml;
pub use schema::json_schema;
pub use table::{describe, describe_json, describe_markdown, describe_options};
