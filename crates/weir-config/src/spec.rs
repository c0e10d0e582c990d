//! Option tables: what a component can be told, declared once.

use crate::Scheme;
use crate::wiring;

/// One option of a component: its name, type, bounds, default and meaning.
///
/// Made with [`OptionSpec::required`], [`OptionSpec::defaulted`] or [`OptionSpec::unset`], in a `const` table:
///
/// ```
/// use weir_config::{Kind, OptionSpec};
/// const OPTIONS: &[OptionSpec] = &[
///     OptionSpec::required("path", Kind::Path, "The folder that holds the log.").example("/var/lib/weir/spool"),
///     OptionSpec::defaulted("segment_bytes", Kind::Bytes { min: 1 << 20, max: 1 << 30 }, "64 MiB",
///         "Size of a segment. Below 1 MiB files are too many, above 1 GiB space is freed too late."),
/// ];
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct OptionSpec {
    /// The key, `snake_case`.
    pub name: &'static str,
    /// What its value is, with bounds.
    pub kind: Kind,
    /// What holds when it is not given.
    pub default: DefaultValue,
    /// One or two sentences: the meaning, and the reason of the bounds (errors quote it).
    pub doc: &'static str,
    /// A value for the reference file where there is no default.
    pub example: Option<&'static str>,
    /// When a change takes effect.
    pub applies: Applies,
}

impl OptionSpec {
    const fn new(name: &'static str, kind: Kind, default: DefaultValue, doc: &'static str) -> Self {
        Self { name, kind, default, doc, example: None, applies: Applies::Restart }
    }

    /// An option that must be given.
    #[must_use]
    pub const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self::new(name, kind, DefaultValue::Required, doc)
    }

    /// An option with a default, written as in a file: without quotes for single values (`64 MiB`), as TOML for lists
    /// and tables (`["a"]`, `{}`).
    #[must_use]
    pub const fn defaulted(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Self {
        Self::new(name, kind, DefaultValue::Text(default), doc)
    }

    /// An option that may be absent; read it with a getter that ends in `_opt`.
    #[must_use]
    pub const fn unset(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self::new(name, kind, DefaultValue::Unset, doc)
    }

    /// The same, with a value to show in the reference file. Written like a default.
    #[must_use]
    pub const fn example(self, example: &'static str) -> Self {
        Self { example: Some(example), ..self }
    }

    /// The same, taking effect on reload.
    #[must_use]
    pub const fn reloadable(self) -> Self {
        Self { applies: Applies::Reload, ..self }
    }
}

/// What holds when an option is not given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DefaultValue {
    /// Not giving it is an error.
    Required,
    /// This value, written as [`OptionSpec::defaulted`] says.
    Text(&'static str),
    /// No value.
    Unset,
}

/// When a changed option takes effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Applies {
    /// When the agent is started again.
    Restart,
    /// When the configuration is reloaded.
    Reload,
}

/// What the value of an option is. Bounds are inclusive; `MAX` of the type means no bound.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    /// A size: `"64 MiB"`, or an integer of bytes.
    Bytes {
        /// Least, in bytes.
        min: u64,
        /// Most, in bytes.
        max: u64,
    },
    /// A duration: `"5 s"`.
    Duration {
        /// Least, in milliseconds.
        min_ms: u64,
        /// Most, in milliseconds.
        max_ms: u64,
    },
    /// A count: `1_000` or `"10k"`.
    Count {
        /// Least.
        min: u64,
        /// Most.
        max: u64,
    },
    /// A rate: `"10k/s"` or `"unlimited"`, which is always within bounds.
    Rate {
        /// Least, per second.
        min: f64,
        /// Most, per second.
        max: f64,
    },
    /// A number: `0.5`.
    Float {
        /// Least.
        min: f64,
        /// Most.
        max: f64,
    },
    /// `true` or `false`.
    Flag,
    /// Any text.
    Text,
    /// A path in a file system, as written: relative ones are the reader's to resolve.
    Path,
    /// One of these: name and meaning.
    Choice(&'static [(&'static str, &'static str)]),
    /// An address with one of these schemes.
    Address(&'static [Scheme]),
    /// A reference to a secret: `"env:NAME"` or `"file:PATH"`.
    Secret,
    /// The name of another component; that it exists is checked here.
    Reference(ComponentKind),
    /// A list.
    List {
        /// What its items are.
        of: &'static Kind,
        /// The least number of items.
        items_min: usize,
    },
    /// A table with keys of the user's choice.
    Map(&'static Kind),
    /// A table with these options.
    Table(&'static [OptionSpec]),
}

impl Kind {
    /// A list of texts, possibly empty.
    pub const TEXTS: Self = Self::List { of: &Self::Text, items_min: 0 };

    /// A size without bounds.
    pub const BYTES: Self = Self::Bytes { min: 0, max: u64::MAX };

    /// A count without bounds.
    pub const COUNT: Self = Self::Count { min: 0, max: u64::MAX };

    /// The options inside: of a table, of the tables in a list, of the tables in a map.
    pub(crate) const fn inner_options(&self) -> &'static [OptionSpec] {
        match self {
            Self::Table(specs) => specs,
            Self::List { of: Self::Table(specs), .. } | Self::Map(Self::Table(specs)) => specs,
            _ => &[],
        }
    }

    /// Whether a default of this kind is written as TOML rather than as bare text.
    pub(crate) const fn is_compound(&self) -> bool {
        matches!(self, Self::List { .. } | Self::Map(_) | Self::Table(_))
    }
}

/// The four kinds of components.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ComponentKind {
    /// Brings events in.
    Source,
    /// Changes or drops events on their way.
    Interceptor,
    /// Holds events between a source and a sink.
    Channel,
    /// Takes events out.
    Sink,
}

impl ComponentKind {
    /// All of them, in the order in which events meet them.
    pub const ALL: [Self; 4] = [Self::Source, Self::Interceptor, Self::Channel, Self::Sink];

    /// `source`, `interceptor`, `channel` or `sink`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Interceptor => "interceptor",
            Self::Channel => "channel",
            Self::Sink => "sink",
        }
    }

    /// The top-level table: `sources`, `interceptors`, `channels` or `sinks`.
    #[must_use]
    pub const fn section(self) -> &'static str {
        match self {
            Self::Source => "sources",
            Self::Interceptor => "interceptors",
            Self::Channel => "channels",
            Self::Sink => "sinks",
        }
    }
}

/// A type of component.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TypeSpec {
    /// What kind of component.
    pub kind: ComponentKind,
    /// What `type` says.
    pub name: &'static str,
    /// Other names for it.
    pub aliases: &'static [&'static str],
    /// One sentence: what it does.
    pub summary: &'static str,
    /// Its own options. Those that every component of its kind has come from the [`Catalogue`].
    pub options: &'static [OptionSpec],
}

/// All that can be configured: the agent's own options and the types of components.
#[derive(Clone, Debug)]
pub struct Catalogue {
    agent: &'static [OptionSpec],
    common: [&'static [OptionSpec]; 4],
    types: Vec<TypeSpec>,
    shared_channels: Vec<&'static str>,
}

impl Catalogue {
    /// A catalogue without types. `agent` are the options of `[agent]`, none of them required.
    #[must_use]
    pub const fn new(agent: &'static [OptionSpec]) -> Self {
        Self { agent, common: [&[]; 4], types: Vec::new(), shared_channels: Vec::new() }
    }

    /// Gives every component of `kind` these options, besides those that wire it to others (`channels`,
    /// `interceptors` and `selector` of a source, `channel` and `group` of a sink), which it has anyway.
    #[must_use]
    pub const fn with_common(mut self, kind: ComponentKind, options: &'static [OptionSpec]) -> Self {
        self.common[kind as usize] = options;
        self
    }

    /// Adds a type of component.
    #[must_use]
    pub fn with_type(mut self, spec: TypeSpec) -> Self {
        self.types.push(spec);
        self
    }

    /// Adds types of components.
    #[must_use]
    pub fn with_types(mut self, specs: impl IntoIterator<Item = TypeSpec>) -> Self {
        self.types.extend(specs);
        self
    }

    /// Names the types of channel that other agents use too: one end of such a channel may be elsewhere.
    #[must_use]
    pub fn with_shared_channels(mut self, names: impl IntoIterator<Item = &'static str>) -> Self {
        self.shared_channels.extend(names);
        self
    }

    /// Whether a type of channel is one that other agents use too.
    pub(crate) fn is_shared_channel(&self, type_name: &str) -> bool {
        self.shared_channels.contains(&type_name)
    }

    /// The options of `[agent]`.
    #[must_use]
    pub const fn agent(&self) -> &'static [OptionSpec] {
        self.agent
    }

    /// The types of `kind`, in the order they were added.
    pub fn types(&self, kind: ComponentKind) -> impl Iterator<Item = &TypeSpec> {
        self.types.iter().filter(move |spec| spec.kind == kind)
    }

    /// The type that `name` or an alias of it names.
    #[must_use]
    pub fn find(&self, kind: ComponentKind, name: &str) -> Option<&TypeSpec> {
        self.types(kind).find(|spec| spec.name == name || spec.aliases.contains(&name))
    }

    /// What every component of `kind` has: the wiring, then the common options.
    #[must_use]
    pub fn shared_options(&self, kind: ComponentKind) -> Vec<&'static OptionSpec> {
        wiring::options(kind).iter().chain(self.common[kind as usize]).collect()
    }

    /// Every option of a component of this type: the wiring, its own, the common ones.
    #[must_use]
    pub fn options_of(&self, spec: &TypeSpec) -> Vec<&'static OptionSpec> {
        let common = self.common[spec.kind as usize];
        wiring::options(spec.kind).iter().chain(spec.options).chain(common).collect()
    }
}
