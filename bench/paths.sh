#!/usr/bin/env bash
# The rows of the performance table that go through whole agents and real servers: target beside measurement.
#
#   bench/paths.sh [--only TEXT] [--events 5M] [--warm 10M] [--json]       (bench/paths.sh --help)
#
# Starts the servers itself (Java 17 and, the first time, Maven) and stops them. Senders, agents and servers share the
# machine; CPU is the agent's own, from the kernel. Takes some minutes, and up to 10 GB of TMPDIR for a while.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
cargo build --release --quiet -p weir
cargo build --release --quiet --manifest-path bench/paths/Cargo.toml
exec "$CARGO_TARGET_DIR/release/weir-paths-bench" --weir "$CARGO_TARGET_DIR/release/weir" "$@"
