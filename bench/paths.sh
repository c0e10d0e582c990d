#!/usr/bin/env bash
# The rows of the performance table that go through whole agents and real servers: target beside measurement.
#
#   bench/paths.sh [--only TEXT] [--events 5M] [--warm 10M] [--solr-warm 1M] [--json]       (bench/paths.sh --help)
#
# Starts the servers itself (a JDK of version 17 and, the first time, Maven), HDFS and Solr only for rows that need
# them, and stops them. Senders, agents and servers share the machine; beside the agent's CPU stands that of each kind
# of server, all from the kernel. All rows take some ten minutes, one alone a few (--only 'bare loop' --solr-warm
# 100k), and up to 10 GB of TMPDIR for a while.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
cargo build --release --quiet -p weir
cargo build --release --quiet --manifest-path bench/paths/Cargo.toml
exec "$CARGO_TARGET_DIR/release/weir-paths-bench" --weir "$CARGO_TARGET_DIR/release/weir" "$@"
