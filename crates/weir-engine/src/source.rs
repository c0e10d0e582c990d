//! Sources: where events come in.

use async_trait::async_trait;
use thiserror::Error;

use crate::outlet::Outlet;
use crate::stop::StopSignal;

/// A checked source configuration, inert until started.
pub trait SourceSpec: Send + Sync {
    /// Most memory that the lanes may hold, buffers and half-read frames together, in bytes.
    fn memory_bytes(&self) -> u64;

    /// Opens what the source listens on or reads, and returns its lanes. Called once per start, when every sink
    /// already runs; nothing may be read yet.
    ///
    /// # Errors
    /// [`StartError`] with the name of what could not be opened.
    fn start(&self, context: &SourceContext) -> Result<Vec<Box<dyn Source>>, StartError>;
}

/// What a source gets at its start.
#[derive(Clone, Debug)]
pub struct SourceContext {
    /// Name of the source in the configuration.
    pub name: String,
}

/// One lane of a source. The outside world decides when data comes, so a lane owns its loop.
///
/// The engine gives each lane a thread with a single-threaded tokio runtime; a lane may block it, and one that talks to
/// the kernel directly never awaits. It ends soon after `stop` is given, having sent what it had read.
///
/// | crash here | a source that can be told (waits for receipts) | one that cannot (UDP, plain TCP) |
/// |---|---|---|
/// | before the read | the peer still has it | in the kernel's buffers: lost, counted where the kernel counts |
/// | after the read, before the receipt | the peer sends it again | lost: at most one batch and one linger per lane |
/// | after the receipt | in the channel | in the channel |
#[async_trait(?Send)]
pub trait Source: Send {
    /// Runs until `stop` or a fault.
    ///
    /// # Errors
    /// [`SourceError`] ends the lane; health says so, other lanes go on.
    async fn run(self: Box<Self>, outlet: Outlet, stop: StopSignal) -> Result<(), SourceError>;
}

/// Why a component did not start.
#[derive(Debug, Error)]
#[error("{message}")]
pub struct StartError {
    /// What happened, where, and what to do.
    pub message: String,
    /// The cause below.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StartError {
    /// A start error with its cause.
    pub fn new(message: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { message: message.into(), source: Some(source.into()) }
    }

    /// A start error that is its own cause.
    pub fn plain(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }
}

/// Why a lane of a source ended.
#[derive(Debug, Error)]
#[error("{message}")]
pub struct SourceError {
    /// What happened, where, and what to do.
    pub message: String,
    /// The cause below.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl SourceError {
    /// A fault with its cause.
    pub fn new(message: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { message: message.into(), source: Some(source.into()) }
    }
}
