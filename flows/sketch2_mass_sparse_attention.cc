// Two-bit sketch, scored by attention mass: a page scores as the share of attention that all heads together would give
// it, from logits estimated at two bits a channel.
// Paper: none, our own; see sketch2_sparse_attention for the sketch. Cost: as there, and a softmax over the pages.
// Use: text whose attention is spread over many tokens; closest to dense in distribution (`vortex eval fidelity`).
#include <vortex/flow.h>

struct Sketch2Mass : vortex::Flow {
  float scale = 1.0f;  // of attention

  Fields create_cache(const PageShape& s) override {
    scale = s.scale;
    return {{"sketch", {s.page_tokens, s.head_dim, "int2"}}};
  }

  void forward_cache(CacheScope& c) override { c.write("sketch", rotate(c["k"])); }

  Score forward_indexer(const Tensor& q, IndexerScope& c) override {
    const Tensor logits = add_mul(gemm(rotate(q), c["sketch"]), 0.0f, scale);
    return top_k(sum(softmax(log_sum_exp(logits, 1), 0), 2));
  }
};

VORTEX_FLOW("sketch2_mass_sparse_attention", Sketch2Mass)
