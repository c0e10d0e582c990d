//! The option table of the sink.

use weir_config::{Kind, OptionSpec};

use super::select::CONDITION_OPTIONS;

/// What a collection is made with.
const CREATE_OPTIONS: &[OptionSpec] = &[
    OptionSpec::required("config_set", Kind::Text, "The config set of new collections; upload it first.")
        .example("weir-syslog"),
    OptionSpec::defaulted("shards", Kind::Count { min: 1, max: 10_000 }, "2", "Shards of a new collection."),
    OptionSpec::defaulted("replicas", Kind::Count { min: 1, max: 100 }, "2", "On how many nodes each shard is."),
    OptionSpec::unset(
        "alias",
        Kind::Text,
        "An alias that names all collections of the time pattern, the newest first.",
    )
    .example("logs"),
    OptionSpec::unset(
        "retention_days",
        Kind::Count { min: 1, max: 36_500 },
        "Collections of the time pattern that are older are deleted; events that are older are dropped and counted. Ages count from now, or from the end of the newest collection if that is earlier, and a sweep that would leave but one of several waits for one more: so a clock that jumps ahead deletes nothing at once. Unset: never.",
    )
    .example("30"),
    OptionSpec::defaulted(
        "collections_max",
        Kind::Count { min: 1, max: 1_000_000 },
        "1000",
        "With so many collections of the time pattern no further one is made: its events go to the dead letter channel. Wrong clocks can ask for one for each of their days.",
    ),
];

pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec::required(
        "urls",
        Kind::List { of: &Kind::Text, items_min: 1 },
        "Base addresses of nodes of the cluster. One that answers at the start is enough: the other live nodes of the collections are learned from it. Name two or three.",
    )
    .example("[\"http://solr1:8983/solr\", \"http://solr2:8983/solr\"]"),
    OptionSpec::required(
        "collection",
        Kind::Text,
        "The collection or alias that events go to. With %Y, %m and %d in it, such as logs-%Y-%m-%d, there is one for each day (month, year) of the events' time, in UTC; an event that happened longer before its arrival than create.retention_days (30 without it), or more than a day after it, goes by its arrival.",
    )
    .example("logs"),
    OptionSpec::unset(
        "create",
        Kind::Table(CREATE_OPTIONS),
        "Makes collections that are not there. Without this table they have to exist.",
    )
    .example("{ config_set = \"weir-syslog\", alias = \"logs\", retention_days = 30 }"),
    OptionSpec::unset(
        "collection_header",
        Kind::Text,
        "Header that names the collection of an event, if it is one of collections_allowed; other events go to `collection`.",
    )
    .example("tenant"),
    OptionSpec::defaulted("collections_allowed", Kind::TEXTS, "[]", "The collections that collection_header may name."),
    OptionSpec::defaulted(
        "id",
        Kind::Text,
        "%{weir.channel}-%{weir.partition}-%{weir.offset}",
        "The unique key of an event's document. An event that comes again must get the same one: then it overwrites itself. `%{NAME}` is a header; weir.channel, weir.partition and weir.offset say where in the sink's channel it is. weir.channel is the identity of that log or topic, not its name: with a name, events of a topic that was deleted and made again would overwrite those of the old one, whose offsets were the same. Behind a source kafka that adds its headers, %{topic}-%{partition}-%{offset} also survives what the source repeats.",
    ),
    OptionSpec::defaulted("key_field", Kind::Text, "id", "The field of the unique key in the schema."),
    OptionSpec::defaulted(
        "fields",
        Kind::Map(&Kind::Text),
        r#"{ ts = "date %{timestamp}", host = "%{host}", app = "%{app}", pid = "int %{procid}", facility = "int %{Facility}", severity = "int %{Severity}", message = "text %{body}" }"#,
        "Field by field, what a document has: an optional type (string, text, int, long, date) and a text with headers as `%{NAME}` and the body as `%{body}`. A field whose header is absent is left out.",
    ),
    OptionSpec::unset(
        "header_fields",
        Kind::Text,
        "Field for each header that `fields` does not name; `*` stands for the header's name. A header that would get the unique key, a field of `fields`, another header's field or one of Solr's own (_version_) is left out and counted. Unset: all such headers are left out.",
    )
    .example("header_*_s"),
    OptionSpec::defaulted(
        "on_bad_value",
        Kind::Choice(&[
            ("leave_out", "the document is indexed without the field; such values are counted"),
            ("reject", "the event goes to the dead letter channel"),
        ]),
        "leave_out",
        "What happens to a value that does not fit its type: a pid that is no number, a string longer than 32766 bytes.",
    ),
    OptionSpec::defaulted(
        "select",
        Kind::List { of: &Kind::Table(CONDITION_OPTIONS), items_min: 0 },
        "[]",
        "Conditions that an event must meet to be indexed, all of them. What does not is counted by reason and done with.",
    ),
    OptionSpec::defaulted(
        "sample",
        Kind::Count { min: 1, max: u64::MAX },
        "1",
        "Indexes one of so many selected events, chosen by a hash of the id, so that an event that comes again is decided alike.",
    ),
    OptionSpec::defaulted(
        "encoding",
        Kind::Choice(&[
            ("javabin", "Solr's binary form: 5 to 15 % less CPU time of Solr per document"),
            ("json", "readable on the wire, understood by every proxy"),
        ]),
        "javabin",
        "The form of requests.",
    ),
    OptionSpec::defaulted(
        "batch_documents",
        Kind::Count { min: 1, max: 100_000 },
        "1000",
        "Most documents of a request. Requests are smaller while Solr keeps up. Above 1000 nothing is gained.",
    ),
    OptionSpec::defaulted(
        "batch_bytes_max",
        Kind::Bytes { min: 1 << 10, max: 256 << 20 },
        "2 MiB",
        "Most bytes of a request; a larger document goes alone.",
    ),
    OptionSpec::defaulted(
        "linger",
        Kind::Duration { min_ms: 0, max_ms: 60_000 },
        "100 ms",
        "How long documents wait for company. Solr pays per request about as much as for 10 documents.",
    ),
    OptionSpec::defaulted(
        "in_flight_bytes",
        Kind::Bytes { min: 1 << 20, max: 4 << 30 },
        "16 MiB",
        "Most bytes of events that wait for Solr's answer; what is beyond stays in the channel. Up to three times as much is planned: events, documents, and their copies in requests. More is needed where few of them are selected, or where there are many shards.",
    ),
    OptionSpec::defaulted(
        "requests_per_shard",
        Kind::Count { min: 1, max: 64 },
        "3",
        "Most requests at once to one shard; fewer while it is busy.",
    ),
    OptionSpec::defaulted(
        "request_timeout",
        Kind::Duration { min_ms: 500, max_ms: 600_000 },
        "20 s",
        "A node that has not answered by then counts as gone; the request is sent again, with the same ids.",
    ),
    OptionSpec::unset(
        "commit_within",
        Kind::Duration { min_ms: 100, max_ms: 3_600_000 },
        "Asks Solr to make documents visible by then. Unset: its own autoSoftCommit decides, which costs less. Nothing is ever committed from here.",
    )
    .example("5 s"),
    OptionSpec::unset(
        "replicas_min",
        Kind::Count { min: 1, max: 100 },
        "Replicas that must have a document before it counts as delivered; an answer that does not say how many have it does not count. Unset: the leader's update log is enough, as for other clients of Solr.",
    )
    .example("2"),
    OptionSpec::unset("ca", Kind::Path, "Certificates of the authorities that may vouch for a node, PEM. Unset: those that the operating system trusts.")
        .example("/etc/weir/solr-ca.pem"),
    OptionSpec::unset("user", Kind::Text, "User for basic authentication.").example("weir"),
    OptionSpec::unset("password", Kind::Secret, "Password of the user: env:NAME or file:PATH.").example("env:SOLR_PASSWORD"),
    OptionSpec::unset("token_file", Kind::Path, "File with a bearer token (JWT); read again every half minute, and when it is refused.")
        .example("/run/secrets/solr-token"),
];
