// Block-sparse attention with the mean score over the pages taken off. The shift keeps the order: the pages are those
// of block_sparse_attention, up to rounding. Paper: MoBA (Lu et al., 2025); the original system's example of a
// reduction over pages. Cost: head_dim numbers a page. Use: as a pattern for scores relative to the whole context.
#include <vortex/flow.h>

struct CenteredBlockSparse : vortex::Flow {
  Fields create_cache(const PageShape& s) override { return {{"centroids", {1, s.head_dim}}}; }

  void forward_cache(CacheScope& c) override { c.write("centroids", mean(c["k"], 1)); }

  Score forward_indexer(const Tensor& q, IndexerScope& c) override {
    const Tensor score = mean(sum(multiply(q, c["centroids"]), 2), 1);
    return top_k(add(score, mean(score, 0), 1.0f, -1.0f));
  }
};

VORTEX_FLOW("centered_block_sparse_attention", CenteredBlockSparse)
