#!/usr/bin/env bash
# How runs end under launcher/mpirun: launcher_test.sh <launcher/mpirun> <distributed_ranks>
#
# All cases run at once, since each mostly waits for mpirun.
set -u
mpirun=$1
program=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
limit=20 # seconds until the ranks must be gone

# expect NAME CODE RC BEGIN OUTPUT
expect() {
  local took=$((SECONDS - $4))
  if [ "$3" -eq "$2" ] && [ "$took" -le "$limit" ]; then
    echo "ok $1: exit code $3 after $took s"
    return 0
  fi
  echo "FAILED $1: exit code $3 after $took s, expected $2 within $limit s"
  cat "$5"
  return 1
}

# ends NAME CODE [TEXT]: the whole run ends by itself, saying TEXT
ends() {
  local output="$folder/$1" begin=$SECONDS
  timeout -k 1 40 "$mpirun" -n 2 "$program" "$1" train >"$output" 2>&1
  expect "$1" "$2" $? "$begin" "$output" || return 1
  [ $# -lt 3 ] || grep -qE "$3" "$output" || { echo "FAILED $1: does not say '$3'"; cat "$output"; return 1; }
}

# signalled NAME CODE SIGNALS...: sent once the ranks are ready, a second apart
signalled() {
  local name=$1 code=$2 output
  output=$(mktemp -p "$folder")
  shift 2
  "$mpirun" -n 2 "$program" "$name" >"$output" 2>&1 &
  local run=$!
  for _ in $(seq 300); do
    grep -q ready "$output" && break
    sleep 0.1
  done
  local begin=$SECONDS
  for signal in "$@"; do
    kill "-$signal" "$run"
    sleep 1
  done
  wait "$run"
  expect "$name $*" "$code" $? "$begin" "$output"
}

cases=()
in_parallel() {
  "$@" &
  cases+=($!)
}

in_parallel ends done 0
in_parallel ends exit 3
in_parallel ends kill 137 "same command goes on from the last checkpoint"
in_parallel ends abort 65
in_parallel ends throw 65
in_parallel ends hang 124 "rank 1 on .* made no progress for 1.. s in phase 'scan' .waiting: rank 0 in 'reduce'"
in_parallel ends freeze 124 "rank 0 on .* waits in phase 'reduce' for rank 1 on .* .'scan', no progress"
in_parallel ends slow 0
in_parallel signalled stop 75 TERM
in_parallel signalled stop 75 USR1
in_parallel signalled deaf 137 TERM TERM
DBPS_GRACE_SECONDS=1 in_parallel signalled deaf 137 TERM

failures=0
for case in "${cases[@]}"; do wait "$case" || failures=$((failures + 1)); done
[ "$failures" -eq 0 ]
