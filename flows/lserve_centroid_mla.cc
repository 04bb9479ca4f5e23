// Centroids of each 16 latents of a page against the mean query; the best sub-page counts.
// Paper: LServe's hierarchical pages (Yang et al., 2025) with centroids for bounds.
// Cost: width numbers per 16 tokens. Use: pages larger than 16. The page size is a multiple of 16; at 16 it equals
// rope_aware_block_sparse_mla.
#include <vortex/flow.h>

struct LserveCentroidMla : vortex::FlowMLA {
  static constexpr int kSubPage = 16;

  Fields create_cache(const LatentShape& s) override { return {{"centroids", {s.page_tokens / kSubPage, s.width()}}}; }

  void forward_cache(CacheScope& c) override { c.write("centroids", mean_interleave(c["latent"], 1, kSubPage)); }

  Score forward_indexer(const Tensor& q, IndexerScope& c) override {
    return top_k(max(gemm(mean(q, 1), c["centroids"]), 1));
  }
};

VORTEX_FLOW("lserve_centroid_mla", LserveCentroidMla)
