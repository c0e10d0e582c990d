#!/usr/bin/env bash
# The Kafka rows of the performance table: target beside measurement, this client beside librdkafka.
#
#   bench/kafka.sh [--warm 20M] [--events 10M] [--repeats 3] [--only TEXT] [--json]       (bench/kafka.sh --help)
#
# Starts three brokers itself (Java 17 and, the first time, Maven) and stops them. librdkafka is built by its own configure
# script (cc, make, bash), a bench-only dependency in a workspace of its own; WEIR_BENCH_FEATURES="" leaves it out. Takes
# about ten minutes, and up to 10 GB of TMPDIR for a while: on a disk, not in memory.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
cargo build --release --quiet --manifest-path bench/kafka/Cargo.toml --no-default-features --features "${WEIR_BENCH_FEATURES-librdkafka}"
exec "$CARGO_TARGET_DIR/release/weir-kafka-bench" "$@"
