//! What is seen while a demo of two tiers runs.

use weir_config::units::approx_bytes;
use weir_engine::ledger::LatencyStatus;
use weir_engine::status::{AgentStatus, GroupStatus, SourceStatus};

use crate::commands::demo::view::{View, p50, p99};
use crate::commands::status_text::{health, seconds};
use crate::text::grouped;

/// A place where events end, and how it is spoken of.
pub(crate) struct End {
    /// The group of the hub that delivers to it.
    pub(crate) group: &'static str,
    /// Behind a number of events that are there: `in files`.
    pub(crate) there: &'static str,
    /// Behind `waiting`, at most nine letters: `in topic`.
    pub(crate) waiting: &'static str,
    /// Behind `created ->`, at most nine letters: `in file`.
    pub(crate) arrived: &'static str,
}

/// The view of edge and hub.
pub(crate) struct Panel {
    view: View,
    ends: &'static [End],
}

/// What is shown of two statuses.
struct Shown<'a> {
    edge: &'a AgentStatus,
    hub: &'a AgentStatus,
    source: &'a SourceStatus,
    to_topic: &'a GroupStatus,
    ends: Vec<(&'a End, &'a GroupStatus)>,
    sent: u64,
}

impl Panel {
    pub(crate) fn new(view: View, ends: &'static [End]) -> Self {
        Self { view, ends }
    }

    /// Shows where it stands, if it is time to.
    pub(crate) fn show(&mut self, edge: &AgentStatus, hub: &AgentStatus, sent: u64) {
        let ([source], [to_topic]) = (edge.sources.as_slice(), edge.groups.as_slice()) else { return };
        let group = |end: &'static End| Some((end, hub.groups.iter().find(|group| group.group == end.group)?));
        let shown = Shown { edge, hub, source, to_topic, ends: self.ends.iter().filter_map(group).collect(), sent };
        self.view.show(source.received, |view| shown.panel(view), |view| shown.line(view));
    }

    /// A line that stays.
    pub(crate) fn note(&self, text: &str) {
        self.view.note(text);
    }

    /// Takes the panel away.
    pub(crate) fn clear(&self) {
        self.view.clear();
    }
}

impl Shown<'_> {
    fn panel(&self, view: &View) -> String {
        let mut out = format!(
            "\n  {}   edge {}, hub {}\n\n  received   {:>8}/s  {}\n  events     {} sent, {} durable at the edge, {} in the topic",
            view.clock(),
            health(self.edge),
            health(self.hub),
            view.rate(),
            view.rates(),
            grouped(self.sent),
            grouped(self.source.durable),
            grouped(self.to_topic.delivered),
        );
        for (end, group) in &self.ends {
            out.push_str(&format!(", {} {}", grouped(group.delivered), end.there));
        }
        for (what, group) in std::iter::once(("at edge", self.to_topic)).chain(self.waiting()) {
            let (events, age) = (grouped(group.backlog_events), seconds(group.backlog_seconds));
            out.push_str(&format!("\n  waiting {what:<9}   {events} events, {age}"));
        }
        let mut latency = |what: &str, latency: &LatencyStatus| {
            out.push_str(&format!("\n  created -> {what:<9}  p50 {:>7}   p99 {:>7}", p50(latency), p99(latency)));
        };
        latency("durable", &self.source.durable_latency);
        latency("in topic", &self.to_topic.delivery_latency);
        self.ends.iter().for_each(|(end, group)| latency(end.arrived, &group.delivery_latency));
        let disk = self.edge.channels.first().map_or(0, |channel| channel.bytes);
        out.push_str(&format!("\n  disk       log {}{}", approx_bytes(disk), files(view)));
        out
    }

    fn line(&self, view: &View) -> String {
        let mut out = format!("{}: sent {}, received {}/s", view.elapsed(), grouped(self.sent), view.rate());
        for (what, group) in std::iter::once(("at the edge", self.to_topic)).chain(self.waiting()) {
            let (events, age) = (grouped(group.backlog_events), seconds(group.backlog_seconds));
            out.push_str(&format!(", waiting {what} {events} {age}"));
        }
        out.push_str(&format!(", in topic p99 {}", p99(&self.to_topic.delivery_latency)));
        for (end, group) in &self.ends {
            out.push_str(&format!(", {} p99 {}", end.arrived, p99(&group.delivery_latency)));
        }
        out.push_str(&format!("{}, edge {}, hub {}", files(view), health(self.edge), health(self.hub)));
        out
    }

    fn waiting(&self) -> impl Iterator<Item = (&str, &GroupStatus)> {
        self.ends.iter().map(|(end, group)| (end.waiting, *group))
    }
}

/// Finished files, where the view counts any.
fn files(view: &View) -> String {
    let count = |finished: crate::commands::demo::view::Finished| {
        format!(", {} finished files {}", grouped(finished.files), approx_bytes(finished.bytes))
    };
    view.finished().map_or(String::new(), count)
}
