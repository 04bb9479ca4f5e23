// Block-sparse attention with a say for every query head: each head spreads its attention over the pages' centroids,
// a page is worth what the keenest head gives it.
// Paper: MoBA (Lu et al., 2025), with a softmax over pages per head as in NSA (Yuan et al., 2025).
// Cost: head_dim numbers a page. Use: as block_sparse_attention where the heads of a group want different pages.
#include <vortex/flow.h>

struct GqaBlockSparse : vortex::Flow {
  static constexpr float kTemperature = 0.09f;  // about 1 / sqrt(128)

  Fields create_cache(const PageShape& s) override { return {{"centroids", {1, s.head_dim}}}; }

  void forward_cache(CacheScope& c) override { c.write("centroids", mean(c["k"], 1)); }

  Score forward_indexer(const Tensor& q, IndexerScope& c) override {
    return top_k(max(softmax(gemm(q, c["centroids"]), 0, kTemperature), 2));
  }
};

VORTEX_FLOW("gqa_block_sparse_attention", GqaBlockSparse)
