#!/usr/bin/env bash
# Serves MODEL with sparse attention on 127.0.0.1:30000: examples/server_launch.sh MODEL TP_SIZE
# TP_SIZE is the number of ranks that share each layer (docs/ranks.md): on the CPU any that divides the heads, on a GPU 1.
set -euo pipefail

if [ $# -ne 2 ]; then
  echo "usage: $0 MODEL TP_SIZE" >&2
  exit 2
fi
here=$(cd "$(dirname "$0")/.." && pwd)
vortex=${VORTEX_BIN:-$here/build/release/bin/vortex}

exec "$vortex" serve "$1" --tensor-parallel-size "$2" --vortex-config '{
  "module_name": "gqa_quest_sparse_attention",
  "topk_val": 29,
  "block_reserved_bos": 1,
  "block_reserved_eos": 2,
  "layers_skip": [0]
}'
