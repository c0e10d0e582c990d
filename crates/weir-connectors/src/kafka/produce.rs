//! What all Kafka components that write share: how batches are compressed, spread and acknowledged.

use std::time::Duration;

use weir_codec::record_batch::{Compression, Encoder, EncoderOptions};
use weir_config::{Diagnostics, Kind, OptionSpec, Options};
use weir_kafka::{Acks, ProducerOptions};

use super::partition::Partitioner;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// The options of producing: one of the parts of a component's table, see [`super::connection::joined`].
pub const PRODUCE_OPTIONS: &[OptionSpec] = &[
    OptionSpec::defaulted(
        "acks",
        Kind::Choice(&[
            ("all", "all in-sync replicas have it: survives the loss of all but one of them"),
            ("leader", "the leader has it: what it took last is lost if it dies before the others have copied"),
        ]),
        "all",
        "When an event counts as written.",
    ),
    OptionSpec::defaulted(
        "idempotent",
        Kind::Flag,
        "true",
        "Whether the broker tells repeats, so that a batch which is sent again is written once and order is kept over retries. Only with acks = \"all\".",
    ),
    OptionSpec::defaulted(
        "compression",
        Kind::Choice(&[
            ("auto", "as the channel keeps them, where it compresses; lz4 otherwise"),
            ("none", "as they are"),
            ("lz4", "fast: the choice of most"),
            ("zstd", "half again as small as lz4, for some three times the work"),
            ("snappy", "about as lz4, for readers that know nothing else"),
            ("gzip", "for readers that know nothing else"),
        ]),
        "auto",
        "Compression of the batches. Brokers keep them as they come.",
    ),
    OptionSpec::unset(
        "compression_level",
        Kind::Count { min: 0, max: 22 },
        "Level of gzip (0 to 9, 6 if unset) or zstd (1 to 22, 3 if unset).",
    ),
    OptionSpec::defaulted(
        "partitioner",
        Kind::Choice(&[
            ("sticky", "whole batches, the same number of bytes to each partition, away from leaders with a long queue"),
            ("round_robin", "whole batches, to each partition in turn"),
            ("key", "each event by the hash of its header key, to where Java's producer would send it"),
            ("header", "each event to the partition whose number is in partition_header"),
            ("fixed", "everything to the partition given by `partition`"),
        ]),
        "sticky",
        "How events are spread over the partitions of a topic. Choosing event by event makes smaller batches, which costs throughput.",
    ),
    OptionSpec::unset(
        "partition_header",
        Kind::Text,
        "Header with the number of the partition, for partitioner = \"header\". Events without it are spread as by sticky; a number the topic does not have goes to the dead letter channel.",
    )
    .example("partition"),
    OptionSpec::unset("partition", Kind::Count { min: 0, max: 1_000_000 }, "The partition for partitioner = \"fixed\"."),
    OptionSpec::defaulted(
        "record_batch_bytes_max",
        Kind::Bytes { min: KIB, max: 100 * MIB },
        "1000000",
        "Largest batch that is sent: larger ones are split. Below the max.message.bytes of the topic, 1,048,588 bytes if its owner has not changed it. A topic that refuses this size is sent smaller ones.",
    ),
    OptionSpec::defaulted(
        "in_flight_bytes",
        Kind::Bytes { min: MIB, max: 1024 * MIB },
        "32 MiB",
        "Most bytes of batches sent and not acknowledged; beyond it events wait in the channel. 32 MiB keep a connection of 1 Gbit/s busy over a round trip of 250 ms.",
    ),
];

/// How batches are produced: checked.
#[derive(Clone, PartialEq, Debug)]
pub struct ProduceSpec {
    pub(crate) acks: Acks,
    pub(crate) idempotent: bool,
    /// `None` leaves the choice to what is at rest.
    pub(crate) compression: Option<Compression>,
    pub(crate) level: Option<i32>,
    pub(crate) partitioner: Partitioner,
    pub(crate) record_batch_bytes_max: usize,
    pub(crate) in_flight_bytes: usize,
}

impl ProduceSpec {
    /// Reads [`PRODUCE_OPTIONS`] from the options of a component. Pure; every fault becomes a diagnostic with its place,
    /// and `None` is returned if there was one.
    pub fn parse(options: &Options, diagnostics: &mut Diagnostics) -> Option<Self> {
        let acks = if options.choice("acks") == "all" { Acks::All } else { Acks::Leader };
        let compression = match options.choice("compression") {
            "none" => Some(Compression::None),
            "lz4" => Some(Compression::Lz4),
            "zstd" => Some(Compression::Zstd),
            "snappy" => Some(Compression::Snappy),
            "gzip" => Some(Compression::Gzip),
            _ => None,
        };
        let level = options.count_opt("compression_level").map(|level| level as i32);
        let checked =
            EncoderOptions { compression: compression.unwrap_or(Compression::Lz4), level, ..Default::default() };
        let level_fits = Encoder::new(checked).is_ok();
        if !level_fits {
            let message = format!("compression {} has no such level", options.choice("compression"));
            let hint = "gzip has levels 0 to 9, zstd 1 to 22, the others none";
            diagnostics.push(options.error("compression_level", message).with_hint(hint));
        }
        let partitioner = partitioner(options, diagnostics);
        if !level_fits {
            return None;
        }
        Some(Self {
            acks,
            idempotent: options.flag("idempotent"),
            compression,
            level,
            partitioner: partitioner?,
            record_batch_bytes_max: options.bytes("record_batch_bytes_max") as usize,
            in_flight_bytes: options.bytes("in_flight_bytes") as usize,
        })
    }

    /// The client's options. Of `request_timeout` two thirds are for the replicas, the rest for the way.
    pub(crate) fn producer_options(&self, request_timeout: Duration) -> ProducerOptions {
        ProducerOptions {
            acks: self.acks,
            idempotent: self.idempotent,
            in_flight_bytes_max: self.in_flight_bytes,
            replication_timeout: request_timeout.mul_f64(2.0 / 3.0),
            ..ProducerOptions::default()
        }
    }

    /// What a receipt means, for status.
    pub(crate) fn durability_mode(&self) -> &'static str {
        match self.acks {
            Acks::All => "acks=all",
            Acks::Leader => "acks=leader",
        }
    }
}

fn partitioner(options: &Options, diagnostics: &mut Diagnostics) -> Option<Partitioner> {
    let name = options.choice("partitioner");
    for (option, belongs_to) in [("partition_header", "header"), ("partition", "fixed")] {
        if options.is_given(option) != (name == belongs_to) {
            let message = match name == belongs_to {
                true => format!("partitioner = {name:?} needs {option}"),
                false => format!("{option} has no effect with partitioner = {name:?}"),
            };
            let place = if name == belongs_to { "partitioner" } else { option };
            diagnostics.push(options.error(place, message));
            return None;
        }
    }
    Some(match name {
        "round_robin" => Partitioner::RoundRobin,
        "key" => Partitioner::Key,
        "header" => Partitioner::Header(options.text("partition_header").to_owned()),
        "fixed" => Partitioner::Fixed(options.count("partition") as i32),
        _ => Partitioner::Sticky,
    })
}
