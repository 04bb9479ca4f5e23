// Block-sparse attention by page centroids: the mean key stands for the page, the mean query for the group.
// Paper: MoBA, Mixture of Block Attention (Lu et al., 2025), without its training.
// Cost: head_dim numbers a page. Use: the cheapest selector, when attention is smooth over pages; loses single tokens
// that stand out (see quest).
#include <vortex/flow.h>

struct BlockSparse : vortex::Flow {
  Fields create_cache(const PageShape& s) override { return {{"centroids", {1, s.head_dim}}}; }

  void forward_cache(CacheScope& c) override { c.write("centroids", mean(c["k"], 1)); }

  Score forward_indexer(const Tensor& q, IndexerScope& c) override { return top_k(gemm(mean(q, 1), c["centroids"])); }
};

VORTEX_FLOW("block_sparse_attention", BlockSparse)
