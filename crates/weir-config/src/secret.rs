//! Secrets by reference: the configuration says where a secret is, never what it is.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::Environment;

/// Where a secret is: `"env:NAME"` or `"file:PATH"`. Shows itself as `***` wherever it is printed.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// An environment variable.
    Env(String),
    /// A file; one line end after the secret is not part of it.
    File(PathBuf),
}

/// A secret itself. Shows itself as `***`; [`SecretText::expose`] is the only way to the text.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

/// Why a secret could not be had.
#[derive(Debug)]
pub enum SecretError {
    /// The environment variable is not set.
    NotSet {
        /// Its name.
        name: String,
    },
    /// The file could not be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What reading it said.
        source: io::Error,
    },
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSet { name } => {
                write!(f, "the environment variable {name}, which holds a secret, is not set")
            }
            Self::Unreadable { path, .. } => {
                write!(f, "the file {}, which holds a secret, cannot be read", path.display())
            }
        }
    }
}

impl std::error::Error for SecretError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotSet { .. } => None,
            Self::Unreadable { source, .. } => Some(source),
        }
    }
}

impl Secret {
    /// Reads `"env:NAME"` or `"file:PATH"`; `None` for anything else, which may be a secret itself: do not print it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':')? {
            ("env", name) if !name.is_empty() => Some(Self::Env(name.to_owned())),
            ("file", path) if !path.is_empty() => Some(Self::File(PathBuf::from(path))),
            _ => None,
        }
    }

    /// Fetches the secret, with the caller's ways to the environment and to files.
    ///
    /// # Errors
    /// [`SecretError`], naming the variable or the file.
    pub fn resolve(
        &self,
        environment: Environment<'_>,
        read: &dyn Fn(&Path) -> io::Result<String>,
    ) -> Result<SecretText, SecretError> {
        match self {
            Self::Env(name) => {
                environment(name).map(SecretText).ok_or_else(|| SecretError::NotSet { name: name.clone() })
            }
            Self::File(path) => match read(path) {
                Ok(text) => {
                    let line = text.strip_suffix('\n').unwrap_or(&text);
                    Ok(SecretText(line.strip_suffix('\r').unwrap_or(line).to_owned()))
                }
                Err(source) => Err(SecretError::Unreadable { path: path.clone(), source }),
            },
        }
    }
}

impl SecretText {
    /// The secret. Keep it out of logs and messages.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
