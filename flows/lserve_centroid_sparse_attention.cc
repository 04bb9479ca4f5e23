// Centroids of each 16 tokens of a page against the mean query; the best sub-page counts.
// Paper: LServe's hierarchical pages (Yang et al., 2025) with centroids for bounds.
// Cost: head_dim numbers per 16 tokens. Use: pages larger than 16 at half the bytes of lserve_sparse_attention. The
// page size is a multiple of 16; at 16 it equals block_sparse_attention.
#include <vortex/flow.h>

struct LserveCentroid : vortex::Flow {
  static constexpr int kSubPage = 16;

  Fields create_cache(const PageShape& s) override { return {{"centroids", {s.page_tokens / kSubPage, s.head_dim}}}; }

  void forward_cache(CacheScope& c) override { c.write("centroids", mean_interleave(c["k"], 1, kSubPage)); }

  Score forward_indexer(const Tensor& q, IndexerScope& c) override {
    return top_k(max(gemm(mean(q, 1), c["centroids"]), 1));
  }
};

VORTEX_FLOW("lserve_centroid_sparse_attention", LserveCentroid)
