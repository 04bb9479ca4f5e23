#!/usr/bin/env bash
# RULER's protocol on a model with latent attention: examples/run_ruler_mla.sh [FILE]. See run_ruler.sh.
set -euo pipefail

export MODEL=${MODEL:-recall-mla} BLOCK=${BLOCK:-32}
export FLOWS=${FLOWS:-dense rope_aware_block_sparse_mla sketch1_mla}
exec "$(dirname "$0")/run_ruler.sh" "$@"
