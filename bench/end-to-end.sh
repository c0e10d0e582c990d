#!/usr/bin/env bash
# The end-to-end rows of the performance table: budget beside measurement.
#
#   bench/end-to-end.sh [SECONDS per row, default 5] [20g: also write and reopen a 20 GiB backlog]
#
# Sender and agent share the machine and are separate processes; CPU is the agent's own, user and system, from the
# kernel. The agent is asked for its books after each row; a row whose books do not balance says so.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-5}
backlog=${2:-}
cargo build --release --quiet -p weir
weir=$PWD/${CARGO_TARGET_DIR:-target}/release/weir
[ -x "$weir" ] || weir=${CARGO_TARGET_DIR}/release/weir
work=$(mktemp -d "${TMPDIR:-/tmp}/weir-bench.XXXXXX")
agent=
trap '[ -z "$agent" ] || kill "$agent" 2>/dev/null || true; rm -rf "$work"' EXIT
input=127.0.0.1:$((20000 + RANDOM % 10000))
admin=127.0.0.1:$((30000 + RANDOM % 10000))

# One number of a JSON answer: the first of that name.
number() {
  tr ',{' '\n\n' | awk -v key="\"$1\":" 'index($0, key) && !found { found = 1; sub(/.*:/, ""); gsub(/[^0-9.]/, ""); print }'
}
status() { "$weir" status --json "$admin" || true; }

start() { # CHANNEL SINK
  rm -rf "$work/log" "$work/files"
  cat >"$work/agent.toml" <<TOML
[agent]
log_level = "warn"
[sources.in]
type = "syslog"
listen = ["tcp://$input", "udp://$input"]
channels = ["c"]
[channels.c]
$1
$([ -z "$2" ] || printf '[sinks.out]\n%s\nchannel = "c"\n' "$2")
TOML
  "$weir" run --admin "$admin" "$work/agent.toml" &
  agent=$!
  until "$weir" status --json "$admin" >/dev/null 2>&1; do sleep 0.05; done
}

stop() {
  kill "$agent"
  wait "$agent" || echo "   the agent ended with $?: its ledger does not close"
  agent=
}

# Until nothing waits any more, at most a minute.
settle() {
  local tries=0
  until [ "$(status | number backlog_events)" = 0 ] || [ $((tries += 1)) -gt 600 ]; do sleep 0.1; done
}

row() { # NAME RATE-BUDGET CPU-BUDGET CHANNEL SINK
  start "$4" "$5"
  local before after report
  before=$(awk '{print $14 + $15}' "/proc/$agent/stat")
  report=$("$weir" send "tcp://$input" --connections 4 --for "${seconds}s" --json)
  settle
  after=$(awk '{print $14 + $15}' "/proc/$agent/stat")
  local peak rate events
  peak=$(awk '/VmHWM/ {print $2}' "/proc/$agent/status")
  rate=$(printf '%s' "$report" | number events_per_second)
  events=$(printf '%s' "$report" | number events)
  awk -v name="$1" -v want="$2" -v cpu_want="$3" -v rate="$rate" -v events="$events" -v ticks=$((after - before)) \
    -v hz="$(getconf CLK_TCK)" -v peak="$peak" 'BEGIN {
      printf "%-44s %5.2f M/s %7.2f M/s %10.2f %10.3f %9.0f MiB\n", name, want, rate / 1e6, cpu_want, ticks / hz / events * 1e6, peak / 1024 }'
  stop
}

udp() {
  start 'type = "file"
path = "'"$work"'/log"' 'type = "null"'
  local report sent received drops
  report=$("$weir" send "udp://$input" --connections 2 --rate 400k/s --for "${seconds}s" --json)
  sent=$(printf '%s' "$report" | number events)
  settle
  sleep 1.2 # kernel drop counters are read once a second
  received=$(status | number received)
  drops=$(status | number 'kernel drops')
  echo "UDP, 400 k/s offered: sent $sent = stored $received + kernel drops ${drops:-0}: $([ "$sent" = $((received + ${drops:-0})) ] && echo "books balance" || echo "BOOKS DO NOT BALANCE")"
  stop
}

idle() {
  start 'type = "file"
path = "'"$work"'/log"' 'type = "null"'
  echo "idle agent: $(awk '/VmRSS/ {printf "%.0f MiB", $2 / 1024}' "/proc/$agent/status") resident (budget 30 MiB)"
  stop
}

demo() {
  "$weir" demo --for 20s --rate 20k/s --dir "$work/demo" --json 2>/dev/null >"$work/demo.json"
  tr ',' '\n' <"$work/demo.json" | awk '/"created_to_durable"/ {part = "durable"} /"created_to_file"/ {part = "in file"}
       /"p99_ms"/ && part {gsub(/[^0-9]/, "", $2); budget = part == "durable" ? 50 : 1000
         printf "demo, 20 k/s: created to %s p99 %d ms (budget %d ms)\n", part, $2, budget; part = ""}'
}

reopen() {
  start 'type = "file"
path = "'"$work"'/log"
capacity_bytes = "24 GiB"' ''
  "$weir" send "tcp://$input" --connections 4 --events 100M --for 300s --json >/dev/null
  stop
  local bytes began
  bytes=$(du -sb "$work/log" | cut -f1)
  began=$(date +%s%N)
  "$weir" run --admin "$admin" "$work/agent.toml" &
  agent=$!
  until "$weir" status --json "$admin" >/dev/null 2>&1; do sleep 0.01; done
  awk -v ns=$(($(date +%s%N) - began)) -v bytes="$bytes" -v kib="$(awk '/VmHWM/ {print $2}' "/proc/$agent/status")" 'BEGIN {
    printf "reopen a backlog of %.1f GiB: %.2f s (budget 5 s), %.0f MiB resident at most (budget 100 MiB)\n", bytes / 2^30, ns / 1e9, kib / 1024 }'
  stop
}

echo "$(nproc) cores, load $(cut -d' ' -f1-3 /proc/loadavg), $("$weir" --version), lines of about 200 bytes, 4 connections, $seconds s a row"
printf '%-44s %9s %11s %10s %10s %13s\n' path "at least" measured "CPU s/M <=" measured "peak memory"
row 'TCP syslog -> memory -> null' 2.2 0.25 'type = "memory"' 'type = "null"'
row 'TCP syslog -> file -> null' 1.6 0.55 "type = \"file\"
path = \"$work/log\"" 'type = "null"'
row 'TCP syslog -> file (lz4) -> null' 1.4 0.95 "type = \"file\"
path = \"$work/log\"
compression = \"lz4\"" 'type = "null"'
row 'TCP syslog -> file -> files' 1.0 0.75 "type = \"file\"
path = \"$work/log\"" "type = \"files\"
path = \"$work/files/%Y-%m-%d/%H\"
time = \"arrival\""
udp
demo
idle
[ "$backlog" != 20g ] || reopen
