//! `/metrics`: the status as OpenMetrics text. One source of truth: what `/status` says, under stable names.

use std::collections::BTreeMap;
use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use weir_engine::ledger::LatencyStatus;
use weir_engine::status::{AgentStatus, GroupStatus, PartitionStatus, SourceStatus};

/// The text of all metrics.
pub(crate) fn encode(status: AgentStatus) -> Result<String, Error> {
    let mut registry = Registry::with_prefix("weir");
    registry.register_collector(Box::new(StatusCollector(status)));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct StatusCollector(AgentStatus);

/// A sample: its labels and its value.
type Sample<'a, T> = (Vec<(&'static str, &'a str)>, T);

fn family<T, M: EncodeMetric>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    samples: Vec<Sample<'_, T>>,
    metric: impl Fn(T) -> M,
) -> Result<(), Error> {
    let samples: Vec<_> = samples.into_iter().map(|(labels, value)| (labels, metric(value))).collect();
    let Some((_, first)) = samples.first() else { return Ok(()) };
    let mut family = encoder.encode_descriptor(name, help, None, first.metric_type())?;
    for (labels, metric) in &samples {
        metric.encode(family.encode_family(labels)?)?;
    }
    Ok(())
}

fn counters(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    samples: Vec<Sample<'_, u64>>,
) -> Result<(), Error> {
    family(encoder, name, help, samples, ConstCounter::new)
}

fn gauges(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    samples: Vec<Sample<'_, f64>>,
) -> Result<(), Error> {
    family(encoder, name, help, samples, ConstGauge::new)
}

impl Collector for StatusCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let encoder = &mut encoder;
        self.agent(encoder)?;
        self.sources(encoder)?;
        self.channels(encoder)?;
        self.groups(encoder)
    }
}

impl StatusCollector {
    fn agent(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let status = &self.0;
        let flag = |value: bool| vec![(vec![("agent", status.agent.as_str())], f64::from(u8::from(value)))];
        let number = |value: f64| vec![(vec![("agent", status.agent.as_str())], value)];
        gauges(
            encoder,
            "agent_ready",
            "1 if all components run and the agent is not stopping",
            flag(status.health.ready),
        )?;
        gauges(
            encoder,
            "agent_degraded_reasons",
            "Reasons in /health for which the agent is degraded",
            number(status.health.degraded.len() as f64),
        )?;
        gauges(
            encoder,
            "agent_ledger_closes",
            "1 if the books balance; only meaningful at rest",
            flag(status.ledger.closes),
        )?;
        gauges(encoder, "agent_uptime_seconds", "Seconds since start", number(status.uptime_seconds))?;
        gauges(encoder, "agent_memory_budget_bytes", "The memory budget", number(status.memory.budget_bytes as f64))?;
        gauges(
            encoder,
            "agent_memory_resident_bytes",
            "Resident memory of the process",
            number(status.memory.resident_bytes as f64),
        )
    }

    fn sources(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let all = |value: fn(&SourceStatus) -> u64| -> Vec<Sample<'_, u64>> {
            self.0.sources.iter().map(|source| (source_labels(source), value(source))).collect()
        };
        counters(encoder, "source_received_events", "Events framed", all(|source| source.received))?;
        counters(
            encoder,
            "source_received_bytes",
            "Bytes of the bodies of received events",
            all(|source| source.received_bytes),
        )?;
        counters(
            encoder,
            "source_accepted_events",
            "Events that every required channel took",
            all(|source| source.accepted),
        )?;
        counters(encoder, "source_durable_events", "Accepted events whose receipt came", all(|source| source.durable))?;
        counters(
            encoder,
            "source_flagged_events",
            "Events kept whole and flagged because they did not parse",
            all(|source| source.flagged),
        )?;
        let reasons = |pick: fn(&SourceStatus) -> &BTreeMap<String, u64>, label: &'static str| {
            let by_source = self.0.sources.iter().flat_map(move |source| {
                pick(source).iter().map(move |(reason, count)| {
                    let mut labels = source_labels(source);
                    labels.push((label, reason.as_str()));
                    (labels, *count)
                })
            });
            by_source.collect::<Vec<_>>()
        };
        counters(
            encoder,
            "source_rejected_events",
            "Events that went no further",
            reasons(|source| &source.rejected, "reason"),
        )?;
        counters(
            encoder,
            "source_faults",
            "Troubles before an event existed: kernel drops, broken connections",
            reasons(|source| &source.faults, "kind"),
        )?;
        let connections = self.0.sources.iter().map(|source| (source_labels(source), source.connections as f64));
        gauges(encoder, "source_connections", "Connections open now", connections.collect())?;
        self.source_partitions(encoder)?;
        let latencies =
            self.0.sources.iter().flat_map(|source| quantiles(source_labels(source), &source.durable_latency));
        gauges(encoder, "source_durable_latency_ms", "Event time to receipt, by quantile", latencies.collect())
    }

    fn source_partitions(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        // Numbers as text, which outlives the labels that borrow it.
        let numbered: Vec<_> = self
            .0
            .sources
            .iter()
            .flat_map(|source| source.partitions.iter().map(move |part| (source, part, part.partition.to_string())))
            .collect();
        let all = |value: fn(&PartitionStatus) -> f64| -> Vec<Sample<'_, f64>> {
            numbered
                .iter()
                .map(|(source, part, number)| {
                    let labels = vec![
                        ("source", source.name.as_str()),
                        ("topic", part.topic.as_str()),
                        ("partition", number.as_str()),
                    ];
                    (labels, value(part))
                })
                .collect()
        };
        gauges(
            encoder,
            "source_partition_lag_events",
            "Events of the partition that are not yet in the channels",
            all(|part| part.lag_events as f64),
        )?;
        gauges(encoder, "source_partition_lag_seconds", "Age of the oldest of them", all(|part| part.lag_seconds))
    }

    fn channels(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let channels = &self.0.channels;
        let appended = channels.iter().map(|channel| (vec![("channel", channel.name.as_str())], channel.appended));
        counters(encoder, "channel_appended_events", "Events appended since start", appended.collect())?;
        let syncs = channels.iter().map(|channel| (vec![("channel", channel.name.as_str())], channel.syncs));
        counters(encoder, "channel_syncs", "Syncs to disk since start", syncs.collect())?;
        let modes = channels
            .iter()
            .map(|channel| (vec![("channel", channel.name.as_str()), ("mode", channel.durability_mode.as_str())], 1.0));
        gauges(encoder, "channel_durability_mode", "1 for the mode the channel runs in", modes.collect())?;
        let bytes = channels.iter().map(|channel| (vec![("channel", channel.name.as_str())], channel.bytes as f64));
        gauges(encoder, "channel_bytes", "Bytes held", bytes.collect())?;
        let capacity =
            channels.iter().map(|channel| (vec![("channel", channel.name.as_str())], channel.capacity_bytes as f64));
        gauges(encoder, "channel_capacity_bytes", "Most bytes it may hold", capacity.collect())
    }

    fn groups(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let all = |value: fn(&GroupStatus) -> u64| -> Vec<Sample<'_, u64>> {
            self.0.groups.iter().map(|group| (group_labels(group), value(group))).collect()
        };
        let now = |value: fn(&GroupStatus) -> f64| -> Vec<Sample<'_, f64>> {
            self.0.groups.iter().map(|group| (group_labels(group), value(group))).collect()
        };
        counters(encoder, "group_delivered_events", "Events the destination holds", all(|group| group.delivered))?;
        counters(
            encoder,
            "group_dead_lettered_events",
            "Events in the dead letter channel",
            all(|group| group.dead_lettered),
        )?;
        counters(encoder, "group_lost_events", "Events that were damaged in the channel", all(|group| group.lost))?;
        counters(encoder, "group_retries", "Deliveries that came back", all(|group| group.retries))?;
        let by = |label: &'static str, pick: fn(&GroupStatus) -> &BTreeMap<String, u64>| {
            let by_group = self.0.groups.iter().flat_map(move |group| {
                pick(group).iter().map(move |(reason, count)| {
                    let mut labels = group_labels(group);
                    labels.push((label, reason.as_str()));
                    (labels, *count)
                })
            });
            by_group.collect::<Vec<_>>()
        };
        counters(encoder, "group_dropped_events", "Events left out on purpose", by("reason", |group| &group.dropped))?;
        counters(
            encoder,
            "group_faults",
            "Troubles the sinks met and got over: servers left out, transports changed",
            by("kind", |group| &group.faults),
        )?;
        gauges(encoder, "group_backlog_events", "Events that wait", now(|group| group.backlog_events as f64))?;
        gauges(encoder, "group_backlog_bytes", "Their bytes as stored", now(|group| group.backlog_bytes as f64))?;
        gauges(encoder, "group_backlog_seconds", "Age of the oldest of them", now(|group| group.backlog_seconds))?;
        let latencies = self.0.groups.iter().flat_map(|group| quantiles(group_labels(group), &group.delivery_latency));
        gauges(
            encoder,
            "group_delivery_latency_ms",
            "Event time to acknowledgement by the sink, by quantile",
            latencies.collect(),
        )
    }
}

fn source_labels(source: &SourceStatus) -> Vec<(&'static str, &str)> {
    vec![("source", source.name.as_str()), ("type", source.r#type.as_str())]
}

fn group_labels(group: &GroupStatus) -> Vec<(&'static str, &str)> {
    vec![("channel", group.channel.as_str()), ("group", group.group.as_str())]
}

fn quantiles<'a>(labels: Vec<(&'static str, &'a str)>, latency: &LatencyStatus) -> Vec<Sample<'a, f64>> {
    if latency.count == 0 {
        return Vec::new();
    }
    let values = [("0.5", latency.p50_ms), ("0.99", latency.p99_ms), ("0.999", latency.p999_ms), ("1", latency.max_ms)];
    let with = |(quantile, value): (&'static str, u64)| {
        let mut labels = labels.clone();
        labels.push(("quantile", quantile));
        (labels, value as f64)
    };
    values.into_iter().map(with).collect()
}
