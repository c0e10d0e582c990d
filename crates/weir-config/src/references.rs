//! How components are connected: names that name nothing, channels that lead nowhere, sinks that must say `group`.

use std::collections::BTreeSet;

use crate::agent::{AgentConfig, ComponentConfig, Named};
use crate::check::{Checker, Reference};
use crate::spec::{Catalogue, ComponentKind};
use crate::wiring::MULTIPLEXING;
use crate::{Diagnostic, Document, suggest};

/// Checks the connections of all components.
pub(crate) fn check(
    document: &Document,
    named: &[Named<'_>],
    config: &AgentConfig,
    catalogue: &Catalogue,
    checker: &mut Checker<'_>,
) {
    let references = std::mem::take(&mut checker.references);
    let mut found: Vec<Diagnostic> = Vec::new();
    if !document.is_broken() {
        found.extend(unknown(named, &references));
        found.extend(unconnected(named, config, catalogue, &references));
    }
    found.extend(ungrouped_sinks(named, &references));
    for source in &config.sources {
        found.extend(selector(source, &references));
    }
    for diagnostic in found {
        checker.report(diagnostic);
    }
    // Beside another error this would only be its consequence.
    if !document.is_broken() && !checker.diagnostics.has_errors() {
        nothing_to_run(document, named).into_iter().for_each(|error| checker.report(error));
    }
}

fn unknown<'a>(named: &'a [Named<'_>], references: &'a [Reference]) -> impl Iterator<Item = Diagnostic> + 'a {
    references.iter().filter_map(|reference| {
        let kind = reference.target;
        let names: Vec<_> = named.iter().filter(|other| other.kind == kind).map(|other| other.name).collect();
        if names.contains(&reference.name.as_str()) {
            return None;
        }
        let message = format!("there is no {} {:?}", kind.as_str(), reference.name);
        let hint = match names.is_empty() {
            true => format!("add a section [{}.{}]", kind.section(), reference.name),
            false => suggest::hint(&reference.name, &format!("the {} are", kind.section()), &names),
        };
        Some(Diagnostic::error(&reference.location, &reference.path, message).with_hint(hint))
    })
}

/// The component a reference stands in: `sources.a` of `sources.a.selector.mapping.x`.
fn owner(path: &str) -> &str {
    path.match_indices('.').nth(1).map_or(path, |(end, _)| &path[..end])
}

/// Whether this is the channel a sink reads.
fn is_read(reference: &Reference) -> bool {
    reference.path.starts_with("sinks.") && reference.path[owner(&reference.path).len()..] == *".channel"
}

/// Channels without a writer or a reader, interceptors no source names. Looked at only where everything that could
/// connect them was understood.
fn unconnected(
    named: &[Named<'_>],
    config: &AgentConfig,
    catalogue: &Catalogue,
    references: &[Reference],
) -> Vec<Diagnostic> {
    let understood =
        |kind: ComponentKind| named.iter().filter(|other| other.kind == kind).count() == config.components(kind).len();
    let sources_understood = understood(ComponentKind::Source);
    let sinks_understood = understood(ComponentKind::Sink);
    let mut found = Vec::new();
    for component in named {
        let mut naming =
            references.iter().filter(|other| other.target == component.kind && other.name == component.name);
        let path = format!("{}.{}", component.kind.section(), component.name);
        let mut warn = |message: &str, hint: &str| {
            found.push(Diagnostic::warning(component.location, &path, message).with_hint(hint));
        };
        match component.kind {
            ComponentKind::Channel => {
                let other_end_elsewhere = config
                    .components(ComponentKind::Channel)
                    .iter()
                    .any(|channel| channel.name == component.name && catalogue.is_shared_channel(channel.type_name));
                if other_end_elsewhere {
                    continue;
                }
                let (read, written): (Vec<_>, Vec<_>) = naming.partition(|other| is_read(other));
                if written.is_empty() && sources_understood && sinks_understood {
                    let hint = "name it in the channels of a source, unless another agent fills it";
                    warn("nothing writes to this channel", hint);
                }
                if read.is_empty() && sinks_understood {
                    let hint = "name it as the channel of a sink, unless another agent empties it: a channel that is full stops its sources";
                    warn("no sink reads this channel", hint);
                }
            }
            ComponentKind::Interceptor if sources_understood && naming.next().is_none() => {
                warn("no source uses this interceptor", "name it in the interceptors of a source");
            }
            _ => {}
        }
    }
    found
}

fn nothing_to_run(document: &Document, named: &[Named<'_>]) -> Option<Diagnostic> {
    let moves = |other: &Named<'_>| matches!(other.kind, ComponentKind::Source | ComponentKind::Sink);
    if named.iter().any(moves) {
        return None;
    }
    let error = Diagnostic::error(&document.origin, "", "there is neither a source nor a sink");
    Some(error.with_hint("add [sources.NAME], [channels.NAME] and [sinks.NAME]"))
}

/// Several sinks on one channel may share its events or each get all of them: which, the user has to say.
fn ungrouped_sinks(named: &[Named<'_>], references: &[Reference]) -> Vec<Diagnostic> {
    let reads: Vec<_> = references.iter().filter(|reference| is_read(reference)).collect();
    let sink_of = |reference: &Reference| {
        named
            .iter()
            .find(|sink| sink.kind == ComponentKind::Sink && owner(&reference.path) == format!("sinks.{}", sink.name))
    };
    let channels: BTreeSet<_> = reads.iter().map(|read| &read.name).collect();
    let mut found = Vec::new();
    for channel in channels {
        let sinks: Vec<_> = reads
            .iter()
            .filter(|read| &read.name == channel)
            .filter_map(|read| Some((*read, sink_of(read)?)))
            .collect();
        let names: Vec<_> = sinks.iter().map(|(_, sink)| sink.name).collect();
        let silent = |sink: &Named<'_>| !sink.keys.unwrap_or_default().iter().any(|key| key.name == "group");
        for (read, sink) in sinks.iter().filter(|(_, sink)| sinks.len() > 1 && silent(sink)) {
            let message = format!(
                "{channel:?} is read by the sinks {}, and {} does not say its group",
                names.join(", "),
                sink.name
            );
            let path = format!("sinks.{}.group", sink.name);
            found.push(Diagnostic::error(&read.location, &path, message).with_hint(
                "add group = \"...\" to each: sinks of one group share the events, each group gets all of them",
            ));
        }
    }
    found
}

/// What of a selector's options goes together.
fn selector(source: &ComponentConfig, references: &[Reference]) -> Vec<Diagnostic> {
    let selector = source.options.table("selector");
    let is_multiplexing = selector.choice("type") == MULTIPLEXING;
    let mut found = Vec::new();
    let set = [
        ("header", selector.text_opt("header").is_some()),
        ("mapping", !selector.list_map("mapping").is_empty()),
        ("default", !selector.list_text("default").is_empty()),
    ];
    for (name, is_set) in set {
        if is_multiplexing && name != "default" && !is_set {
            let message = format!("a multiplexing selector needs \"{name}\"");
            let hint =
                "write selector = { type = \"multiplexing\", header = \"NAME\", mapping = { VALUE = [\"CHANNEL\"] } }";
            found.push(selector.error(name, message).with_hint(hint));
        }
        if !is_multiplexing && is_set {
            let message = format!("\"{name}\" means nothing to a replicating selector");
            let hint = "add type = \"multiplexing\" to the selector, or remove the key";
            found.push(selector.error(name, message).with_hint(hint));
        }
    }
    let channels = source.options.list_text("channels");
    let inside = format!("{}.", selector.section());
    for reference in references.iter().filter(|reference| reference.path.starts_with(&inside)) {
        if !channels.contains(&reference.name.as_str()) {
            let message = format!("the source does not have the channel {:?}", reference.name);
            let hint = format!("add it to {}.channels, which are: {}", owner(&inside), channels.join(", "));
            found.push(Diagnostic::error(&reference.location, &reference.path, message).with_hint(hint));
        }
    }
    found
}
