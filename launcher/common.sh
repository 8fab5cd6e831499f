# What the launcher's scripts share; sourced by them. The caller has set `root`.
# shellcheck shell=bash

say() { printf '%s\n' "$*" >&2; }
fail() {  # CODE MESSAGE
  printf 'error: %s\n' "$2" >&2
  exit "$1"
}

# As many compilers as there are cores, each with 2 GB of memory.
build_jobs() {
  local cores memory
  cores=$(nproc)
  memory=$(($(awk '/MemAvailable/ {print $2}' /proc/meminfo) / 2000000))
  ((memory < 1)) && memory=1
  echo $((cores < memory ? cores : memory))
}

# Configures where needed and builds targets (all when none is named); `tests` is ON, or KEEP for
# whatever the build folder has. Quick when nothing has changed.
build() {  # TESTS [TARGET...]
  local tests=$1 folder=${root:?}/build/release log
  shift
  cd "$root" || exit 70
  if [[ ! -f $folder/build.ninja ]] || { [[ $tests == ON ]] && ! grep -q '^DBPS_TESTS:BOOL=ON' "$folder/CMakeCache.txt"; }; then
    [[ $tests == ON ]] || tests=OFF
    log=$(mktemp)
    say "configuring $folder"
    cmake --preset release -DDBPS_TESTS="$tests" >"$log" 2>&1 ||
      { tail -n 20 "$log" >&2; fail 70 "cmake failed; see $log"; }
    rm -f "$log"
  fi
  cmake --build --preset release -j "$(build_jobs)" ${1:+--target "$@"} >&2 ||
    fail 70 "the build failed; see above"
}
