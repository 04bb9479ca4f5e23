#!/usr/bin/env bash
# Runs clang-tidy with .clang-tidy on the C++ sources in git that the release build compiles.
# Usage: tools/run_clang_tidy.sh [PATH...]   only files under these paths (default: src flows)
set -euo pipefail
cd "$(dirname "$0")/.."

command -v clang-tidy >/dev/null || { echo 'tidy: install clang-tidy' >&2; exit 1; }
cmake --preset release >/dev/null
[ $# -eq 0 ] && set -- src flows
git ls-files -z -- "$@" | grep -z '\.cc$' | grep -zv '_test\.cc$' |
  xargs -0 -P "$(nproc)" -n 4 clang-tidy -p build/release --quiet
echo 'tidy: ok'
