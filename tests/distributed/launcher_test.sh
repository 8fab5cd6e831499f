#!/usr/bin/env bash
# How runs end under launcher/mpirun: launcher_test.sh <launcher/mpirun> <distributed_ranks>
set -u
mpirun=$1
program=$2
output=$(mktemp)
trap 'rm -f "$output"' EXIT
failures=0

# expect NAME CODE SECONDS RC BEGIN
expect() {
  local took=$((SECONDS - $5))
  if [ "$4" -ne "$2" ] || [ "$took" -gt "$3" ]; then
    echo "FAILED $1: exit code $4 after $took s, expected $2 within $3 s"
    cat "$output"
    failures=$((failures + 1))
  else
    echo "ok $1: exit code $4 after $took s"
  fi
}

# ends NAME CODE SECONDS: the whole run ends by itself
ends() {
  local begin=$SECONDS
  timeout -k 1 30 "$mpirun" -n 2 "$program" "$1" >"$output" 2>&1
  expect "$1" "$2" "$3" $? "$begin"
}

# signalled NAME CODE SECONDS SIGNALS...: sent once the ranks are ready, a second apart
signalled() {
  local name=$1 code=$2 seconds=$3
  shift 3
  : >"$output"
  "$mpirun" -n 2 "$program" "$name" >"$output" 2>&1 &
  local run=$!
  for _ in $(seq 150); do
    grep -q ready "$output" && break
    sleep 0.1
  done
  local begin=$SECONDS
  for signal in "$@"; do
    kill "-$signal" "$run"
    sleep 1
  done
  wait "$run"
  expect "$name $*" "$code" "$seconds" $? "$begin"
}

ends done 0 10
ends exit 3 10
ends kill 137 10
ends abort 65 10
ends throw 65 10
ends hang 124 10
signalled stop 75 8 TERM
signalled stop 75 8 USR1
signalled deaf 137 8 TERM TERM
DBPS_GRACE_SECONDS=1 signalled deaf 137 8 TERM
[ "$failures" -eq 0 ]
