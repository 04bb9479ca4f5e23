// LServe: Quest's bounds for each 16 tokens of a page, the best sub-page counts.
// Paper: LServe, Efficient Long-sequence LLM Serving with Unified Sparse Attention (Yang et al., 2025).
// Cost: 2 head_dim numbers per 16 tokens. Use: pages larger than 16, whose bounds would be loose. The page size is a
// multiple of 16; at 16 it equals gqa_quest_sparse_attention.
#include <vortex/flow.h>

struct Lserve : vortex::Flow {
  static constexpr int kSubPage = 16;

  Fields create_cache(const PageShape& s) override {
    const int parts = s.page_tokens / kSubPage;
    return {{"max", {parts, s.head_dim}}, {"min", {parts, s.head_dim}}};
  }

  void forward_cache(CacheScope& c) override {
    c.write("max", max_interleave(c["k"], 1, kSubPage));
    c.write("min", min_interleave(c["k"], 1, kSubPage));
  }

  Score forward_indexer(const Tensor& q, IndexerScope& c) override {
    const Tensor bound = maximum(kron(q, c["max"], {1}), kron(q, c["min"], {1}));
    return top_k(max(sum(bound, 2), 1));
  }
};

VORTEX_FLOW("lserve_sparse_attention", Lserve)
