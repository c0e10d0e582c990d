//! The list of what there is: each type of component, its option table, and how to make a checked specification of it.

use std::path::PathBuf;
use std::sync::Arc;

use weir_config::{Catalogue, ComponentConfig, ComponentKind, Diagnostics, OptionSpec, TypeSpec};

use crate::agent::{AGENT_OPTIONS, SINK_OPTIONS};
use crate::channel::Channel;
use crate::interceptor::InterceptorSpec;
use crate::sink::SinkSpec;
use crate::source::{SourceSpec, StartError};

/// Makes a specification from checked options. Pure: no I/O. Every fault it finds becomes a diagnostic; `None` if there
/// was an error.
pub type Parse<T> = fn(&ComponentConfig, &mut Diagnostics) -> Option<T>;

/// A type of source.
#[derive(Clone, Copy)]
pub struct SourceType {
    /// Name, options, summary.
    pub spec: &'static TypeSpec,
    /// Options to specification.
    pub parse: Parse<Arc<dyn SourceSpec>>,
}

/// A type of interceptor.
#[derive(Clone, Copy)]
pub struct InterceptorType {
    /// Name, options, summary.
    pub spec: &'static TypeSpec,
    /// Options to specification.
    pub parse: Parse<Arc<dyn InterceptorSpec>>,
}

/// A type of channel.
#[derive(Clone, Copy)]
pub struct ChannelType {
    /// Name, options, summary.
    pub spec: &'static TypeSpec,
    /// Whether other agents may be at its other end; see [`Channel::is_shared`].
    pub is_shared: bool,
    /// Options to specification.
    pub parse: Parse<Arc<dyn ChannelSpec>>,
}

/// A type of sink.
#[derive(Clone, Copy)]
pub struct SinkType {
    /// Name, options, summary.
    pub spec: &'static TypeSpec,
    /// Options to specification.
    pub parse: Parse<Arc<dyn SinkSpec>>,
}

/// A checked channel configuration, inert until opened.
pub trait ChannelSpec: Send + Sync {
    /// Most memory that the channel may hold, in bytes.
    fn memory_bytes(&self) -> u64;

    /// Opens the channel.
    ///
    /// # Errors
    /// [`StartError`] with the name of what could not be opened.
    fn open(&self, context: &ChannelContext) -> Result<Arc<dyn Channel>, StartError>;
}

/// What a channel gets when it is opened.
#[derive(Clone, Debug)]
pub struct ChannelContext {
    /// Name of the channel in the configuration.
    pub name: String,
    /// Where the agent keeps state, if it has a place for it.
    pub data_dir: Option<PathBuf>,
}

/// All types of components of a build.
#[derive(Clone, Default)]
pub struct Registry {
    /// Types of sources.
    pub sources: Vec<SourceType>,
    /// Types of interceptors.
    pub interceptors: Vec<InterceptorType>,
    /// Types of channels.
    pub channels: Vec<ChannelType>,
    /// Types of sinks.
    pub sinks: Vec<SinkType>,
}

impl Registry {
    /// Everything that can be configured, for reading a configuration and for describing it.
    #[must_use]
    pub fn catalogue(&self) -> Catalogue {
        Catalogue::new(AGENT_OPTIONS)
            .with_common(ComponentKind::Sink, SINK_OPTIONS)
            .with_types(self.sources.iter().map(|source| *source.spec))
            .with_types(self.interceptors.iter().map(|interceptor| *interceptor.spec))
            .with_types(self.channels.iter().map(|channel| *channel.spec))
            .with_shared_channels(
                self.channels.iter().filter(|channel| channel.is_shared).map(|channel| channel.spec.name),
            )
            .with_types(self.sinks.iter().map(|sink| *sink.spec))
    }

    /// The options that a component of `kind` has whatever its type.
    #[must_use]
    pub fn shared_options(&self, kind: ComponentKind) -> Vec<&'static OptionSpec> {
        self.catalogue().shared_options(kind)
    }
}
