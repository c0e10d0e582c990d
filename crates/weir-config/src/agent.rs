//! The configuration of an agent: sections, types, components.

use crate::check::{Checker, UnknownKeys};
use crate::document::{Key, Node, NodeValue};
use crate::spec::{Catalogue, ComponentKind, TypeSpec};
use crate::{Diagnostic, Diagnostics, Document, Environment, Location, Options, references, suggest};

/// Longest name of a component: names become parts of file names and metric labels.
const NAME_BYTES_MAX: usize = 64;

/// What an agent is to run.
#[derive(Clone, PartialEq, Debug)]
pub struct AgentConfig {
    /// The options of `[agent]`.
    pub agent: Options,
    /// In the order of the files, as the other components.
    pub sources: Vec<ComponentConfig>,
    /// Order matters only where sources name them.
    pub interceptors: Vec<ComponentConfig>,
    /// All of them, also those that nothing writes or reads.
    pub channels: Vec<ComponentConfig>,
    /// All of them.
    pub sinks: Vec<ComponentConfig>,
}

/// One component.
#[derive(Clone, PartialEq, Debug)]
pub struct ComponentConfig {
    /// What kind.
    pub kind: ComponentKind,
    /// The name the user gave it.
    pub name: String,
    /// Its type; where the user wrote an alias, what that stands for.
    pub type_name: &'static str,
    /// Its own options, those of its kind (`channels`, `channel`, `group`, ...) and the common ones.
    pub options: Options,
    /// Where its section stands.
    pub location: Location,
}

impl AgentConfig {
    /// The components of `kind`.
    #[must_use]
    pub fn components(&self, kind: ComponentKind) -> &[ComponentConfig] {
        match kind {
            ComponentKind::Source => &self.sources,
            ComponentKind::Interceptor => &self.interceptors,
            ComponentKind::Channel => &self.channels,
            ComponentKind::Sink => &self.sinks,
        }
    }

    /// The component of `kind` with this name.
    #[must_use]
    pub fn find(&self, kind: ComponentKind, name: &str) -> Option<&ComponentConfig> {
        self.components(kind).iter().find(|component| component.name == name)
    }
}

/// A component section as found.
pub(crate) struct Named<'a> {
    pub(crate) kind: ComponentKind,
    pub(crate) name: &'a str,
    pub(crate) location: &'a Location,
    /// `None` if the section is not a table, which is reported.
    pub(crate) keys: Option<&'a [Key]>,
}

impl Document {
    /// Checks the document against `catalogue`: every key and value, and how the components are connected.
    ///
    /// Components with errors are left out of the result, and wrong options of `[agent]` have their defaults, so that
    /// getters never meet a hole and a component's own checks can add to the diagnostics. Do not run an agent whose
    /// diagnostics [have errors](Diagnostics::has_errors).
    #[must_use]
    pub fn check(&self, catalogue: &Catalogue, environment: Environment<'_>) -> (AgentConfig, Diagnostics) {
        let mut checker = Checker::new(self, environment);
        self.check_top_level(&mut checker);
        let agent = self.check_agent(catalogue, &mut checker);
        let named = self.components(&mut checker);
        let mut components: [Vec<ComponentConfig>; 4] = Default::default();
        for component in &named {
            if let Some(config) = check_component(component, catalogue, &mut checker) {
                components[component.kind as usize].push(config);
            }
        }
        let [sources, interceptors, channels, sinks] = components;
        let config = AgentConfig { agent, sources, interceptors, channels, sinks };
        references::check(self, &named, &config, catalogue, &mut checker);
        (config, checker.diagnostics)
    }

    fn check_top_level(&self, checker: &mut Checker<'_>) {
        let known: Vec<_> = std::iter::once("agent").chain(ComponentKind::ALL.map(ComponentKind::section)).collect();
        for key in self.root.iter().filter(|key| !known.contains(&key.name.as_str())) {
            let message = format!("unknown section \"{}\"", key.name);
            let hint = suggest::hint(&key.name, "the sections are", &known);
            checker.report(Diagnostic::error(&key.location, &key.name, message).with_hint(hint));
        }
    }

    fn check_agent(&self, catalogue: &Catalogue, checker: &mut Checker<'_>) -> Options {
        let specs: Vec<_> = catalogue.agent().iter().collect();
        let key = self.root.iter().find(|key| key.name == "agent");
        let (location, keys) = match key {
            Some(key) => (&key.node.location, table(&key.node, "agent", checker).unwrap_or_default()),
            None => (&self.origin, &[][..]),
        };
        let keys: Vec<_> = keys.iter().collect();
        checker.section("agent", location, &keys, &specs, UnknownKeys::Report).options
    }

    /// Every `[KIND.NAME]`, in the order of kinds and files.
    fn components(&self, checker: &mut Checker<'_>) -> Vec<Named<'_>> {
        let mut named = Vec::new();
        for kind in ComponentKind::ALL {
            let section = kind.section();
            let Some(group) = self.root.iter().find(|key| key.name == section) else {
                continue;
            };
            for key in table(&group.node, section, checker).unwrap_or_default() {
                let path = format!("{section}.{}", key.name);
                if !is_component_name(&key.name) {
                    let message = format!("{:?} cannot be the name of a component", key.name);
                    let hint = format!(
                        "a name has letters, digits, - and _, at most {NAME_BYTES_MAX}: it becomes part of file names and metrics"
                    );
                    checker.report(Diagnostic::error(&key.location, &path, message).with_hint(hint));
                }
                let keys = table(&key.node, &path, checker);
                named.push(Named { kind, name: &key.name, location: &key.node.location, keys });
            }
        }
        named
    }
}

fn is_component_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(allowed)
}

/// The keys of a table; `None`, after an error, of anything else.
fn table<'a>(node: &'a Node, path: &str, checker: &mut Checker<'_>) -> Option<&'a [Key]> {
    match &node.value {
        NodeValue::Table(keys) => Some(keys),
        _ => {
            let message = format!("expected the table [{path}], found a single value");
            checker.report(Diagnostic::error(&node.location, path, message));
            None
        }
    }
}

/// The configuration of a component; `None` after errors.
fn check_component(component: &Named<'_>, catalogue: &Catalogue, checker: &mut Checker<'_>) -> Option<ComponentConfig> {
    let path = format!("{}.{}", component.kind.section(), component.name);
    let all_keys = component.keys?;
    let spec = component_type(component, all_keys, &path, catalogue, checker);
    let (specs, unknown_keys) = match spec {
        Some(spec) => (catalogue.options_of(spec), UnknownKeys::Report),
        // What every component of the kind has can be checked all the same.
        None => (catalogue.shared_options(component.kind), UnknownKeys::Ignore),
    };
    let keys: Vec<_> = all_keys.iter().filter(|key| key.name != "type").collect();
    let section = checker.section(&path, component.location, &keys, &specs, unknown_keys);
    let spec = spec.filter(|_| section.is_valid && is_component_name(component.name))?;
    Some(ComponentConfig {
        kind: component.kind,
        name: component.name.to_owned(),
        type_name: spec.name,
        options: section.options,
        location: component.location.clone(),
    })
}

/// The type a component names; `None` after an error.
fn component_type<'c>(
    component: &Named<'_>,
    keys: &[Key],
    path: &str,
    catalogue: &'c Catalogue,
    checker: &mut Checker<'_>,
) -> Option<&'c TypeSpec> {
    let kind = component.kind;
    let names: Vec<_> = catalogue.types(kind).map(|spec| spec.name).collect();
    let path = format!("{path}.type");
    let what = format!("the types of {} are", kind.section());
    let Some(key) = keys.iter().find(|key| key.name == "type") else {
        let misspelt = keys.iter().find(|key| suggest::nearest(&key.name, ["type"]).is_some());
        if let Some(key) = misspelt {
            let message = format!("unknown key \"{}\"", key.name);
            let hint = "did you mean \"type\"?";
            checker.report(Diagnostic::error(&key.location, &path, message).with_hint(hint));
        } else if checker.trusts_absence() {
            let message = format!("the {} has no type", kind.as_str());
            let hint = format!("add type = \"...\"; {what}: {}", names.join(", "));
            checker.report(Diagnostic::error(component.location, &path, message).with_hint(hint));
        }
        return None;
    };
    let NodeValue::Text(name) = &key.node.value else {
        let message = "expected the name of a type, in quotes";
        let hint = format!("{what}: {}", names.join(", "));
        checker.report(Diagnostic::error(&key.node.location, &path, message).with_hint(hint));
        return None;
    };
    let found = catalogue.find(kind, name);
    if found.is_none() {
        let message = format!("there is no {} of type {name:?}", kind.as_str());
        let aliases = catalogue.types(kind).flat_map(|spec| spec.aliases.iter().copied());
        let hint = match suggest::nearest(name, names.iter().copied().chain(aliases)) {
            Some(nearest) => format!("did you mean \"{nearest}\"? {what}: {}", names.join(", ")),
            None => format!("{what}: {}", names.join(", ")),
        };
        checker.report(Diagnostic::error(&key.node.location, &path, message).with_hint(hint));
    }
    found
}

impl TypeSpec {
    /// Checks `text` as the section of one component against this type's own options alone: for the tests of components.
    /// Variables (`${VAR}`) are all unset.
    ///
    /// # Errors
    /// Everything found, as for a file named `section`; warnings too.
    pub fn parse(&self, text: &str) -> Result<Options, Diagnostics> {
        let (document, mut diagnostics) = Document::parse(&[("section", text)]);
        let mut checker = Checker::new(&document, &|_| None);
        let keys: Vec<_> = document.root.iter().collect();
        let specs: Vec<_> = self.options.iter().collect();
        let path = format!("{}.test", self.kind.section());
        let section = checker.section(&path, &document.origin, &keys, &specs, UnknownKeys::Report);
        diagnostics.append(checker.diagnostics);
        if diagnostics.is_empty() { Ok(section.options) } else { Err(diagnostics) }
    }
}
