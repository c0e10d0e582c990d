//! What is seen while the demo of two tiers runs.

use std::time::Duration;

use weir_config::units::approx_bytes;
use weir_engine::ledger::LatencyStatus;
use weir_engine::status::{AgentStatus, GroupStatus, SourceStatus};

use super::brokers::Brokers;
use crate::commands::demo::config::Places;
use crate::commands::demo::view::{View, p50, p99, say};
use crate::commands::status_text::{health, seconds};
use crate::text::grouped;

/// The view of edge and hub.
pub(super) struct Panel {
    view: View,
}

/// What is shown of two statuses.
struct Shown<'a> {
    edge: &'a AgentStatus,
    hub: &'a AgentStatus,
    source: &'a SourceStatus,
    to_topic: &'a GroupStatus,
    to_files: &'a GroupStatus,
    sent: u64,
}

impl Panel {
    pub(super) fn new(places: &Places, duration: Option<Duration>, is_terminal: bool) -> Self {
        Self { view: View::new(&places.files, duration, is_terminal) }
    }

    /// Says where things are.
    pub(super) fn introduce(&self, places: &Places, brokers: &Brokers) {
        let dir = places.dir.display();
        say(&format!("edge: syslog over TCP -> durable log {dir}/log -> Kafka"));
        say(&format!("      {}", brokers.describe()));
        say(&format!("hub:  Kafka -> files {dir}/files"));
        self.view.introduce();
    }

    /// Shows where it stands, if it is time to.
    pub(super) fn show(&mut self, edge: &AgentStatus, hub: &AgentStatus, sent: u64) {
        let ([source], [to_topic], [to_files]) =
            (edge.sources.as_slice(), edge.groups.as_slice(), hub.groups.as_slice())
        else {
            return;
        };
        let shown = Shown { edge, hub, source, to_topic, to_files, sent };
        self.view.show(source.received, |view| shown.panel(view), |view| shown.line(view));
    }

    /// A line that stays.
    pub(super) fn note(&self, text: &str) {
        self.view.note(text);
    }

    /// Takes the panel away.
    pub(super) fn clear(&self) {
        self.view.clear();
    }
}

impl Shown<'_> {
    fn panel(&self, view: &View) -> String {
        let latency = |what: &str, latency: &LatencyStatus| {
            format!("\n  created -> {what:<9}  p50 {:>7}   p99 {:>7}", p50(latency), p99(latency))
        };
        let backlog = |what: &str, group: &GroupStatus| {
            let (events, age) = (grouped(group.backlog_events), seconds(group.backlog_seconds));
            format!("\n  waiting {what:<9}   {events} events, {age}")
        };
        let disk = self.edge.channels.first().map_or(0, |channel| channel.bytes);
        format!(
            "\n  {}   edge {}, hub {}\n\n  received   {:>8}/s  {}\n  events     {} sent, {} durable at the edge, {} in the topic, {} in files{}{}{}{}{}\n  \
             disk       log {}, {} finished files {}",
            view.clock(),
            health(self.edge),
            health(self.hub),
            view.rate(),
            view.rates(),
            grouped(self.sent),
            grouped(self.source.durable),
            grouped(self.to_topic.delivered),
            grouped(self.to_files.delivered),
            backlog("at edge", self.to_topic),
            backlog("in topic", self.to_files),
            latency("durable", &self.source.durable_latency),
            latency("in topic", &self.to_topic.delivery_latency),
            latency("in file", &self.to_files.delivery_latency),
            approx_bytes(disk),
            grouped(view.finished().files),
            approx_bytes(view.finished().bytes),
        )
    }

    fn line(&self, view: &View) -> String {
        format!(
            "{}: sent {}, received {}/s, waiting {} at the edge {} and {} in the topic {}, in topic p99 {}, in file p99 {}, {} files, edge {}, hub {}",
            view.elapsed(),
            grouped(self.sent),
            view.rate(),
            grouped(self.to_topic.backlog_events),
            seconds(self.to_topic.backlog_seconds),
            grouped(self.to_files.backlog_events),
            seconds(self.to_files.backlog_seconds),
            p99(&self.to_topic.delivery_latency),
            p99(&self.to_files.delivery_latency),
            grouped(view.finished().files),
            health(self.edge),
            health(self.hub),
        )
    }
}
