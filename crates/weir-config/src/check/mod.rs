//! Sections against option tables: unknown keys, missing keys, and every value by its kind.
//!
//! A fault never ends the work: it is reported, and the next key is looked at.

mod section;
mod value;

pub(crate) use section::{Checker, Reference, UnknownKeys};
