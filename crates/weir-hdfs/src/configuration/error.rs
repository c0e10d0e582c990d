//! What is wrong with a configuration, and where.

use std::io;
use std::path::PathBuf;

/// Why there is no [`Cluster`](super::Cluster).
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// A file is there and cannot be read.
    #[error("cannot read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A folder has neither of the files.
    #[error("neither core-site.xml nor hdfs-site.xml is in {}: name the folder with Hadoop's configuration", folder.display())]
    NoFiles {
        /// The folder.
        folder: PathBuf,
    },
    /// A file is not a configuration of Hadoop.
    #[error("{}:{line}: {what}", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// Its line, from 1.
        line: u32,
        /// What is wrong there.
        what: String,
    },
    /// A property is there and its value is of no use.
    #[error("{}:{line}: property {name}: {what}", file.display())]
    Property {
        /// The file.
        file: PathBuf,
        /// The line at which the property begins, from 1.
        line: u32,
        /// The property.
        name: String,
        /// What is wrong with its value.
        what: String,
    },
    /// A property is needed and not there.
    #[error("property {name} is not set, {why}")]
    Missing {
        /// The property.
        name: String,
        /// What it is needed for, and what to do.
        why: String,
    },
    /// The URL is of no use.
    #[error("{url}: {what}")]
    Url {
        /// The URL as given.
        url: String,
        /// What is wrong with it.
        what: String,
    },
}
