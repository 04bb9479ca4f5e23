#!/usr/bin/env bash
# Checks the C++ files in git against .clang-format. Exits 77 (skipped) without git or clang-format
# 14: other versions lay some lines out differently.
set -euo pipefail
cd "$(dirname "$0")/.."

formatter=$(command -v clang-format-14 || command -v clang-format || true)
if [ -z "$formatter" ] || ! "$formatter" --version | grep -q 'version 14\.'; then
  echo 'format: skipped, clang-format 14 is not installed'
  exit 77
fi
if ! git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
  echo 'format: skipped, git does not know this folder'
  exit 77
fi
git ls-files -z -- '*.h' '*.cc' '*.cu' '*.cuh' | xargs -0 "$formatter" --dry-run --Werror --style=file
echo 'format: ok'
