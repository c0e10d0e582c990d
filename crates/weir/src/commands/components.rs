//! `weir components`: what there is, made from the option tables.

use serde_json::{Value, json};
use weir_config::{
    Catalogue, ComponentKind, TypeSpec, describe, describe_json, describe_markdown, describe_options, json_schema,
    reference_toml,
};
use weir_connectors::registry;

use super::{print, print_json};
use crate::cli::ComponentsArgs;
use crate::exit::{Exit, Failure};
use weir_config::nearest;

use crate::text::Table;

/// What stands for the section `[agent]` among the types.
const AGENT: &str = "agent";
const AGENT_SUMMARY: &str = "The agent itself: the section [agent] of a configuration.";

pub(crate) fn components(args: &ComponentsArgs) -> Result<Exit, Failure> {
    let catalogue = registry().catalogue();
    if args.reference {
        print(reference(&catalogue).trim_end());
    } else if args.schema {
        print_json(&json_schema(&catalogue));
    } else if let Some(name) = &args.type_name {
        one(&catalogue, name, args)?;
    } else if args.json {
        print_json(&all_specs(&catalogue).map(overview).collect::<Vec<_>>());
    } else if args.markdown {
        print(markdown_index(&catalogue).trim_end());
    } else {
        print(list(&catalogue).trim_end());
    }
    Ok(Exit::Success)
}

/// The reference file. Its file channel is at its default, without a path, and so needs the agent's place for it.
fn reference(catalogue: &Catalogue) -> String {
    reference_toml(catalogue).replacen("\n# data_dir = ", "\ndata_dir = ", 1)
}

fn all_specs(catalogue: &Catalogue) -> impl Iterator<Item = &TypeSpec> {
    ComponentKind::ALL.into_iter().flat_map(|kind| catalogue.types(kind))
}

fn overview(spec: &TypeSpec) -> Value {
    json!({ "kind": spec.kind.as_str(), "type": spec.name, "aliases": spec.aliases, "summary": spec.summary })
}

fn one(catalogue: &Catalogue, name: &str, args: &ComponentsArgs) -> Result<(), Failure> {
    // A name may stand for a source and a sink at once.
    let found: Vec<_> = ComponentKind::ALL.into_iter().filter_map(|kind| catalogue.find(kind, name)).collect();
    if found.is_empty() && name != AGENT {
        return Err(unknown(catalogue, name));
    }
    if args.json {
        let described = found.iter().map(|spec| describe_json(catalogue, spec));
        let agent = (name == AGENT).then(|| agent_json(catalogue));
        print_json(&described.chain(agent).collect::<Vec<_>>());
    } else if args.markdown {
        print(page(catalogue, name, &found).trim_end());
    } else if name == AGENT {
        let options: Vec<_> = catalogue.agent().iter().collect();
        print(format!("{AGENT}: {AGENT_SUMMARY}\n\n{}", describe_options(&options)).trim_end());
    } else {
        let texts: Vec<_> = found.iter().map(|spec| describe(catalogue, spec)).collect();
        print(texts.join("\n").trim_end());
    }
    Ok(())
}

fn unknown(catalogue: &Catalogue, name: &str) -> Failure {
    let names: Vec<_> = all_specs(catalogue).map(|spec| spec.name).chain([AGENT]).collect();
    let aliases = all_specs(catalogue).flat_map(|spec| spec.aliases.iter().copied());
    let question = match nearest(name, names.iter().copied().chain(aliases)) {
        Some(nearest) => format!("did you mean {nearest:?}? "),
        None => String::new(),
    };
    Failure {
        exit: Exit::Usage,
        message: format!("there is no type {name:?}; {question}there are: {}", names.join(", ")),
    }
}

/// The types by kind, with summaries.
fn list(catalogue: &Catalogue) -> String {
    let mut table = Table::new(&["KIND", "TYPE", "WHAT IT DOES"]);
    for spec in all_specs(catalogue) {
        table.row([spec.kind.as_str(), spec.name, spec.summary]);
    }
    table.row([AGENT, AGENT, AGENT_SUMMARY]);
    format!(
        "{}\nEvery option of one: weir components TYPE. All of them in one file: weir components --reference.",
        table.render("")
    )
}

/// The agent's options as if they were those of a type without wiring, so that one renderer does for all.
fn agent_spec(catalogue: &Catalogue) -> TypeSpec {
    let options = catalogue.agent();
    TypeSpec { kind: ComponentKind::Interceptor, name: AGENT, aliases: &[], summary: AGENT_SUMMARY, options }
}

fn agent_json(catalogue: &Catalogue) -> Value {
    let mut described = describe_json(catalogue, &agent_spec(catalogue));
    described["kind"] = json!(AGENT);
    described
}

/// The page of a type in the documentation.
fn page(catalogue: &Catalogue, name: &str, specs: &[&TypeSpec]) -> String {
    let mut sections: Vec<_> = specs.iter().map(|spec| describe_markdown(catalogue, spec)).collect();
    if name == AGENT {
        let described = describe_markdown(catalogue, &agent_spec(catalogue));
        let (_, rest) = described.split_once('\n').unwrap_or_default();
        sections.push(format!("## section `[agent]`\n{rest}"));
    }
    let title = specs.first().map_or(name, |spec| spec.name);
    format!(
        "# {title}\n\nMade by `weir components {title} --markdown` from the code; a test keeps it so.\n\n{}",
        sections.join("\n")
    )
}

fn markdown_index(catalogue: &Catalogue) -> String {
    let mut out =
        "# Components\n\nMade by `weir components --markdown` from the code; a test keeps it so.\n\n".to_owned();
    out.push_str("| kind | type | what it does |\n|---|---|---|\n");
    for spec in all_specs(catalogue) {
        let name = spec.name;
        out.push_str(&format!("| {} | [`{name}`]({name}.md) | {} |\n", spec.kind.as_str(), spec.summary));
    }
    out.push_str(&format!("| agent | [`{AGENT}`]({AGENT}.md) | {AGENT_SUMMARY} |\n"));
    out
}
