//! What is seen while the demo of one agent runs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use weir_config::units::approx_bytes;
use weir_engine::status::{AgentStatus, GroupStatus, SourceStatus};

use super::config::Places;
use super::ledger::kernel_drops;
use super::view::{View, p50, p99, say};
use crate::commands::status_text::{health, seconds};
use crate::text::grouped;

/// The view of one agent.
pub(super) struct Panel {
    view: View,
    dir: PathBuf,
}

impl Panel {
    pub(super) fn new(places: &Places, duration: Option<Duration>, is_terminal: bool) -> Self {
        Self { view: View::new(Some(&places.files), duration, is_terminal), dir: places.dir.clone() }
    }

    /// Says where things are.
    pub(super) fn introduce(&self, admin: Option<SocketAddr>) {
        say(&format!("syslog over TCP and UDP -> durable log {0}/log -> files {0}/files", self.dir.display()));
        if let Some(address) = admin {
            say(&format!("admin endpoint at {address}: weir status {address} --watch"));
        }
        self.view.introduce();
    }

    /// Shows where it stands, if it is time to.
    pub(super) fn show(&mut self, status: &AgentStatus, sent: u64) {
        let ([source], [group]) = (status.sources.as_slice(), status.groups.as_slice()) else { return };
        self.view.show(
            source.received,
            |view| panel(view, status, source, group, sent),
            |view| line(view, status, source, group, sent),
        );
    }

    /// Takes the panel away.
    pub(super) fn clear(&self) {
        self.view.clear();
    }
}

fn panel(view: &View, status: &AgentStatus, source: &SourceStatus, group: &GroupStatus, sent: u64) -> String {
    let drops = match kernel_drops(source) {
        0 => String::new(),
        drops => format!("   kernel dropped {}", grouped(drops)),
    };
    let disk = status.channels.first().map_or(0, |channel| channel.bytes);
    let finished = view.finished().unwrap_or_default();
    format!(
        "\n  {}   {}\n\n  received   {:>8}/s  {}\n  events     {} sent, {} received, {} durable, {} in files{drops}\n  \
         backlog    {} events, {}\n  created -> durable   p50 {:>7}   p99 {:>7}\n  created -> in file   p50 {:>7}   p99 {:>7}\n  \
         disk       log {}, {} finished files {}",
        view.clock(),
        health(status),
        view.rate(),
        view.rates(),
        grouped(sent),
        grouped(source.received),
        grouped(source.durable),
        grouped(group.delivered),
        grouped(group.backlog_events),
        seconds(group.backlog_seconds),
        p50(&source.durable_latency),
        p99(&source.durable_latency),
        p50(&group.delivery_latency),
        p99(&group.delivery_latency),
        approx_bytes(disk),
        grouped(finished.files),
        approx_bytes(finished.bytes),
    )
}

fn line(view: &View, status: &AgentStatus, source: &SourceStatus, group: &GroupStatus, sent: u64) -> String {
    format!(
        "{}: sent {}, received {} at {}/s, backlog {} events {}, durable p99 {}, in file p99 {}, {} files, {}",
        view.elapsed(),
        grouped(sent),
        grouped(source.received),
        view.rate(),
        grouped(group.backlog_events),
        seconds(group.backlog_seconds),
        p99(&source.durable_latency),
        p99(&group.delivery_latency),
        grouped(view.finished().unwrap_or_default().files),
        health(status),
    )
}
