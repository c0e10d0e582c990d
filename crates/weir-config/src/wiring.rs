//! How components are connected: the options every source and every sink has.

use crate::spec::{ComponentKind, Kind, OptionSpec};

const CHANNEL: Kind = Kind::Reference(ComponentKind::Channel);
const INTERCEPTOR: Kind = Kind::Reference(ComponentKind::Interceptor);
const CHANNELS: Kind = Kind::List { of: &CHANNEL, items_min: 0 };

/// The selector's way of choosing channels.
pub(crate) const MULTIPLEXING: &str = "multiplexing";

const SELECTOR: &[OptionSpec] = &[
    OptionSpec::defaulted(
        "type",
        Kind::Choice(&[
            ("replicating", "every channel gets every event"),
            (MULTIPLEXING, "the value of a header names the channels"),
        ]),
        "replicating",
        "How channels are chosen.",
    ),
    OptionSpec::unset("header", Kind::Text, "Multiplexing: the header whose value is looked up in mapping."),
    OptionSpec::unset(
        "mapping",
        Kind::Map(&Kind::List { of: &CHANNEL, items_min: 1 }),
        "Multiplexing: the channels for each value of the header.",
    )
    .example("{ value = [\"memory\"] }"),
    OptionSpec::defaulted(
        "default",
        CHANNELS,
        "[]",
        "Multiplexing: the channels for events whose value is not mapped. Without any, such events are dropped and counted.",
    ),
    OptionSpec::defaulted(
        "optional",
        CHANNELS,
        "[]",
        "Channels that get an event if they have room; the source waits only for the others.",
    ),
];

const SOURCE: &[OptionSpec] = &[
    OptionSpec::required(
        "channels",
        Kind::List { of: &CHANNEL, items_min: 1 },
        "The channels this source writes to. A source without one has nowhere to put its events.",
    ),
    OptionSpec::defaulted(
        "interceptors",
        Kind::List { of: &INTERCEPTOR, items_min: 0 },
        "[]",
        "The interceptors events pass, in this order.",
    ),
    OptionSpec::defaulted("selector", Kind::Table(SELECTOR), "{}", "Which of the channels an event goes to."),
];

const SINK: &[OptionSpec] = &[
    OptionSpec::required("channel", CHANNEL, "The channel this sink reads."),
    OptionSpec::unset(
        "group",
        Kind::Text,
        "Sinks of one group share the events of their channel; each group gets all of them. Needed where several sinks read one channel.",
    ),
];

/// The wiring options of `kind`.
pub(crate) const fn options(kind: ComponentKind) -> &'static [OptionSpec] {
    match kind {
        ComponentKind::Source => SOURCE,
        ComponentKind::Sink => SINK,
        ComponentKind::Interceptor | ComponentKind::Channel => &[],
    }
}
