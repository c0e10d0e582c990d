//! `weir check`: every error of a configuration at once, and its memory plan. No network, no disk but the files.

use std::io::IsTerminal as _;

use serde_json::json;
use weir_config::{Diagnostics, Severity, effective_toml, units};
use weir_engine::agent::Plan;

use super::{print, print_json};
use crate::cli::CheckArgs;
use crate::configuration;
use crate::exit::{Exit, Failure};
use crate::text::{Table, counted};

pub(crate) fn check(args: &CheckArgs) -> Result<Exit, Failure> {
    let checked = configuration::check(&args.files);
    if args.json {
        print_json(&as_json(checked.plan.as_ref(), &checked.diagnostics));
        return Ok(if checked.plan.is_some() { Exit::Success } else { Exit::Configuration });
    }
    configuration::show(&checked.diagnostics);
    let Some(plan) = checked.plan else {
        return Err(Failure { exit: Exit::Configuration, message: checked.diagnostics.summary() });
    };
    if args.effective {
        print(effective_toml(&checked.config).trim_end());
    } else {
        print(&as_text(&plan, &checked.diagnostics));
    }
    Ok(Exit::Success)
}

/// What a good configuration amounts to.
fn as_text(plan: &Plan, diagnostics: &Diagnostics) -> String {
    let parts = [
        (plan.sources.len(), "source"),
        (plan.interceptors.len(), "interceptor"),
        (plan.channels.len(), "channel"),
        (plan.sinks.len(), "sink"),
    ];
    let parts: Vec<_> =
        parts.iter().filter(|(number, _)| *number > 0).map(|(number, what)| counted(*number, what)).collect();
    let mut text = format!("ok: {}", parts.join(", "));
    let warnings = diagnostics.count(Severity::Warning);
    if warnings > 0 {
        text.push_str(&format!("; {}", counted(warnings, "warning")));
    }
    text.push_str("\n\nmemory the buffers may take:\n");
    let mut table = Table::new(&["", ">", ""]);
    for line in plan.memory() {
        table.row([line.component, units::approx_bytes(line.bytes), String::new()]);
    }
    let (planned, budget) = (planned_bytes(plan), plan.agent.bytes("memory"));
    let share = format!("of {} ({} %)", units::approx_bytes(budget), planned * 100 / budget.max(1));
    table.row(["together".to_owned(), units::approx_bytes(planned), share]);
    text.push_str(table.render("  ").trim_end());
    if std::io::stdout().is_terminal() {
        text.push_str("\n\nIt has not touched network or disk: `weir run` does.");
    }
    text
}

fn planned_bytes(plan: &Plan) -> u64 {
    plan.memory().iter().map(|line| line.bytes).sum()
}

fn as_json(plan: Option<&Plan>, diagnostics: &Diagnostics) -> serde_json::Value {
    let memory = plan.map(|plan| {
        let line = |line: weir_engine::agent::MemoryLine| json!({ "component": line.component, "bytes": line.bytes });
        json!({
            "budget_bytes": plan.agent.bytes("memory"),
            "planned_bytes": planned_bytes(plan),
            "components": plan.memory().into_iter().map(line).collect::<Vec<_>>(),
        })
    });
    json!({
        "ok": plan.is_some(),
        "errors": diagnostics.count(Severity::Error),
        "warnings": diagnostics.count(Severity::Warning),
        "diagnostics": diagnostics.to_json(),
        "memory": memory,
    })
}
