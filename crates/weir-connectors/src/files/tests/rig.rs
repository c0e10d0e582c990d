//! What starts and crashes sinks over one folder and channel.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use weir_config::{Diagnostics, TypeSpec};
use weir_engine::source::StartError;

use super::super::config::{FilesSpec, SPEC};
use super::super::store::Disk;
pub(super) use crate::tree::rig::{ARRIVAL_MS, Files, Run, TestChannel, events, read_files, two_hosts};

/// Checked options, from the text of a section.
pub(super) fn spec(text: &str) -> Result<FilesSpec, Diagnostics> {
    let table: &TypeSpec = &SPEC;
    let options = table.parse(text)?;
    let mut diagnostics = Diagnostics::new();
    FilesSpec::from_options(&options, &mut diagnostics).filter(|_| diagnostics.is_empty()).ok_or(diagnostics)
}

/// A folder, a channel and a clock that outlive the sinks.
pub(super) struct Rig {
    folder: TempDir,
    pub(super) channel: Arc<TestChannel>,
    now: Arc<Mutex<Instant>>,
    options: String,
}

impl Rig {
    /// `options` besides `path`, which is `%{host}` below the folder.
    pub(super) fn new(channel: TestChannel, options: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let now = Arc::new(Mutex::new(Instant::now()));
        Self { folder, channel: Arc::new(channel), now, options: options.to_owned() }
    }

    pub(super) fn durable(options: &str) -> Self {
        Self::new(TestChannel::new(7, true), options)
    }

    /// The same with another channel, as after the loss of the first.
    pub(super) fn with_channel(self, channel: TestChannel) -> Self {
        Self { channel: Arc::new(channel), ..self }
    }

    /// The same with other options.
    pub(super) fn with_options(self, options: &str) -> Self {
        Self { options: options.to_owned(), ..self }
    }

    pub(super) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// The clock of all sinks goes on.
    pub(super) fn pass(&self, time: Duration) {
        *self.now.lock().expect("no test panics here") += time;
    }

    pub(super) fn now(&self) -> Instant {
        *self.now.lock().expect("no test panics here")
    }

    pub(super) fn try_start(&self) -> Result<Run<Disk>, StartError> {
        let path = if self.options.contains("path =") {
            String::new()
        } else {
            format!("path = \"{}/%{{host}}\"\n", self.root().display())
        };
        let options = self.options.replace("ROOT", &self.root().display().to_string());
        let spec = spec(&format!("{path}{options}")).expect("valid options");
        let now = self.now.clone();
        Run::start(&self.channel, |context| {
            spec.open(context, Box::new(move || *now.lock().expect("no test panics here")))
        })
    }

    /// A sink over what is there. Dropping the result is a crash: nothing is finished.
    pub(super) fn start(&self) -> Run<Disk> {
        self.try_start().unwrap_or_else(|error| panic!("{error}: {:?}", error.source))
    }

    /// Files by path below the root with their text, hidden ones apart.
    pub(super) fn files(&self) -> Files {
        read_files(self.root())
    }

    /// Every event below `count` is in exactly one finished file, none is in another's directory, nothing is left over.
    pub(super) fn assert_each_once(&self, count: u64, host: impl Fn(u64) -> String) {
        self.files().assert_each_once(count, host);
    }
}
