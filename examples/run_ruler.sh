#!/usr/bin/env bash
# RULER's protocol on recall-gqa: dense, the original system's default flow, and a sketch.
#   examples/run_ruler.sh            # questions of 4,096 tokens that are shipped with the model
#   examples/run_ruler.sh FILE       # RULER's own: JSON lines of input and outputs, plain or gzipped
# MODEL, FLOWS, BLOCK (tokens of a page and of a slab) and LIMIT (questions) change the rest; what stays is the
# original's: 29 pages by score, the first and the last two always, no layer dense.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
vortex=${VORTEX_BIN:-$here/build/release/bin/vortex}
model=${MODEL:-recall-gqa}
block=${BLOCK:-16}
flows=${FLOWS:-dense gqa_block_sparse_attention sketch2_sparse_attention}
if [ $# -gt 1 ]; then
  echo "usage: $0 [FILE]" >&2
  exit 2
fi

if [ $# -eq 1 ]; then
  data=$1
else
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  data=$folder/shipped.jsonl
  # The model's own questions, in RULER's form.
  python3 - "$here/models/$model/eval" > "$data" <<'PYTHON'
import gzip, json, pathlib, sys

for path in sorted(pathlib.Path(sys.argv[1]).glob("*.jsonl.gz")):
    for row in map(json.loads, gzip.open(path, "rt")):
        if row["length"] == 4096:
            print(json.dumps({"input": row["messages"][0]["content"], "outputs": [row["answer"]]}))
PYTHON
fi

for flow in $flows; do
  sparse=()
  if [ "$flow" != dense ]; then
    sparse=(--flow "$flow" --vortex-config '{"topk_val": 29, "block_reserved_bos": 1, "block_reserved_eos": 2,
      "block_size": '"$block"', "layers_skip": []}')
  fi
  echo "== $flow"
  "$vortex" eval ruler --model "$model" --data "$data" --limit "${LIMIT:-15}" --page-size "$block" --quiet "${sparse[@]}"
done
