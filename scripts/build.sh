#!/usr/bin/env bash
# Configures and builds one preset; quiet unless it fails. Usage: scripts/build.sh PRESET [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/.."

readonly preset=$1
shift
readonly build=build/$preset
readonly log=$build/build.log
mkdir -p "$build"

# ccache only saves time; it is used where it happens to be there.
if [ -z "${CMAKE_CXX_COMPILER_LAUNCHER:-}" ] && command -v ccache >/dev/null; then
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache
fi

fail() {
  cat "$log" >&2
  printf 'build: preset %s failed (log: %s)\n' "$preset" "$log" >&2
  exit 1
}

if [ ! -f "$build/build.ninja" ] || [ CMakePresets.json -nt "$build/build.ninja" ] ||
  [ scripts/build.sh -nt "$build/build.ninja" ]; then
  printf 'build: configuring %s\n' "$build" >&2
  cmake --preset "$preset" -DVORTEX_PYTHON=ON -DPython_EXECUTABLE="$PWD/.venv/bin/python" >"$log" 2>&1 || fail
fi

if [ -t 2 ]; then
  ninja -C "$build" "$@" >&2
else
  printf 'build: compiling %s\n' "$build" >&2
  ninja -C "$build" "$@" >"$log" 2>&1 || fail
fi
