//! Files and secrets that options name: read at the start, with messages that lead back to the option.

use std::io;
use std::path::{Path, PathBuf};

use weir_config::{Options, Secret};
use weir_engine::source::StartError;

/// Largest file of certificates or secrets: a bundle of all public authorities has 250 KB.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A file that an option names.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    named: String,
}

/// A secret that an option refers to.
#[derive(Clone, Debug)]
pub(super) struct SecretAt {
    secret: Secret,
    named: String,
}

/// Key and place of an option, for messages at the start, when there are no diagnostics any more.
fn named(options: &Options, key: &str) -> String {
    format!("{}.{key} ({})", options.section(), options.location_of(key))
}

impl File {
    /// The file of the option `key`, if it is given.
    pub(super) fn of(options: &Options, key: &str) -> Option<Self> {
        options.path_opt(key).map(|path| Self { path: path.into(), named: named(options, key) })
    }

    pub(super) fn read(&self, component: &str) -> Result<String, StartError> {
        read_text(&self.path).map_err(|error| {
            let message = format!("{component}: {}: {} cannot be read", self.named, self.path.display());
            StartError::new(message, error)
        })
    }
}

impl SecretAt {
    /// The secret of the option `key`, if it is given.
    pub(super) fn of(options: &Options, key: &str) -> Option<Self> {
        options.secret_opt(key).map(|secret| Self { secret: secret.clone(), named: named(options, key) })
    }

    pub(super) fn read(&self, component: &str) -> Result<weir_kafka::Secret, StartError> {
        let environment = |name: &str| std::env::var(name).ok();
        let text = self.secret.resolve(&environment, &read_text);
        let text =
            text.map_err(|error| StartError::new(format!("{component}: {} cannot be had", self.named), error))?;
        Ok(weir_kafka::Secret::new(text.expose()))
    }
}

/// The text of a small file.
fn read_text(path: &Path) -> io::Result<String> {
    let bytes = std::fs::metadata(path)?.len();
    if bytes > FILE_BYTES_MAX {
        let message = format!("it has {bytes} bytes, more than certificates or secrets ever have");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    std::fs::read_to_string(path)
}
